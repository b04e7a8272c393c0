import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startOmega } from '../support/omega.ts';

test('stopping answers what is under way, and waits for no client that keeps its connection', async () => {
  const omega = await startOmega();
  const { key } = await omega.business({ business_id: 1001 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = async (i: number) => {
    const sent = request(`${omega.url}/sms/queue`, {
      agent,
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
    });
    sent.end(JSON.stringify({ to: `+1202555${1000 + i}`, content: 'Hello' }));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    await answer.toArray();
    return { status: answer.statusCode!, connection: answer.headers.connection };
  };
  expect((await post(0)).connection).toBe('keep-alive');

  // One request stands in the database's queue while the server is told to stop.
  const held = Promise.withResolvers<void>();
  const holding = Promise.withResolvers<void>();
  const transaction = omega.omega.database.db.transaction().execute(() => {
    holding.resolve();
    return held.promise;
  });
  await holding.promise;
  const arrived = once(omega.omega.http!.server, 'request');
  const underWay = post(1);
  await arrived;
  const closed = omega.close();
  await expect.poll(() => omega.omega.http!.server.listening).toBe(false);
  held.resolve();
  await transaction;

  const answer = await underWay;
  expect(answer.status).toBe(202);
  expect(answer.connection).toBe('close');
  await closed;
  agent.destroy();
});

test('a request that is half sent when stopping begins is 503 with Retry-After, as a problem', async () => {
  const omega = await startOmega({ worker: false });
  const { server } = omega.omega.http!;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ port: Number(new URL(omega.url).port), host: '127.0.0.1' });
  client.write('GET /omega/health HTTP/1.1\r\n');
  const [near] = await accepted;
  await expect.poll(() => near.bytesRead).toBeGreaterThan(0);
  const closed = omega.close();
  await expect.poll(() => server.listening).toBe(false);
  client.write('Host: omega.test\r\n\r\n');
  const [head, body] = (await client.setEncoding('utf8').toArray()).join('').split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 503 /);
  expect(head).toMatch(/^content-type: application\/problem\+json/im);
  expect(head).toMatch(/^retry-after: [1-9]/im);
  expect(head).toMatch(/^connection: close/im);
  expect(JSON.parse(body!)).toMatchObject({ status: 503, code: 'unavailable' });
  await closed;
});
