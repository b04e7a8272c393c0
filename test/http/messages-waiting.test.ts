import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
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

const inMs = (ms: number) => new Date(omega.clock.now() + ms).toISOString();
const minute = 60_000;
const stateOf = async (id: string) => (await api.get(`/messages/${id}/timeline`)).body.message;
const schedule = async (to: string, ms: number, more: object = {}) =>
  (await api.post('/sms/queue', { to, content: `scheduled ${to}`, send_at: inMs(ms), ...more })).body
    .message_id as string;

test('cancelMessage: a message is canceled only before it was handed over', async () => {
  const id = await schedule('+12025550111', minute);
  const canceled = await api.post(`/messages/${id}/cancel`);
  expect(canceled).toMatchObject({ status: 200, body: { message_id: id, status: 'canceled' } });
  expect((await api.post(`/messages/${id}/cancel`)).status).toBe(409);
  await omega.tick(2 * minute);
  expect(await stateOf(id)).toMatchObject({ status: 'canceled', attempts: 0 });
  const { body } = await api.post('/sms/queue', { to: '+12025550111', content: 'now' });
  await omega.settled();
  expect((await api.post(`/messages/${body.message_id}/cancel`)).body.code).toBe('conflict');
  const [event] = await omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', 'message.canceled')
    .execute();
  expect(event).toMatchObject({
    changed: { status: { from: 'scheduled', to: 'canceled' } },
    data: { message_id: id },
    actor: { type: 'key' },
  });
});

test('cancelMessage and updateExternalRef: what the carrier refused for now is called back before its next attempt', async () => {
  const ref = { external_ref: { type: 'appointment', id: 'busy' } };
  const send = async (more: object = {}) =>
    (await api.post('/sms/queue', { to: '+15005550018', content: 'busy', ...more })).body.message_id;
  const [alone, withAppointment] = [await send(), await send(ref)];
  await omega.settled();
  for (const id of [alone, withAppointment])
    expect(await stateOf(id)).toMatchObject({ status: 'sending', attempts: 1 });
  expect((await api.post(`/messages/${alone}/cancel`)).body).toMatchObject({ status: 'canceled' });
  const off = await api.post('/external-refs/appointment/busy', { action: 'canceled' });
  expect(off.body.messages).toMatchObject([{ message_id: withAppointment, status: 'canceled' }]);
  await omega.tick(60 * minute);
  for (const id of [alone, withAppointment])
    expect(await stateOf(id)).toMatchObject({ status: 'canceled', attempts: 1 });
});

test('rescheduleMessage: a message moved later goes then, one moved earlier goes earlier, each once', async () => {
  const later = await schedule('+12025550112', minute);
  const earlier = await schedule('+12025550113', 60 * minute);
  const past = await schedule('+12025550114', 60 * minute);
  const moved = await api.post(`/messages/${later}/reschedule`, { send_at: inMs(10 * minute) });
  expect(moved).toMatchObject({ status: 200, body: { status: 'scheduled', send_at: inMs(10 * minute) } });
  await api.post(`/messages/${earlier}/reschedule`, { send_at: inMs(minute) });
  const now = await api.post(`/messages/${past}/reschedule`, { send_at: inMs(-minute) });
  expect(now.body.status).toBe('queued');
  await omega.settled();
  expect(await stateOf(past)).toMatchObject({ status: 'delivered', attempts: 1 });
  await omega.tick(2 * minute);
  expect(await stateOf(later)).toMatchObject({ status: 'scheduled' });
  expect(await stateOf(earlier)).toMatchObject({ status: 'delivered', attempts: 1 });
  await omega.tick(10 * minute);
  expect(await stateOf(later)).toMatchObject({ status: 'delivered', attempts: 1 });
  await omega.tick(60 * minute);
  for (const id of [later, earlier, past]) expect((await stateOf(id)).attempts).toBe(1);
  expect((await api.post(`/messages/${later}/reschedule`, { send_at: inMs(minute) })).status).toBe(409);
  const far = await schedule('+12025550112', minute);
  const tooFar = await api.post(`/messages/${far}/reschedule`, { send_at: inMs(401 * 1440 * minute) });
  expect(tooFar).toMatchObject({ status: 422, body: { errors: [{ path: 'send_at' }] } });
  const leap = await api.post(`/messages/${far}/reschedule`, { send_at: '2026-06-30T23:59:60Z' });
  expect(leap).toMatchObject({ status: 422, body: { errors: [{ path: 'send_at' }] } });
});

