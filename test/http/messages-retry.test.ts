import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let other: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  ({ api: other } = await omega.business({ business_id: 1002 }));
});
afterAll(() => omega.close());

async function send(to: string, more: object = {}): Promise<string> {
  const { status, body } = await api.post('/sms/queue', { to, content: `to ${to}`, ...more });
  expect(status).toBe(202);
  await omega.settled();
  return body.message_id;
}

const timeline = async (id: string) => (await api.get(`/messages/${id}/timeline`)).body;
const kinds = async (id: string) => (await timeline(id)).entries.map((entry: { kind: string }) => entry.kind);

test('retryMessage, getMessageTimeline: a retry is a new attempt of the same message, and what is still told of the old one is history', async () => {
  const id = await send('+15005550011', { request_id: 'first-try' });
  expect((await timeline(id)).message).toMatchObject({ status: 'undelivered', reason: 'unreachable' });
  const first = (await timeline(id)).message.provider_message_id;

  const retried = await api.post(`/messages/${id}/retry`);
  expect(retried).toMatchObject({ status: 202, body: { message_id: id, status: 'queued' } });
  // A late report of the old attempt, told by its id, before and after the new one is under way.
  const late = { provider: 'simulator', provider_message_id: first, status: 'undelivered' };
  await api.post('/sms/status', late);
  await omega.settled();
  const { message, attempts, entries, request } = await timeline(id);
  expect(attempts.map((one: { attempt_no: number; state: string }) => [one.attempt_no, one.state])).toEqual([
    [1, 'accepted'],
    [2, 'accepted'],
  ]);
  expect(message).toMatchObject({ status: 'undelivered', attempts: 2 });
  expect(message.provider_message_id).not.toBe(first);
  expect(request).toMatchObject({ request_id: 'first-try', operation: 'queueSms' });
  const told = entries.map((entry: { kind: string }) => entry.kind);
  expect(told.filter((kind: string) => kind === 'attempt.claimed')).toHaveLength(2);
  expect(told.slice(0, 3)).toEqual(['queued', 'attempt.claimed', 'attempt.accepted']);
  expect(told.indexOf('retried')).toBeLessThan(told.lastIndexOf('attempt.claimed'));
  const events = await omega.omega.database.db
    .selectFrom('events')
    .select(['changed', 'data'])
    .where('business_id', '=', 1001)
    .where('type', '=', 'message.queued')
    .execute();
  expect(events.at(-1)).toMatchObject({
    changed: { status: { from: 'undelivered', to: 'queued' }, reason: { from: 'unreachable', to: null } },
    data: { message_id: id },
  });
});

test('only what failed is retried, and what failed for good only when forced', async () => {
  const delivered = await send('+12025550101');
  const refused = await api.post(`/messages/${delivered}/retry`);
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
  const landline = await send('+15005550012');
  const forGood = await api.post(`/messages/${landline}/retry`);
  expect(forGood.status).toBe(409);
  expect(forGood.body.detail).toContain('landline');
  expect((await api.post(`/messages/${landline}/retry`, { force: true })).status).toBe(202);
  await omega.settled();
  expect((await timeline(landline)).message).toMatchObject({ status: 'undelivered', attempts: 2 });
});

test('who opted out gets nothing, forced or not: the message becomes suppressed', async () => {
  const id = await send('+15005550004');
  expect((await timeline(id)).message).toMatchObject({ status: 'failed', reason: 'opted_out' });
  expect((await api.post(`/messages/${id}/retry`, { force: true })).status).toBe(202);
  await omega.settled();
  expect((await timeline(id)).message).toMatchObject({
    status: 'suppressed',
    reason: 'opted_out',
    attempts: 1,
  });
});

