import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Omega, OmegaError, unwrap } from 'omega/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contract, type Operation } from '../../contract/index.ts';
import { requestIdIsFilter } from '../../sdk/routes.ts';
import { callable } from '../support/contract-requests.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let sdk: Omega;
let key: string;

beforeAll(async () => {
  omega = await startOmega();
  ({ key } = await omega.business({ business_id: 1001 }));
  sdk = new Omega({ baseUrl: omega.url, apiKey: key });
});
afterAll(() => omega.close());

/** A server on loopback between the client and Omega that treats the first requests badly. */
async function behind(
  badly: (no: number) => 'reset' | 'after' | { status: number; retryAfter?: string } | null,
) {
  const seen: { id: string | undefined; path: string }[] = [];
  const server: Server = createServer(async (request, response) => {
    const no = seen.push({
      id: request.headers['idempotency-key'] as string | undefined,
      path: request.url!,
    });
    const how = badly(no);
    if (how === 'reset') return request.socket.destroy();
    const body = request.method === 'GET' ? undefined : Buffer.concat(await request.toArray());
    if (how && typeof how === 'object') {
      response
        .writeHead(how.status, how.retryAfter ? { 'retry-after': how.retryAfter } : {})
        .end('<html>busy</html>');
      return;
    }
    const headers = { ...request.headers } as Record<string, string>;
    delete headers.host;
    delete headers.connection;
    delete headers['content-length'];
    delete headers['transfer-encoding'];
    const answer = await fetch(omega.url + request.url, { method: request.method, headers, body });
    // The server did it, and the answer is lost on the way.
    if (how === 'after') return request.socket.destroy();
    response.writeHead(
      answer.status,
      Object.fromEntries(
        [...answer.headers].filter(
          ([name]) =>
            !/^(content-length|transfer-encoding|connection|content-encoding|keep-alive)$/.test(name),
        ),
      ),
    );
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new Omega({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: key,
  });
  return { client, seen, close: () => server.close() };
}

it('has a method for every operation that is for callers', () => {
  const methods = sdk as unknown as Record<string, unknown>;
  for (const [id] of callable) expect(typeof methods[id], id).toBe('function');
});

describe('a call', () => {
  it('answers typed data, with the status and the request id', async () => {
    const sent = await sdk.queueSms({ to: '+12025550123', content: 'See you at 9', request_id: 'sdk-1' });
    expect(sent).toMatchObject({ error: null, status: 202, requestId: 'sdk-1', replayed: false });
    const { conversation_id, client_id, status } = unwrap(sent);
    expect(status).toBe('queued');
    await omega.settled();
    const page = unwrap(await sdk.listMessages({ business_id: 1001, client_id, conversation_id, limit: 5 }));
    expect(page.data.map((message) => message.status)).toEqual(['delivered']);
    const again = await sdk.queueSms({ to: '+12025550123', content: 'See you at 9', request_id: 'sdk-1' });
    expect(again).toMatchObject({ replayed: true, data: { conversation_id } });
  });

  it('answers what is wrong as a value, with every field; unwrap throws it', async () => {
    const wrong = await sdk.queueSms({ to: 'nobody', content: 'hi' });
    expect(wrong.data).toBeNull();
    expect(wrong.error).toBeInstanceOf(OmegaError);
    expect(wrong.error).toMatchObject({ code: 'invalid_parameters', status: 422, errors: [{ path: 'to' }] });
    expect(() => unwrap(wrong)).toThrow(OmegaError);
    const stranger = await new Omega({ baseUrl: omega.url, apiKey: 'omk_nobody' }).listConversations({
      business_id: 1001,
    });
    expect(stranger.error?.code).toBe('unauthorized');
  });
});

describe('a body that is a stream', () => {
  const rows = '{"client_id":8801,"name":"Ana Lima"}\n{"client_id":8802,"name":"Bo Chen"}\n';
  const asked = { business_id: 1001, content_type: 'application/x-ndjson' } as const;
  const streamOf = (text: string) => new Blob([text]).stream();

  it('goes out as it is: a text, a stream or a blob, under one request id', async () => {
    for (const [i, body] of [rows, streamOf(rows), new Blob([rows])].entries()) {
      const answer = await sdk.importClients({ ...asked, body, request_id: `sdk-import-${i}` });
      expect(answer).toMatchObject({ error: null, status: 200, requestId: `sdk-import-${i}` });
      expect(answer.data).toMatchObject({ rows: 2, failed: 0, created: i === 0 ? 2 : 0 });
    }
    const csv = await sdk.importClients({
      ...asked,
      content_type: 'text/csv',
      body: 'client_id,name\n8803,Cy\n',
    });
    expect(csv.data).toMatchObject({ format: 'csv', rows: 1, created: 1 });
  });

  it('is sent once; a text is sent again', async () => {
    const once = await behind(() => ({ status: 503 }));
    const failed = await once.client.importClients({ ...asked, body: streamOf(rows) });
    expect(failed.error?.code).toBe('unavailable');
    expect(once.seen).toHaveLength(1);
    once.close();
    const again = await behind((no) => (no === 1 ? { status: 503 } : null));
    const done = await again.client.importClients({ ...asked, body: rows });
    expect(done).toMatchObject({ error: null, data: { rows: 2 } });
    expect(new Set(again.seen.map(({ id }) => id)).size).toBe(1);
    expect(again.seen).toHaveLength(2);
    again.close();
  });
});

it('erases: a DELETE takes its fields too', async () => {
  await sdk.upsertClient({ business_id: 1001, client_id: 8890, name: 'Ana Lima' });
  const asked = { business_id: 1001, client_id: 8890, request_id: 'sdk-erase' };
  expect(await sdk.eraseClient(asked)).toMatchObject({ error: null, requestId: 'sdk-erase' });
  expect((await sdk.eraseClient(asked)).replayed).toBe(true);
});

describe('tries again', () => {
  it('with the same request id after a lost answer, so that nothing happens twice', async () => {
    const { client, seen, close } = await behind((no) => (no === 1 ? 'after' : no === 2 ? 'reset' : null));
    const sent = await client.queueSms({ client_id: 77, to: '+12025550177', content: 'once' });
    close();
    expect(sent).toMatchObject({ error: null, replayed: true });
    expect(new Set(seen.map(({ id }) => id)).size).toBe(1);
    expect(seen).toHaveLength(3);
    const { conversation_id, client_id } = unwrap(sent);
    const page = unwrap(await sdk.listMessages({ business_id: 1001, client_id, conversation_id }));
    expect(page.data).toHaveLength(1);
  });

  it('after 503 and 429, no sooner than told, and gives up after its tries', async () => {
    const busy = await behind((no) =>
      no === 1 ? { status: 503 } : no === 2 ? { status: 429, retryAfter: '0' } : null,
    );
    expect((await busy.client.getHealth()).data?.status).toBe('ok');
    expect(busy.seen).toHaveLength(3);
    busy.close();
    const down = await behind(() => 'reset');
    const answer = await down.client.getHealth();
    down.close();
    expect(answer.error?.code).toBe('network');
    expect(down.seen).toHaveLength(4);
  });

  it('never what is wrong with the request itself', async () => {
    const { client, seen, close } = await behind(() => null);
    await client.queueSms({ to: 'nobody', content: 'hi' });
    close();
    expect(seen).toHaveLength(1);
  });
});

it('walks a list to its end, page after page', async () => {
  for (let client_id = 801; client_id <= 807; client_id++) {
    unwrap(await sdk.createConversation({ business_id: 1001, client_id, name: `Client ${client_id}` }));
  }
  const ids: number[] = [];
  for await (const row of sdk.all('listConversations', { business_id: 1001, limit: 3 }))
    ids.push(row.client.client_id);
  expect(ids).toEqual(expect.arrayContaining([801, 802, 803, 804, 805, 806, 807]));
  expect(new Set(ids).size).toBe(ids.length);
});

it('takes the request id that is a filter for what it is, and its own from the options', async () => {
  const filtering = Object.values(contract as Record<string, Operation>).filter(
    (row) => row.requestIdIsFilter,
  );
  expect(Object.keys(requestIdIsFilter)).toEqual(filtering.map((row) => row.id));
  unwrap(await sdk.queueSms({ to: '+15005550013', content: 'Spam?', request_id: 'sdk-filtered' }));
  await omega.settled();
  const retried = await sdk.retryMessages({ request_id: 'sdk-filtered' }, { requestId: 'sdk-retry' });
  expect(retried).toMatchObject({ error: null, requestId: 'sdk-retry' });
  expect(retried.data?.skipped).toMatchObject([{ reason: expect.any(String) }]);
});

it('says that its caller ended it, and tries no more', async () => {
  const { client, seen, close } = await behind(() => ({ status: 503, retryAfter: '30' }));
  const ended = new AbortController();
  const answer = client.getHealth({}, { signal: ended.signal });
  await expect.poll(() => seen.length).toBe(1);
  ended.abort();
  expect((await answer).error?.code).toMatch(/aborted|unavailable/);
  expect(seen).toHaveLength(1);
  expect((await client.getHealth({}, { signal: ended.signal })).error?.code).toBe('aborted');
  close();
});