test('updateExternalRef: an appointment that moves takes its messages with it, in one call, and none of another business', async () => {
  const day = 1440 * minute;
  const starts_at = inMs(10 * day);
  const ref = { external_ref: { type: 'appointment', id: '8841', starts_at } };
  const dayBefore = await schedule('+12025550115', 9 * day, ref);
  const hourBefore = await schedule('+12025550115', 10 * day - 60 * minute, ref);
  const unknown = await schedule('+12025550115', 9 * day, {
    external_ref: { type: 'appointment', id: '8841' },
  });
  const elsewhere = await schedule('+12025550115', 9 * day, {
    external_ref: { type: 'class', id: '8841', starts_at },
  });
  const foreign = await other.post('/sms/queue', {
    to: '+12025550115',
    content: 'theirs',
    send_at: inMs(9 * day),
    ...ref,
  });

  const to = inMs(3 * day);
  const moved = await api.post('/external-refs/appointment/8841', { action: 'moved', starts_at: to });
  expect(moved).toMatchObject({ status: 200, body: { has_more: false } });
  expect(
    new Map(
      moved.body.messages.map((m: Message & { outcome: string }) => [m.message_id, [m.outcome, m.send_at]]),
    ),
  ).toEqual(
    new Map([
      [dayBefore, ['moved', inMs(2 * day)]],
      [hourBefore, ['moved', inMs(3 * day - 60 * minute)]],
      [unknown, ['kept', inMs(9 * day)]],
    ]),
  );
  const again = await api.post('/external-refs/appointment/8841', { action: 'moved', starts_at: to });
  expect(again.body.messages).toEqual([]);
  expect((await stateOf(dayBefore)).external_ref.starts_at).toBe(to);
  const theirs = await other.get(`/messages/${foreign.body.message_id}/timeline`);
  expect(theirs.body.message.send_at).toBe(inMs(9 * day));

  // Tomorrow at noon: the day before it has begun, so that reminder goes now.
  const soon = await api.post('/external-refs/appointment/8841', {
    action: 'moved',
    starts_at: inMs(day / 2),
  });
  expect(soon.body.messages.find((m: Message) => m.message_id === dayBefore)).toMatchObject({
    outcome: 'moved',
    status: 'queued',
  });
  await omega.settled();
  expect(await stateOf(dayBefore)).toMatchObject({ status: 'delivered', attempts: 1 });

  const noted = await api.post('/external-refs/appointment/8841', {
    action: 'moved',
    starts_at: inMs(5 * day),
    shift: false,
  });
  expect(noted.body.messages.every((m: { outcome: string }) => m.outcome === 'kept')).toBe(true);

  const canceled = await api.post('/external-refs/appointment/8841', { action: 'canceled' });
  expect(canceled.body.messages.map((m: Message) => m.status)).toEqual(['canceled', 'canceled']);
  expect(await stateOf(elsewhere)).toMatchObject({ status: 'scheduled' });
  expect((await api.post('/external-refs/appointment/8841', { action: 'moved' })).status).toBe(422);
  expect((await api.post('/external-refs/any%2Fthing/%C3%A9', { action: 'canceled' })).status).toBe(200);
});

test('reminders of an appointment moved into the past are canceled, not sent', async () => {
  const id = await schedule('+12025550116', minute, {
    external_ref: { type: 'appointment', id: 'gone', starts_at: inMs(5 * minute) },
  });
  const { body } = await api.post('/external-refs/appointment/gone', {
    action: 'moved',
    starts_at: inMs(-minute),
  });
  expect(body.messages).toMatchObject([{ message_id: id, outcome: 'canceled', status: 'canceled' }]);
});

