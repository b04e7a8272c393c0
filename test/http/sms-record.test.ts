import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, messagesOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const record = (body: object) =>
  api.post('/sms/record', { content: 'Can I move to 10?', direction: 'inbound', ...body });
let lastPhone = 0;
const newPhone = () => `+1202558${String(++lastPhone).padStart(4, '0')}`;
const ago = (ms: number) => new Date(omega.clock.now() - ms).toISOString();
const accepted = async (to: string) =>
  (
    await omega.omega.database.db
      .selectFrom('simulator_messages')
      .selectAll()
      .where('to_address', '=', to)
      .execute()
  ).length;
const close = (conversationId: string) =>
  omega.omega.database.db
    .updateTable('conversations')
    .set({ status: 'closed' })
    .where('conversation_id', '=', conversationId)
    .execute();

describe('POST /sms/record', () => {
  test('writes down a text that another system sent, and sends nothing', async () => {
    const to = newPhone();
    const occurred_at = ago(60_000);
    const { status, body } = await record({ to, direction: 'outbound', content: 'Hi', occurred_at });
    expect(status).toBe(201);
    expect(body).toEqual({
      request_id: expect.any(String),
      message_id: expect.any(String),
      conversation_id: expect.any(String),
      client_id: expect.any(Number),
      status: 'sent',
      segments: 1,
      encoding: 'GSM-7',
    });
    await omega.settled();
    expect(await messageOf(api, 1001, body)).toMatchObject({
      status: 'sent',
      direction: 'outbound',
      to,
      from: null,
      attempts: 0,
      provider: null,
      occurred_at,
      sent_at: occurred_at,
      created_at: ago(0),
    });
    expect(await accepted(to)).toBe(0);
  });

  test('writes down a text that a client sent: unread, and the client waits since then', async () => {
    const from = newPhone();
    const occurred_at = ago(120_000);
    const { status, body } = await record({ to: from, from: '+15005550006', occurred_at });
    expect(status).toBe(201);
    expect(body.status).toBe('received');
    expect(await messageOf(api, 1001, body)).toMatchObject({
      direction: 'inbound',
      from,
      to: '+15005550006',
      sender_type: 'client',
      unread: true,
      occurred_at,
    });
    await record({ to: from, content: 'Hello?' });
    expect(await rowOf(api, 1001, body)).toMatchObject({ unread_count: 2, waiting_since: occurred_at });
  });

  test('keeps what the host says: status with its times, staff, location, provider, reference, metadata', async () => {
    const said = {
      direction: 'outbound',
      status: 'read',
      sent_by: 12345,
      location_id: 2,
      provider: 'twilio',
      provider_message_id: 'SM0001',
      external_ref: { type: 'class', id: '7' },
      metadata: { a: [1] },
      media_urls: ['https://lotus.example/a.png'],
      occurred_at: ago(1000),
    };
    const { body } = await record({ to: newPhone(), ...said });
    const times = { sent_at: said.occurred_at, delivered_at: said.occurred_at, read_at: said.occurred_at };
    expect(await messageOf(api, 1001, body)).toMatchObject({ ...said, ...times, sender_type: 'staff' });
  });

  test('the same provider message twice is one message, however it comes', async () => {
    const text = { to: newPhone(), provider: 'twilio', provider_message_id: 'SM-twice' };
    const all = await Promise.all(Array.from({ length: 20 }, () => record(text)));
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(all.map(({ body }) => body.message_id)).size).toBe(1);
    const late = await record({ ...text, content: 'as another system has it' });
    expect(late.body.message_id).toBe(all[0]!.body.message_id);
    expect(await messagesOf(api, 1001, late.body)).toHaveLength(1);
    expect((await rowOf(api, 1001, late.body)).unread_count).toBe(1);

    const other = await record({ ...text, provider: 'vonage' });
    expect(other.body.message_id).not.toBe(late.body.message_id);
  });

  test('a text from the client reopens the conversation; one that was read already, or that went out, does not', async () => {
    const to = newPhone();
    const { body } = await record({ to });
    await close(body.conversation_id);
    const read = await record({ to, status: 'read' });
    const sent = await record({ to, direction: 'outbound' });
    expect([read.body.conversation_id, sent.body.conversation_id]).toEqual(
      Array(2).fill(body.conversation_id),
    );
    expect(await rowOf(api, 1001, body)).toMatchObject({ status: 'closed', unread_count: 1 });
    const reopened = await record({ to });
    expect(reopened.body.conversation_id).toBe(body.conversation_id);
    expect(await rowOf(api, 1001, body)).toMatchObject({ status: 'open', unread_count: 2 });
  });

  test('the order of a conversation is when things happened, not when they were told', async () => {
    const to = newPhone();
    const { body } = await record({ to, content: 'third', occurred_at: ago(1_000) });
    await record({ to, content: 'first', direction: 'outbound', occurred_at: ago(3_000) });
    await record({ to, content: 'second', occurred_at: ago(2_000) });
    expect((await messagesOf(api, 1001, body)).map(({ content }) => content)).toEqual([
      'first',
      'second',
      'third',
    ]);
    expect((await rowOf(api, 1001, body)).last_message).toMatchObject({ preview: 'third', at: ago(1_000) });
  });

  test('a long past is kept to the millisecond', async () => {
    const to = newPhone();
    for (const occurred_at of ['1900-02-03T04:05:06.007Z', '1969-12-31T23:59:59.999Z']) {
      const { body } = await record({ to, occurred_at });
      expect((await messageOf(api, 1001, body)).occurred_at).toBe(occurred_at);
    }
  });

  test('needs no sender, and takes any number of the business as told', async () => {
    const bare = await omega.business({ business_id: 2002, senders: [] });
    const { status, body } = await bare.api.post('/sms/record', {
      to: newPhone(),
      from: '(202) 555-0777',
      direction: 'outbound',
      content: 'Hi',
    });
    expect(status).toBe(201);
    expect((await messageOf(bare.api, 2002, body)).from).toBe('+12025550777');
  });

  test('a STOP that another system received counts', async () => {
    const to = newPhone();
    const { body } = await record({ to, content: ' Stop. ' });
    expect(body.status).toBe('received');
    expect((await api.post('/sms/queue', { to, content: 'Hi' })).body).toMatchObject({
      status: 'suppressed',
      reason: 'opted_out',
    });
  });

  test.each([
    [{ direction: 'inbound', status: 'delivered' }, 'status invalid_value'],
    [{ direction: 'outbound', status: 'received' }, 'status invalid_value'],
    [{ direction: 'outbound', status: 'scheduled' }, 'status invalid_value'],
    [{ direction: 'outbound', status: 'suppressed' }, 'status invalid_value'],
    [{ provider: 'twilio' }, 'provider_message_id required'],
    [{ provider_message_id: 'SM1' }, 'provider required'],
    [{ provider: 'Twilio!', provider_message_id: 'SM1' }, 'provider invalid_format'],
    [{ direction: undefined }, 'direction required'],
    [{ direction: 'internal' }, 'direction invalid_value'],
    [{ to: undefined }, 'client_id required'],
    [{ to: 'nobody' }, 'to invalid_format'],
    [{ from: '??' }, 'from invalid_format'],
    [{ occurred_at: '1899-12-31T23:59:59.999Z' }, 'occurred_at invalid_format'],
    [{ occurred_at: '2026-03-10T15:06:00.000Z' }, 'occurred_at invalid_value'],
  ])('%j is 422: %s', async (body, fault) => {
    const answer = await record({ to: newPhone(), ...body });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual([fault]);
  });

  test('a clock that is a little fast is forgiven', async () => {
    expect((await record({ to: newPhone(), occurred_at: ago(-299_000) })).status).toBe(201);
  });

  test('an unknown client, staff member or location is 404', async () => {
    expectProblem(await record({ client_id: 999_999 }), 404, 'not_found');
    expectProblem(await record({ to: newPhone(), sent_by: 999 }), 404, 'not_found');
    expectProblem(await record({ to: newPhone(), location_id: 999 }), 404, 'not_found');
  });
});
