import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const base = '/businesses/1001/clients';
const put = (id: number, body: object) => api.call('PUT', `${base}/${id}`, body);
const inbound = async (from: string, content: string) => {
  await omega.tick(1000);
  const answer = await api.post('/simulator/inbound', { from, to: '+15005550006', content });
  expect(answer.status).toBe(201);
  return answer.body as { client_id: number; conversation_id: string; message_id: string };
};
const merge = (into: number, other: number) => api.post(`${base}/${into}/merge`, { merge_client_id: other });

describe('mergeClient: merging a provisional client into one of the host', () => {
  let provisional: { client_id: number; conversation_id: string };
  let own: { conversation_id: string };

  beforeAll(async () => {
    await put(501, { name: 'Ana Lima', phones: ['+12025550101'], tags: ['regular'] });
    provisional = await inbound('+12025550199', 'Hi, it is Ana on my new phone');
    await api.post(`${base}/${provisional.client_id}/conversations/${provisional.conversation_id}/note`, {
      content: 'Asked who it is',
    });
    own = await inbound('+12025550101', 'And on my old one');
  });

  test('makes two conversations one: messages, unread, waiting and addresses', async () => {
    const answer = await merge(501, provisional.client_id);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      client_id: 501,
      name: 'Ana Lima',
      merged_from: [provisional.client_id],
      addresses: [
        { kind: 'phone', address: '+12025550101', primary: true },
        { kind: 'phone', address: '+12025550199', primary: false },
      ],
      conversation: { conversation_id: own.conversation_id, unread_count: 2 },
      counts: { messages_in: 2, conversations: 1 },
    });
    const messages = await api.get(`${base}/501/conversations/${own.conversation_id}/messages?order=oldest`);
    expect(
      messages.body.data.map((m: { content: string; client_id: number }) => [m.content, m.client_id]),
    ).toEqual([
      ['Hi, it is Ana on my new phone', 501],
      ['Asked who it is', 501],
      ['And on my old one', 501],
    ]);
    expect(answer.body.conversation.waiting_since).toBe(messages.body.data[0].occurred_at);
  });

  test('the old ids lead to the new ones, in reading and in writing', async () => {
    const old = `${base}/${provisional.client_id}`;
    expect((await api.get(old)).body.client_id).toBe(501);
    const messages = await api.get(`${old}/conversations/${provisional.conversation_id}/messages`);
    expect(messages.status).toBe(200);
    expect(messages.body.data).toHaveLength(3);
    const note = await api.post(`${old}/conversations/${provisional.conversation_id}/note`, {
      content: 'Known now',
    });
    expect(note.status).toBe(200);
    const sent = await api.post('/sms/queue', { client_id: provisional.client_id, content: 'Hello Ana' });
    expect(sent.body).toMatchObject({ client_id: 501, conversation_id: own.conversation_id });
    expect((await api.post(`${old}/conversations`, {})).body).toMatchObject({
      conversation_id: own.conversation_id,
      client: { client_id: 501 },
    });
    expect((await inbound('+12025550199', 'Thanks')).client_id).toBe(501);
    const all = await api.get(`${base}?q=2025550199`);
    expect(all.body.data.map((row: { client_id: number }) => row.client_id)).toEqual([501]);
  });

  test('again changes nothing; the merged one is written under its new id only', async () => {
    const before = await countEvents();
    expect((await merge(501, provisional.client_id)).status).toBe(200);
    expect(await countEvents()).toBe(before);
    const answer = await put(provisional.client_id, { name: 'X' });
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain('501');
  });

  test('is told in one event', async () => {
    const event = await omega.omega.database.db
      .selectFrom('events')
      .selectAll()
      .where('type', '=', 'client.merged')
      .executeTakeFirstOrThrow();
    expect(event.data).toMatchObject({
      client_id: 501,
      merged_client_id: provisional.client_id,
      was_provisional: true,
      folded_conversation_id: provisional.conversation_id,
      messages_moved: 2,
    });
  });
});

