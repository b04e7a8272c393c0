import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';
import { endConnections } from '../support/postgres.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let pair: Pair;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterEach(() => pair?.close());
afterAll(() => receiver?.close());

async function startTwo(leaseS?: number) {
  pair = await startPair({ leaseS, webhooks: { hosts: [`127.0.0.1:${receiver.port}`] } });
}

async function newWebhook(path: string, more: object = {}): Promise<string> {
  const made = await pair.apis[0].post('/businesses/1001/webhooks', { url: receiver.url + path, ...more });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.webhook_id;
}

const deliveriesOf = (webhookId: string) =>
  pair.rows<{ sequence: string; state: string; attempts: number }>(
    'select sequence, state, attempts from webhook_deliveries where webhook_id = $1 order by sequence',
    [webhookId],
  );

/** Queued through both processes, each repeated until it is taken. @returns the messages' ids */
async function queueAll(count: number, phone: (i: number) => string): Promise<string[]> {
  const answers = await atOnce(count, pair.apis, (api, i) =>
    api.post('/sms/queue', {
      to: phone(i),
      content: 'Told of',
      request_id: `${phone(i)}-${i}`.slice(1),
    }),
  );
  expect(tally(answers)).toEqual({ 202: count });
  return answers.map(({ body }) => body.message_id as string);
}

test('two workers: each event is posted, and written down once, whoever visits', async () => {
  await startTwo();
  const id = await newWebhook('/calm', { types: ['message.queued'] });
  const queued = await queueAll(60, (i) => `+1202555${4000 + i}`);
  await eventually(async () => {
    const rows = await deliveriesOf(id);
    expect(rows.filter(({ state }) => state === 'delivered')).toHaveLength(60);
  }, 100);
  const posted = receiver.at('/calm').map(({ event }) => event.data.object.message_id as string);
  expect(posted.sort()).toEqual([...queued].sort());
});

test('while connections die: every event gets through, at least once, with one delivery of its own', async () => {
  // Connections that die take visits with them; a lease of two seconds brings those back.
  await startTwo(2);
  const id = await newWebhook('/storm', { types: ['message.queued'] });
  const kills = endConnections(pair.url, 20);
  const queued: string[] = [];
  for (let round = 0; round < 4; round++)
    queued.push(...(await queueAll(20, (i) => `+1202555${5000 + round * 20 + i}`)));
  await kills;
  await eventually(async () => {
    const rows = await deliveriesOf(id);
    expect(rows.filter(({ state }) => state === 'delivered')).toHaveLength(80);
  }, 200);
  const posted = new Set(receiver.at('/storm').map(({ event }) => event.data.object.message_id as string));
  expect([...posted].sort()).toEqual([...queued].sort());
});