test('an answer to a conversation that moved on is stopped, with what was missed', async () => {
  const client = '+12025550117';
  const seen = await api.post('/messages', {
    channel: 'sms',
    direction: 'inbound',
    from: client,
    content: 'At 9?',
  });
  const { message_id, conversation_id, client_id } = seen.body.results[0];
  const at = `/businesses/1001/clients/${client_id}/conversations/${conversation_id}`;
  await api.post(`${at}/note`, { content: 'Wants 9' });
  await omega.tick(1000);
  await api.post('/messages', { channel: 'sms', direction: 'inbound', from: client, content: 'No, 10' });
  const reply = { client_id, content: 'Yes, 9 is free', request_id: 'guarded' };
  const stopped = await api.post('/sms/queue', { ...reply, expected_last_message_id: message_id });
  expect(stopped).toMatchObject({ status: 409, body: { code: 'conversation_changed' } });
  expect(stopped.body.missed).toMatchObject([{ content: 'No, 10', conversation_id }]);

  const last = stopped.body.missed[0].message_id;
  const random = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  const guess = await api.post('/sms/queue', { ...reply, expected_last_message_id: random });
  expect(guess.body.missed.map((m: Message) => m.content)).toEqual(['At 9?', 'No, 10']);
  const preflight = await api.post('/messages/preflight', { ...reply, expected_last_message_id: random });
  expect(preflight.body.code).toBe('conversation_changed');
  const sent = await api.post('/sms/queue', { ...reply, expected_last_message_id: last });
  expect(sent.status).toBe(202);

  // Two who answer the same message at the same moment: one is told of the other.
  const answers = await Promise.all(
    ['first', 'second', 'third'].map((content) =>
      api.post('/sms/queue', { client_id, content, expected_last_message_id: sent.body.message_id }),
    ),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
  const late = answers.find(({ status }) => status === 409)!;
  expect(late.body.missed).toHaveLength(1);
});

test('preflightMessage: a preflight decides as the send does, and leaves nothing behind', async () => {
  const { db } = omega.omega.database;
  const count = async () => {
    const tables = ['messages', 'clients', 'addresses', 'conversations', 'requests', 'events'] as const;
    return Promise.all(
      tables.map((table) =>
        db
          .selectFrom(table)
          .select((eb) => eb.fn.countAll().as('n'))
          .executeTakeFirst(),
      ),
    );
  };
  const before = await count();
  const stranger = await api.post('/messages/preflight', {
    to: '(202) 555-0119',
    content: 'Ça va? “Yes”',
    category: 'marketing',
    send_at: '2026-03-11T04:30:00Z',
    request_id: 'no-effect',
  });
  expect(stranger.body).toMatchObject({
    would_send: true,
    status: 'scheduled',
    to: '+12025550119',
    sender: { address: '+15005550006', provider: 'simulator' },
    client: { client_id: null, is_new: true },
    conversation_id: null,
    segments: 1,
    encoding: 'UCS-2',
    units: 12,
    offending_characters: [
      { character: '“', index: 7 },
      { character: '”', index: 11 },
    ],
    consent: { allowed: true, entry: null },
    hours: {
      applies: true,
      allowed: false,
      time_zone: 'America/New_York',
      local_time: '00:30',
      next_allowed_at: '2026-03-11T12:00:00.000Z',
    },
    duplicates: [],
  });
  expect(await count()).toEqual(before);

  const to = '+12025550120';
  const queued = await api.post('/sms/queue', { to, content: 'Same words', request_id: 'no-effect' });
  expect(queued.status).toBe(202);
  const twice = await api.post('/messages/preflight', { to, content: 'Same words' });
  expect(twice.body.duplicates).toMatchObject([{ message_id: queued.body.message_id }]);
  await omega.tick(11 * minute);
  expect((await api.post('/messages/preflight', { to, content: 'Same words' })).body.duplicates).toEqual([]);

  await api.post('/messages', { channel: 'sms', direction: 'inbound', from: to, content: 'stop' });
  const stopped = await api.post('/messages/preflight', { to, content: 'Hello' });
  expect(stopped.body).toMatchObject({
    would_send: false,
    status: 'suppressed',
    reason: 'opted_out',
    send_at: null,
    consent: {
      allowed: false,
      entry: { state: 'revoked', source: 'keyword', evidence: { content: 'stop' } },
    },
  });

  for (const body of [
    { to: 'nobody', content: 'x' },
    { content: 'x' },
    { to, content: 'x', from: '+12025559999' },
    { client_id: 4242, content: 'x' },
    { to, content: '😀'.repeat(800) },
  ]) {
    const asked = await api.post('/messages/preflight', body);
    const sent = await api.post('/sms/queue', body);
    const { request_id: _, ...problem } = asked.body;
    const { request_id: __, ...refusal } = sent.body;
    expect(asked.status).toBe(sent.status);
    expect(problem).toEqual(refusal);
  }
});

test('getMessageTimeline: the request, each attempt and all that was told, in order; of others it is 404', async () => {
  const queued = await api.post('/sms/queue', {
    to: '+15005550017',
    content: 'Two faults, then taken',
    request_id: 'timeline-1',
  });
  const { message_id } = queued.body;
  await omega.settled();
  for (let i = 0; i < 10 && (await stateOf(message_id)).status !== 'delivered'; i++) await omega.tick(minute);
  await api.post('/sms/status', { message_id, status: 'sent' });
  const { status, body } = await api.get(`/messages/${message_id}/timeline`);
  expect(status).toBe(200);
  expect(body.message).toMatchObject({ message_id, status: 'delivered' });
  expect(body.request).toMatchObject({ request_id: 'timeline-1', operation: 'queueSms' });
  expect(body.attempts.map((one: { attempt_no: number }) => one.attempt_no)).toEqual([1, 2, 3]);
  expect(body.attempts.at(-1)).toMatchObject({ state: 'accepted', provider: 'simulator' });
  const kinds = body.entries.map((entry: { kind: string }) => entry.kind);
  expect(kinds[0]).toBe('queued');
  expect(kinds).toContain('status.delivered');
  expect(body.entries.at(-1)).toMatchObject({
    kind: 'status.sent',
    data: { applied: false, source: 'api', actor: { type: 'key' } },
  });
  const times = body.entries.map((entry: { at: string }) => entry.at);
  expect(times).toEqual([...times].sort());
  expect((await other.get(`/messages/${message_id}/timeline`)).status).toBe(404);
});