test('a chain of merges leads to the last one from each of its ids', async () => {
  for (const id of [511, 512, 513]) await put(id, { phones: [`+1202555${id}0`.slice(0, 12)] });
  await put(512, { name: 'Middle', language: 'de', metadata: { a: 1 } });
  await put(513, { metadata: { a: 2, b: 3 } });
  expect((await merge(512, 511)).status).toBe(200);
  expect((await merge(513, 512)).body).toMatchObject({
    name: 'Middle',
    language: 'de',
    metadata: { a: 2, b: 3 },
    merged_from: [511, 512],
  });
  for (const id of [511, 512]) expect((await api.get(`${base}/${id}`)).body.client_id).toBe(513);
  // They are one already, whichever way round it is said.
  expect((await merge(511, 513)).body.client_id).toBe(513);
});

test('closed conversations move with their messages, and consent stays with its address', async () => {
  await put(521, { name: 'Stays', phones: ['+12025550521'] });
  await put(522, { name: 'Goes', phones: ['+12025550522'] });
  const theirs = await inbound('+12025550522', 'STOP');
  await omega.omega.database.db
    .updateTable('conversations')
    .set({ status: 'closed' })
    .where('conversation_id', '=', theirs.conversation_id)
    .execute();
  const { body } = await merge(521, 522);
  expect(body.counts).toMatchObject({ messages_in: 1, conversations: 1 });
  expect(
    body.consent
      .filter((one: { channel: string }) => one.channel === 'sms')
      .map((one: { address: string; transactional: { allowed: boolean } }) => [
        one.address,
        one.transactional.allowed,
      ]),
  ).toEqual([
    ['+12025550521', true],
    ['+12025550522', false],
  ]);
  const messages = await api.get(`${base}/521/conversations/${theirs.conversation_id}/messages`);
  expect(messages.body.data[0]).toMatchObject({ content: 'STOP', client_id: 521 });
});

test('refuses what cannot be: oneself, the unknown, a host client into a provisional one', async () => {
  await put(531, { name: 'Host', phones: ['+12025550531'] });
  const { client_id } = await inbound('+12025550532', 'Who am I?');
  expect((await merge(531, 531)).body.errors[0].path).toBe('merge_client_id');
  expect((await merge(531, 999_999)).status).toBe(404);
  expect((await merge(999_999, 531)).status).toBe(404);
  const other = await merge(client_id, 531);
  expect(other.status).toBe(422);
  expect(other.body.errors[0].path).toBe('merge_client_id');
});

test("another business's client is as unknown as one that is nowhere", async () => {
  const stranger = await omega.business({ business_id: 1002 });
  await stranger.api.call('PUT', '/businesses/1002/clients/1', { name: 'Theirs' });
  const answer = await stranger.api.post('/businesses/1002/clients/1/merge', { merge_client_id: 501 });
  const nowhere = await stranger.api.post('/businesses/1002/clients/1/merge', { merge_client_id: 999_998 });
  expect(answer.status).toBe(404);
  expect({ ...answer.body, request_id: '' }).toEqual({ ...nowhere.body, request_id: '' });
});

async function countEvents(): Promise<number> {
  const { n } = await omega.omega.database.db
    .selectFrom('events')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(n);
}

test('mergeClient: of two last messages of one moment the conversation shows the one that its list has first', async () => {
  await put(8801, { phones: ['+12025558801'] });
  await put(8802, { phones: ['+12025558802'] });
  const text = (from: string) =>
    api.post('/simulator/inbound', { from, to: '+15005550006', content: `From ${from}` });
  // The clock stands still, so their ids alone tell which is the last.
  const kept = (await text('+12025558801')).body;
  await text('+12025558802');
  const { conversation } = (await merge(8801, 8802)).body;
  const { data } = (await api.get(`${base}/8801/conversations/${kept.conversation_id}/messages?limit=1`))
    .body;
  expect(data[0]).toMatchObject({ content: 'From +12025558802' });
  expect(conversation).toMatchObject({ last_message: { message_id: data[0].message_id } });
});
