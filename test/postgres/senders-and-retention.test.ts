import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../../server/core/db/index.ts';
import { purgeBatch } from '../../server/retention/purge.ts';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';

let pair: Pair;
const base = '/businesses/1001/senders';

beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.close());

test('upsertSender of one address from all sides adds it once; beside onboardings nobody waits crosswise', async () => {
  const body = { channel: 'sms', address: '+12025550177', provider: 'simulator' };
  const [answers, onboardings] = await Promise.all([
    atOnce(20, pair.apis, (api, i) => api.call('PUT', base, { ...body, location_id: (i % 2) + 1 })),
    Promise.all(Array.from({ length: 6 }, () => pair.one.business())),
  ]);
  expect(tally(answers)).toEqual({ 200: 19, 201: 1 });
  expect(onboardings).toHaveLength(6);
  const added = await pair.rows(
    "select 1 from events where business_id = 1001 and type = 'sender.added' and data ->> 'address' = '+12025550177'",
  );
  expect(added).toHaveLength(1);
  await pair.settled();
  expect((await pair.apis[0].get('/business/1001/onboarding')).body.status).toBe('complete');
});

test('removeSender against messages that choose it: each that was taken is sent, each other is refused', async () => {
  const { body: sender } = await pair.apis[0].call('PUT', base, {
    channel: 'sms',
    address: '+12025550178',
    provider: 'simulator',
  });
  const answers = await atOnce(40, pair.apis, async (api, i) =>
    i === 15
      ? api.call('DELETE', `${base}/${sender.sender_id}`, {})
      : api.post('/sms/queue', { to: `+120255530${10 + i}`, from: sender.address, content: `from ${i}` }),
  );
  await pair.settled();
  const sends = answers.filter((_, i) => i !== 15);
  expect(answers[15]!.status).toBe(200);
  for (const { status, body } of sends)
    expect(status === 202 || (status === 422 && body.code === 'no_sender'), JSON.stringify(body)).toBe(true);
  const rows = await pair.rows<{ status: string; from_address: string }>(
    "select status, from_address from messages where content like 'from %'",
  );
  expect(rows).toEqual(
    sends
      .filter(({ status }) => status === 202)
      .map(() => ({ status: 'delivered', from_address: sender.address })),
  );
});

test('setRetention: several workers at one business, callbacks and retries meanwhile: each message is purged once or sent whole', async () => {
  const [api] = pair.apis;
  const ids: string[] = [];
  for (let i = 0; i < 60; i++) {
    const { body } = await api.post('/sms/queue', { to: '+15005550011', content: `Sauerampfer ${i}` });
    ids.push(body.message_id);
  }
  await pair.settled();
  await pair.rows(
    `update messages set occurred_at = now() - interval '10 days', sent_at = now() - interval '10 days', failed_at = now() - interval '10 days'
     where content like 'Sauerampfer%'`,
  );
  await pair.rows(
    `update message_words w set occurred_at = m.occurred_at from messages m
     where m.business_id = w.business_id and m.message_id = w.message_id and m.content like 'Sauerampfer%'`,
  );
  const now = new Date();
  await pair.rows(
    'insert into retention (business_id, message_days, created_at, updated_at) values (1001, 7, now(), now())',
  );
  const purge = async (omega: Pair['one']) => {
    while (await inTransaction(omega.omega.database.db, (tx) => purgeBatch(tx, now, 1001)));
  };
  const [retries] = await Promise.all([
    atOnce(30, pair.apis, (one, i) => one.post(`/messages/${ids[i]}/retry`, { force: true })),
    atOnce(30, pair.apis, (one, i) =>
      one.post('/sms/status', { message_id: ids[30 + i], status: 'delivered', request_id: `late-${i}` }),
    ),
    ...[pair.one, pair.two, pair.one, pair.two].map(purge),
  ]);
  await pair.settled();
  const rows = await pair.rows<{
    message_id: string;
    content: string;
    to_address: string | null;
    sent: string[];
  }>(
    `select m.message_id, m.content, m.to_address,
       array(select s.content from simulator_messages s where s.message_id = m.message_id) as sent
     from messages m where m.message_id = any($1::uuid[])`,
    [ids],
  );
  expect(rows).toHaveLength(60);
  const gone = rows.filter(({ content }) => content === '[erased]');
  // What a retry brought back on its way first is whole, and what was purged first was refused to it.
  const taken = retries.filter(({ status }) => status < 300).length;
  expect(tally(retries)).toEqual({
    ...(taken > 0 && { 202: taken }),
    ...(taken < 30 && { 409: 30 - taken }),
  });
  expect(60 - gone.length).toBe(taken);
  for (const row of rows) {
    if (row.content === '[erased]') expect(row.to_address).toBeNull();
    else expect(row.sent).toEqual([row.content, row.content]);
  }
  const [policy] = await pair.rows<{ messages_purged: string }>(
    'select messages_purged from retention where business_id = 1001',
  );
  expect(Number(policy!.messages_purged)).toBe(gone.length);
  expect(await pair.rows('select 1 from dead_letters')).toEqual([]);
});
