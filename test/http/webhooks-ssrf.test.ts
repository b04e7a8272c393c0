import { createSocket, type Socket } from 'node:dgram';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

/** Servers of this machine that no webhook may ever open a connection to. */
let canaries: Receiver[];
let allowed: Receiver;
let dns: NameServer;
let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  canaries = [await startReceiver('127.0.0.1'), await startReceiver('::1')];
  allowed = await startReceiver();
  dns = await startNameServer();
  omega = await startOmega({
    webhooks: {
      hosts: [`127.0.0.1:${allowed.port}`, '10.99.0.0/16'],
      deadlineMs: 2_000,
      dnsServers: [`127.0.0.1:${dns.port}`],
    },
  });
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(async () => {
  await omega.close();
  dns.close();
  for (const server of [...canaries, allowed]) await server.close();
});

const silent = () => expect(canaries.map((canary) => canary.connections())).toEqual([0, 0]);
const create = (url: string) => api.post('/businesses/1001/webhooks', { url });
/** As if the row had been there before: what is kept is checked with each connection too. */
async function tested(url: string) {
  const { body } = await create('https://crm.example/hooks');
  const path = `/businesses/1001/webhooks/${body.webhook_id}`;
  await omega.omega.database.db
    .updateTable('webhooks')
    .set({ url })
    .where('business_id', '=', 1001)
    .where('webhook_id', '=', body.webhook_id)
    .execute();
  const answer = await api.post(`${path}/test`);
  await api.call('DELETE', path);
  await omega.settled();
  expect(answer.status).toBe(200);
  const { delivery_id: _d, event_id: _e, duration_ms: _m, ...told } = answer.body;
  return told;
}

describe('a webhook to a place that is not for everybody', () => {
  const [port, port6] = ['PORT', 'PORT6'];
  const places = [
    `127.0.0.1:${port}`,
    `127.1:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `0177.0.0.1:${port}`,
    `127.0.0.2:${port}`,
    `0.0.0.0:${port}`,
    `0:${port}`,
    `localhost:${port}`,
    `LOCALHOST.:${port}`,
    `a.localhost:${port}`,
    `[::1]:${port6}`,
    `[::]:${port6}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[::ffff:7f00:1]:${port}`,
    `[::127.0.0.1]:${port}`,
    `[64:ff9b::7f00:1]:${port}`,
    `[2002:7f00:1::]:${port}`,
    '169.254.169.254',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '[fe80::1]',
    '[fc00::1]',
    '[5f00::1]',
    'metadata.google.internal',
    'printer.local',
    'intranet',
  ];
  const filled = (place: string) =>
    place.replace('PORT6', String(canaries[1]!.port)).replace('PORT', String(canaries[0]!.port));

  test.each(places)('is refused when it is made: %s', async (place) => {
    const answer = await create(`https://${filled(place)}/latest/meta-data`);
    expectProblem(answer, 422, 'invalid_parameters', place);
    const { body: reference } = await create('https://10.0.0.1/');
    // One text for all of them, whether somebody is there or not.
    expect(answer.body.errors).toEqual(reference.errors);
    expectProblem(await create(`http://${filled(place)}/`), 422, 'invalid_parameters', place);
    silent();
  });

  test('is not connected to when it is there already, and told as one where nobody is', async () => {
    const nobody = await tested('https://crm.example/hooks');
    expect(nobody).toEqual({ delivered: false, status_code: null, error: 'unreachable' });
    for (const place of places) {
      expect(await tested(`https://${filled(place)}/`), place).toEqual(nobody);
      expect(await tested(`http://${filled(place)}/`), place).toEqual(nobody);
    }
    silent();
  });

  test('is refused in any other form: credentials, other schemes, ports of mail servers, another host by a trick', async () => {
    for (const url of [
      'https://user:password@crm.example/',
      'https://crm.example@127.0.0.1/',
      'https://crm.example:25/',
      'https://crm.example:22/',
      'https://crm.example/#part',
      'ftp://crm.example/',
      'file:///etc/passwd',
      'javascript:alert(1)',
      'gopher://127.0.0.1:25/',
      '//crm.example/',
      'crm.example',
      'http://crm.example/',
      `http://127.0.0.1:${canaries[0]!.port}/`,
      'https://',
    ])
      expectProblem(await create(url), 422, 'invalid_parameters', url);
    silent();
  });

  test('a redirect there is not followed', async () => {
    allowed.answers('/away', {
      status: 302,
      headers: { location: `http://127.0.0.1:${canaries[0]!.port}/` },
    });
    expect(await tested(`${allowed.url}/away`)).toMatchObject({ status_code: 302, error: 'redirected' });
    silent();
  });
});

