import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const minute = 60_000;
const inMs = (ms: number) => new Date(omega.clock.now() + ms).toISOString();
const stateOf = async (id: string) => (await api.get(`/messages/${id}/timeline`)).body.message;
const schedule = async (to: string, more: object = {}) =>
  (
    await api.post('/sms/queue', {
      to,
      content: 'Shall we keep your place?',
      send_at: inMs(60 * minute),
      ...more,
    })
  ).body.message_id as string;
const writes = async (from: string, more: object = {}) => {
  const answer = await omega.platform.post('/simulator/inbound', {
    business_id: 1001,
    channel: 'sms',
    from,
    to: '+15005550006',
    content: 'Yes please',
    ...more,
  });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
};

test('queueSms with cancel_on_reply: the client who wrote is not asked again, and everybody else is', async () => {
  const [ana, ben] = ['+12025550171', '+12025550172'];
  const asked = await schedule(ana, { cancel_on_reply: true });
  const anyway = await schedule(ana);
  const silent = await schedule(ben, { cancel_on_reply: true });
  expect(await stateOf(asked)).toMatchObject({ status: 'scheduled', cancel_on_reply: true });
  await writes(ana);
  expect(await stateOf(asked)).toMatchObject({ status: 'canceled', reason: 'client_replied', attempts: 0 });
  expect(await stateOf(silent)).toMatchObject({ status: 'scheduled' });
  await omega.tick(61 * minute);
  expect(await stateOf(asked)).toMatchObject({ status: 'canceled', attempts: 0 });
  for (const id of [anyway, silent]) expect(await stateOf(id)).toMatchObject({ status: 'delivered' });
  const events = await omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', 'message.canceled')
    .execute();
  expect(events).toMatchObject([
    {
      actor: { type: 'client' },
      changed: { status: { from: 'scheduled', to: 'canceled' } },
      data: { message_id: asked, reason: 'client_replied' },
    },
  ]);
});

test('queueEmail with cancel_on_reply: an answer on another channel counts, several at once cancel it once', async () => {
  await api.call('PUT', '/businesses/1001/clients/6001', {
    name: 'Cleo Park',
    phones: ['+12025550173'],
    emails: ['cleo@example.com'],
  });
  const mail = await api.post('/email/queue', {
    client_id: 6001,
    subject: 'Your place',
    text: 'Shall we keep it?',
    send_at: inMs(60 * minute),
    cancel_on_reply: true,
  });
  expect(mail.status, JSON.stringify(mail.body)).toBe(202);
  await Promise.all(Array.from({ length: 5 }, () => writes('+12025550173')));
  const timeline = await api.get(`/messages/${mail.body.message_id}/timeline`);
  expect(timeline.body.message).toMatchObject({ status: 'canceled', reason: 'client_replied' });
  const applied = timeline.body.entries.filter(
    ({ kind, data }: { kind: string; data: { applied: boolean } }) =>
      kind === 'status.canceled' && data.applied,
  );
  expect(applied).toHaveLength(1);
});

test('cancel_on_reply: a call and what was written before it cancel nothing', async () => {
  const phone = '+12025550174';
  const id = await schedule(phone, { cancel_on_reply: true });
  const call = { channel: 'voice', direction: 'inbound', from: phone, content: 'A call' };
  expect((await api.post('/messages', call)).body).toMatchObject({ accepted: 1 });
  await api.post('/sms/record', {
    to: phone,
    direction: 'inbound',
    content: 'Last week',
    occurred_at: inMs(-60 * minute),
  });
  expect(await stateOf(id)).toMatchObject({ status: 'scheduled' });
  await api.post('/sms/record', { to: phone, direction: 'inbound', content: 'Here I am' });
  expect(await stateOf(id)).toMatchObject({ status: 'canceled', reason: 'client_replied' });
  const retried = await api.post('/messages/retry', { message_ids: [id] });
  expect(retried.body).toMatchObject({ retried: 0, skipped: [{ message_id: id }] });
});

test('queueEmail with expected_last_message_id: what the writer has not seen stops it', async () => {
  const phone = '+12025550173';
  const seen = (await api.post('/sms/queue', { to: phone, content: 'Anything else?' })).body;
  await writes(phone, { content: 'Wait, not Friday!' });
  const stale = await api.post('/email/queue', {
    client_id: 6001,
    subject: 'Friday',
    text: 'Friday it is',
    expected_last_message_id: seen.message_id,
  });
  expect(stale).toMatchObject({
    status: 409,
    body: { code: 'conversation_changed', missed: [{ content: 'Wait, not Friday!' }] },
  });
});
