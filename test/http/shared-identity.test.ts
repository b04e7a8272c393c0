import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
const base = '/businesses/1001/clients';
const phone = '+12025550150';

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  for (const [id, name] of [
    [501, 'Ana Lima'],
    [502, 'Ben Lima'],
    [503, 'Cleo Lima'],
  ] as const) {
    await api.call('PUT', `${base}/${id}`, { name, phones: [phone] });
  }
});
afterAll(() => omega.close());

const inbound = async (content: string) => {
  await omega.tick(1_000);
  const answer = await api.post('/simulator/inbound', { from: phone, to: '+15005550006', content });
  expect(answer.status).toBe(201);
  return answer.body as { client_id: number; conversation_id: string };
};
const send = async (clientId: number, content: string, more = {}) => {
  await omega.tick(1_000);
  const answer = await api.post('/sms/queue', { client_id: clientId, content, ...more });
  expect(answer.status).toBe(202);
  await omega.settled();
  return answer.body;
};
const conversationOf = async (clientId: number) =>
  (await api.get('/businesses/1001/conversations?limit=100')).body.data.find(
    (row: { client: { client_id: number } }) => row.client.client_id === clientId,
  );
const contents = async (clientId: number, conversationId: string) =>
  (await api.get(`${base}/${clientId}/conversations/${conversationId}/messages?order=oldest`)).body.data.map(
    (message: { content: string }) => message.content,
  );
const confirm = (clientId: number, conversationId: string, whose: number) =>
  api.post(`${base}/${clientId}/conversations/${conversationId}/identity`, { client_id: whose });