test('retryMessages: a retry by filter takes what it says, tells what it skips, and again what is left', async () => {
  const { api } = await omega.business({ business_id: 1003 });
  const ids: string[] = [];
  for (const to of ['+15005550003', '+15005550003', '+15005550003', '+15005550001', '+12025550102']) {
    const { body } = await api.post('/sms/queue', { to, content: 'x', request_id: `filter-${ids.length}` });
    ids.push(body.message_id);
    await omega.settled();
    await omega.tick(1000);
  }
  const [a, b, c, invalid, delivered] = ids;
  const one = await api.post('/messages/retry', { channel: 'sms', reason: 'region_not_permitted', limit: 2 });
  expect(one.body).toEqual({ retried: 2, message_ids: [a, b], skipped: [], has_more: true });
  await omega.settled();
  const byRequest = await api.post('/messages/retry', { request_id: 'filter-2' });
  expect(byRequest.body).toMatchObject({ retried: 1, message_ids: [c] });
  await omega.settled();
  const all = await api.post('/messages/retry', { channel: 'sms' });
  expect(all.body).toMatchObject({ retried: 3, has_more: false });
  expect(all.body.skipped).toEqual([{ message_id: invalid, reason: 'invalid_address' }]);
  await omega.settled();
  const foreign = await send('+15005550003');
  const random = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  const named = await api.post('/messages/retry', { message_ids: [delivered, foreign, random, invalid, a] });
  expect(named.body).toMatchObject({ retried: 1, message_ids: [a] });
  expect(named.body.skipped).toEqual([
    { message_id: delivered, reason: 'not_failed' },
    { message_id: foreign, reason: 'not_found' },
    { message_id: random, reason: 'not_found' },
    { message_id: invalid, reason: 'invalid_address' },
  ]);
  const none = await api.post('/messages/retry', { since: '2027-01-01T00:00:00Z' });
  expect(none.body).toMatchObject({ retried: 0, skipped: [] });
});

test('the retry is repeatable by its Idempotency-Key', async () => {
  const id = await send('+15005550002');
  const headers = { 'idempotency-key': 'retry-once' };
  const first = await api.post('/messages/retry', { message_ids: [id] }, headers);
  await omega.settled();
  const again = await api.post('/messages/retry', { message_ids: [id] }, headers);
  expect(again.body).toEqual(first.body);
  expect((await timeline(id)).message.attempts).toBe(2);
});

test('a retry of a message that the carrier may have needs force, and then is sent', async () => {
  const { body } = await api.post('/sms/record', {
    to: '+12025550103',
    direction: 'outbound',
    content: 'recorded',
    status: 'failed',
  });
  expect((await api.post(`/messages/${body.message_id}/retry`, { force: true })).status).toBe(409);

  const id = await send('+12025550104');
  const { db } = omega.omega.database;
  // As a crash leaves it: handed over, nobody knows, and the questions have ended.
  await db
    .updateTable('messages')
    .set({ status: 'failed', reason: 'no_answer', failed_at: new Date(omega.clock.now()) })
    .where('message_id', '=', id)
    .execute();
  await db.updateTable('attempts').set({ state: 'unknown' }).where('message_id', '=', id).execute();
  expect((await api.post('/messages/retry', { message_ids: [id] })).body.skipped).toEqual([
    { message_id: id, reason: 'no_answer' },
  ]);
  expect((await api.post(`/messages/${id}/retry`)).status).toBe(409);
  expect((await api.post(`/messages/${id}/retry`, { force: true })).status).toBe(202);
  await omega.settled();
  expect((await timeline(id)).message).toMatchObject({ status: 'delivered', attempts: 2 });
});

test("another business's messages are nobody's", async () => {
  const id = await send('+12025550105', { send_at: '2026-04-01T10:00:00Z' });
  const random = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  const without = ({ request_id: _, ...problem }: Record<string, unknown>) => problem;
  for (const [path, body] of [
    ['retry', {}],
    ['cancel', {}],
    ['reschedule', { send_at: '2026-04-02T10:00:00Z' }],
  ] as const) {
    const theirs = await other.post(`/messages/${id}/${path}`, body);
    const nobodys = await other.post(`/messages/${random}/${path}`, body);
    expect(theirs.status).toBe(404);
    expect(without(theirs.body)).toEqual(without(nobodys.body));
  }
  expect((await other.get(`/messages/${id}/timeline`)).status).toBe(404);
  expect(await kinds(id)).toEqual(['scheduled']);
});