describe('a name', () => {
  test('that leads to this machine is not connected to', async () => {
    for (const name of ['to-loopback.example', 'to-both.example', 'to-mapped.example'])
      expect(await tested(`https://${name}:${canaries[0]!.port}/`), name).toEqual({
        delivered: false,
        status_code: null,
        error: 'unreachable',
      });
    expect(dns.asked()).toContain('to-loopback.example');
    silent();
  });

  test('that leads elsewhere with each look (DNS rebinding) is connected to where it was looked at, or not at all', async () => {
    for (let i = 0; i < 6; i++)
      expect((await tested(`https://rebinding.example:${canaries[0]!.port}/`)).delivered).toBe(false);
    // It was asked each time: no look counts for a later connection.
    expect(dns.asked().filter((name) => name === 'rebinding.example').length).toBeGreaterThanOrEqual(6);
    silent();
  });
});

describe('OMEGA_WEBHOOK_HOSTS', () => {
  test('what it names is posted to, without TLS too, and its neighbours are not', async () => {
    expect((await create(`${allowed.url}/hooks`)).status).toBe(201);
    expect(await tested(`${allowed.url}/hooks`)).toMatchObject({ delivered: true, status_code: 204 });
    expectProblem(await create(`http://127.0.0.1:${allowed.port + 1}/`), 422, 'invalid_parameters');
    expectProblem(await create(`http://localhost:${allowed.port}/`), 422, 'invalid_parameters');
    expect((await create('http://10.99.3.4:8080/hooks')).status).toBe(201);
    expectProblem(await create('http://10.98.3.4:8080/hooks'), 422, 'invalid_parameters');
    silent();
  });
});

interface NameServer {
  port: number;
  /** The names that it was asked for. */
  asked(): string[];
  close(): void;
}

/** A name server of an attacker: its answers hold for no time at all. */
async function startNameServer(): Promise<NameServer> {
  const asked: string[] = [];
  let turn = 0;
  const addresses: Record<string, () => string[]> = {
    'to-loopback.example': () => ['127.0.0.1'],
    'to-both.example': () => ['93.184.215.14', '127.0.0.1'],
    'to-mapped.example': () => [],
    'rebinding.example': () => [turn++ % 2 === 0 ? '127.0.0.1' : '10.1.2.3'],
  };
  const socket: Socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    const labels: string[] = [];
    let at = 12;
    while (query[at]) {
      labels.push(query.subarray(at + 1, at + 1 + query[at]!).toString());
      at += 1 + query[at]!;
    }
    const question = query.subarray(12, at + 5);
    const type = query.readUInt16BE(at + 1);
    const name = labels.join('.').toLowerCase();
    asked.push(name);
    const known = addresses[name];
    const records: Buffer[] = [];
    if (type === 1)
      for (const address of known?.() ?? [])
        records.push(record(1, Buffer.from(address.split('.').map(Number))));
    if (type === 28 && name === 'to-mapped.example')
      records.push(record(28, Buffer.from('00000000000000000000ffff7f000001', 'hex')));
    const header = Buffer.alloc(12);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    // An answer, authoritative; NXDOMAIN where the name is not known.
    header.writeUInt16BE(0x8580 | (known ? 0 : 3), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([header, question, ...records]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { port: socket.address().port, asked: () => asked, close: () => socket.close() };
}

/** A resource record (RFC 1035, 3.2.1) of the question's name, with a TTL of 0. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