describe('confirmIdentity: a phone that a parent and two children share', () => {
  let thread: { client_id: number; conversation_id: string };

  test('lands with whom was written to last, with everyone else as a candidate', async () => {
    await send(503, 'Cleo, your lesson is at 4');
    await send(502, 'Ben, your lesson is at 5');
    thread = await inbound('Can we make it 6?');
    expect(thread.client_id).toBe(502);
    const row = await conversationOf(502);
    expect(row).toMatchObject({ identity_confirmed: false, unread_count: 1 });
    expect(row.candidates).toEqual([
      { client_id: 502, name: 'Ben Lima', reason: 'last_messaged' },
      { client_id: 501, name: 'Ana Lima', reason: 'shares_address' },
      { client_id: 503, name: 'Cleo Lima', reason: 'shares_address' },
    ]);
  });

  test('moves the messages in question and the answers to them to whom staff confirm', async () => {
    await send(502, 'Who is this please?', { sent_by: 12345 });
    await inbound('It is Cleo');
    await api.post(`${base}/502/conversations/${thread.conversation_id}/note`, { content: 'Note on Ben' });
    await send(502, 'Reminder for Ben', { sender_type: 'automation' });

    const answer = await confirm(502, thread.conversation_id, 503);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      client: { client_id: 503 },
      identity_confirmed: true,
      candidates: [],
      unread_count: 2,
      status: 'open',
      last_message: { preview: 'It is Cleo' },
    });
    expect(await contents(503, answer.body.conversation_id)).toEqual([
      'Cleo, your lesson is at 4',
      'Can we make it 6?',
      'Who is this please?',
      'It is Cleo',
    ]);
    expect(await contents(502, thread.conversation_id)).toEqual([
      'Ben, your lesson is at 5',
      'Note on Ben',
      'Reminder for Ben',
    ]);
    const ben = await conversationOf(502);
    expect(ben).toMatchObject({
      unread_count: 0,
      waiting_since: null,
      identity_confirmed: true,
      last_message: { preview: 'Reminder for Ben' },
    });
    // Staff's question answered the first message; the second waits.
    const cleo = await conversationOf(503);
    const [, , , second] = (
      await api.get(`${base}/503/conversations/${cleo.conversation_id}/messages?order=oldest`)
    ).body.data;
    expect(cleo.waiting_since).toBe(second.occurred_at);
    const event = await omega.omega.database.db
      .selectFrom('events')
      .selectAll()
      .where('type', '=', 'conversation.identity_confirmed')
      .executeTakeFirstOrThrow();
    expect(event).toMatchObject({
      changed: { client_id: { from: 502, to: 503 } },
      data: { messages_moved: 3, from_conversation_id: thread.conversation_id },
    });
  });

  test('asks no more while that thread is open and was the last one written to', async () => {
    await send(503, 'Six it is', { sent_by: 12345 });
    expect((await inbound('Great')).client_id).toBe(503);
    expect(await conversationOf(503)).toMatchObject({ identity_confirmed: true, candidates: [] });
    expect((await confirm(503, (await conversationOf(503)).conversation_id, 503)).status).toBe(409);
  });

  test('asks again when another of them was written to since', async () => {
    await send(501, 'Ana, the invoice is in your mail');
    const asked = await inbound('Thanks, paid');
    expect(asked.client_id).toBe(501);
    const row = await conversationOf(501);
    expect(row.identity_confirmed).toBe(false);
    const answer = await confirm(501, asked.conversation_id, 501);
    expect(answer.body).toMatchObject({
      client: { client_id: 501 },
      identity_confirmed: true,
      unread_count: 1,
    });
    expect(await contents(501, asked.conversation_id)).toEqual([
      'Ana, the invoice is in your mail',
      'Thanks, paid',
    ]);
  });

  test('takes only a candidate', async () => {
    await api.call('PUT', `${base}/504`, { name: 'Stranger', phones: ['+12025550154'] });
    await send(502, 'Ben again');
    const asked = await inbound('Hm');
    for (const id of [504, 999_999]) {
      const answer = await confirm(502, asked.conversation_id, id);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].path).toBe('client_id');
    }
    expect((await confirm(501, asked.conversation_id, 501)).status).toBe(404);
  });

  test('a STOP from the phone stops it for all of them', async () => {
    await inbound('STOP');
    for (const id of [501, 502, 503]) {
      expect(await send(id, 'Still there?')).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
    }
  });

  test('when the others are merged away, it is sure whose the messages are', async () => {
    expect((await conversationOf(502)).identity_confirmed).toBe(false);
    for (const id of [501, 503]) await api.post(`${base}/502/merge`, { merge_client_id: id });
    expect(await conversationOf(502)).toMatchObject({ identity_confirmed: true, candidates: [] });
    expect(await omegaHas('ambiguous')).toBe(0);
  });
});

test('nobody was written to yet: it is the one who was heard from last', async () => {
  const two = '+12025550160';
  await api.call('PUT', `${base}/601`, { name: 'One', emails: ['one@example.com'], phones: [two] });
  await api.call('PUT', `${base}/602`, { name: 'Two', emails: ['two@example.com'], phones: [two] });
  await api.post('/simulator/inbound', {
    channel: 'email',
    from: 'two@example.com',
    to: 'hello@lotus.example',
    content: 'Hello',
  });
  const answer = await api.post('/simulator/inbound', { from: two, to: '+15005550006', content: 'Me again' });
  expect(answer.body.client_id).toBe(602);
  expect((await conversationOf(602)).candidates[0]).toEqual({
    client_id: 602,
    name: 'Two',
    reason: 'last_seen',
  });
  // Whose thread held nothing else is closed when its messages go.
  const first = await conversationOf(602);
  await omega.omega.database.db.deleteFrom('messages').where('channel', '=', 'email').execute();
  const confirmed = await confirm(602, first.conversation_id, 601);
  expect(confirmed.body.client.client_id).toBe(601);
  expect((await conversationOf(602)).status).toBe('closed');
});

async function omegaHas(column: 'ambiguous'): Promise<number> {
  const rows = await omega.omega.database.db
    .selectFrom('messages')
    .select('message_id')
    .where(column, '=', true)
    .execute();
  return rows.length;
}
