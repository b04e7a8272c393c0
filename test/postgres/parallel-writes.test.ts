import { afterAll, beforeAll, expect, test } from 'vitest';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await startPair({ empty: true });
});
afterAll(() => pair?.close());

test('two processes that start on an empty database at once both come up, and one of them migrates', async () => {
  const migrated = [pair.one.omega.migrated, pair.two.omega.migrated].sort((a, b) => a.length - b.length);
  expect(migrated[0]).toEqual([]);
  expect(migrated[1]).toContain('0001_initial');
  const health = await Promise.all(pair.apis.map((api) => api.get('/health/db')));
  expect(tally(health)).toEqual({ 200: 2 });
});

test('100 parallel create-or-retrieve calls give one conversation: one 201, 99 times 200', async () => {
  const answers = await atOnce(100, pair.apis, (api) =>
    api.post('/businesses/1001/clients/501/conversations', { name: 'Ann Lee', phone: '+12025550501' }),
  );
  expect(tally(answers)).toEqual({ 200: 99, 201: 1 });
  expect(new Set(answers.map(({ body }) => body.conversation_id)).size).toBe(1);
  expect(
    await pair.rows(`select conversation_id from conversations where business_id = 1001 and client_id = 501`),
  ).toHaveLength(1);
  const events = await pair.rows<{ type: string }>(
    `select type from events where business_id = 1001 and (data->>'client_id')::bigint = 501`,
  );
  expect(events.map(({ type }) => type).filter((type) => type === 'conversation.created')).toHaveLength(1);
});

test('100 parallel texts to one unknown number make one client, one conversation and 100 messages', async () => {
  const answers = await atOnce(100, pair.apis, (api, i) =>
    api.post('/sms/queue', { to: '(202) 555-0502', content: `Hello ${i}` }),
  );
  expect(tally(answers)).toEqual({ 202: 100 });
  const distinct = (field: string) => new Set(answers.map(({ body }) => body[field])).size;
  expect([distinct('client_id'), distinct('conversation_id'), distinct('message_id')]).toEqual([1, 1, 100]);

  const { client_id, conversation_id } = answers[0]!.body;
  const page = await pair.apis[0].get(
    `/businesses/1001/clients/${client_id}/conversations/${conversation_id}/messages?limit=100`,
  );
  expect(new Set(page.body.data.map((m: { content: string }) => m.content)).size).toBe(100);
  expect(
    await pair.rows(`select 1 from client_addresses where business_id = 1001 and address = '+12025550502'`),
  ).toHaveLength(1);
});

test('first texts from 20 unknown numbers, each heard by both processes at once, make 20 clients', async () => {
  const answers = await atOnce(80, pair.apis, (api, i) =>
    api.post('/simulator/inbound', {
      channel: 'sms',
      // Both processes hear each number: i and i + 1 differ in their process.
      from: `+120255506${String(Math.floor(i / 4)).padStart(2, '0')}`,
      to: '+15005550006',
      content: `Is the class on? ${i}`,
    }),
  );
  expect(tally(answers)).toEqual({ 201: 80 });
  expect(new Set(answers.map(({ body }) => body.client_id)).size).toBe(20);
  const rows = await pair.rows<{ unread_count: number }>(
    `select unread_count from conversations c join client_addresses a using (business_id, client_id)
     where business_id = 1001 and a.address like '+120255506%'`,
  );
  expect(rows).toEqual(Array.from({ length: 20 }, () => ({ unread_count: 4 })));
});

test('the same request_id 100 times in parallel is one message and one answer', async () => {
  const answers = await atOnce(100, pair.apis, (api) =>
    api.post('/sms/queue', { to: '+12025550503', content: 'Once only', request_id: 'once-only' }),
  );
  expect(tally(answers)).toEqual({ 202: 100 });
  expect(answers.map(({ body }) => body)).toEqual(answers.map(() => answers[0]!.body));
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1);
  expect(await pair.rows(`select 1 from messages where request_id = 'once-only'`)).toHaveLength(1);
});

test('the same note 100 times in parallel, under one request_id, is one note', async () => {
  const made = await pair.apis[0].post('/businesses/1001/clients/504/conversations', {
    phone: '+12025550504',
  });
  const path = `/businesses/1001/clients/504/conversations/${made.body.conversation_id}/note`;
  const note = { content: 'Prefers mornings', sent_by: 12345, sender_type: 'staff', request_id: 'one-note' };
  const answers = await atOnce(100, pair.apis, (api) => api.post(path, note));
  expect(tally(answers)).toEqual({ 200: 100 });
  expect(new Set(answers.map(({ body }) => body.message_id)).size).toBe(1);
  expect(await pair.rows(`select 1 from messages where content = 'Prefers mornings'`)).toHaveLength(1);
});

test('one request_id with two bodies in parallel: one body is written, the other is refused', async () => {
  const answers = await atOnce(40, pair.apis, (api, i) =>
    api.post('/sms/queue', {
      to: '+12025550505',
      // Both bodies go through both processes.
      content: Math.floor(i / 2) % 2 === 0 ? 'Yes' : 'No',
      request_id: 'two-bodies',
    }),
  );
  expect(tally(answers)).toEqual({ 202: 20, 422: 20 });
  expect(new Set(answers.filter(({ status }) => status === 422).map(({ body }) => body.code))).toEqual(
    new Set(['request_id_reused']),
  );
  expect(await pair.rows(`select 1 from messages where request_id = 'two-bodies'`)).toHaveLength(1);
});
