import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import type { ItemResult } from '../../contract/messages.ts';
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

const from = '+12025550123';

test('recordMessages: a thousand items of every channel are recorded in one request, each with its own answer', async () => {
  const channels = ['sms', 'whatsapp', 'email', 'voice', 'webchat', 'instagram'];
  const messages = Array.from({ length: 1000 }, (_, i) => {
    const channel = channels[i % channels.length]!;
    const client =
      channel === 'email'
        ? `c${i % 50}@client.example`
        : `+1202555${String(1000 + (i % 50)).padStart(4, '0')}`;
    return {
      channel,
      direction: i % 2 ? 'inbound' : 'outbound',
      [i % 2 ? 'from' : 'to']: client,
      content: `message number ${i}`,
      provider: 'elsewhere',
      provider_message_id: `bulk-${i}`,
      item_id: `row ${i}`,
    };
  });
  const answer = await api.post('/messages', { messages });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ accepted: 1000, failed: 0 });
  expect(answer.body.results.map((one: ItemResult) => one.index)).toEqual(messages.map((_, i) => i));
  expect(answer.body.results[7]).toMatchObject({ item_id: 'row 7', status: 201, message_status: 'received' });

  const again = await api.post('/messages', { messages: messages.slice(0, 20) });
  expect(again.body.results.every((one: ItemResult) => one.duplicate)).toBe(true);
  expect(again.body.results[3].message_id).toBe(answer.body.results[3].message_id);
});

test('recordMessages: one bad item never spoils the rest', async () => {
  const good = { channel: 'sms', direction: 'inbound', from, content: 'fine' };
  const messages = [
    good,
    { ...good, content: 'a\0b' },
    { ...good, content: '\ud800' },
    'not an object',
    null,
    { direction: 'inbound', from, content: 'no channel' },
    { ...good, send_at: '2026-03-11T10:00:00Z' },
    { ...good, from: 'nobody' },
    { ...good, from: undefined },
    { ...good, direction: 'internal' },
    { channel: 'note', direction: 'internal', content: 'about whom?' },
    { ...good, sent_by: 999 },
    { ...good, client_id: 424242, from: undefined },
    { ...good, occurred_at: '2016-12-31T23:59:60Z' },
    { ...good, content: '' },
    { ...good, item_id: 'last' },
  ];
  const { status, body } = await api.post('/messages', { messages, request_id: 'mixed-1' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ request_id: 'mixed-1', accepted: 2, failed: messages.length - 2 });
  const brief = body.results.map((one: ItemResult) => [
    one.status,
    one.error?.errors?.[0]?.path ?? one.error?.code,
  ]);
  expect(brief).toEqual([
    [201, undefined],
    [422, 'content'],
    [422, 'content'],
    [422, ''],
    [422, ''],
    [422, 'channel'],
    [422, 'send_at'],
    [422, 'from'],
    [422, 'client_id'],
    [422, 'direction'],
    [422, 'client_id'],
    [404, 'not_found'],
    [404, 'not_found'],
    [422, 'occurred_at'],
    [422, 'content'],
    [201, undefined],
  ]);
  expect(body.results.at(-1)).toMatchObject({ index: 15, item_id: 'last' });
});

test('the whole request is repeatable', async () => {
  const request = {
    messages: [{ channel: 'sms', direction: 'inbound', from, content: 'once' }, { channel: 'sms' }],
    request_id: 'once-only',
  };
  const first = await api.post('/messages', request);
  const second = await api.post('/messages', request);
  expect(second.body).toEqual(first.body);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  const changed = await api.post('/messages', { ...request, messages: [request.messages[0]] });
  expect(changed.body.code).toBe('request_id_reused');
});

test('an item goes the way of a message from a carrier: client, keyword, unread, reopening, events', async () => {
  const who = '+12025550188';
  const hello = await api.post('/messages', {
    channel: 'sms',
    direction: 'inbound',
    from: who,
    content: 'Hello?',
  });
  expect(hello.body).toMatchObject({ accepted: 1, failed: 0 });
  const { client_id, conversation_id } = hello.body.results[0];
  expect(client_id).toBeGreaterThanOrEqual(2 ** 40);
  await api.post('/messages', {
    messages: [
      { channel: 'sms', direction: 'inbound', from: who, content: 'STOP' },
      { channel: 'note', direction: 'internal', client_id, content: 'Asked to stop', sent_by: 12345 },
    ],
  });
  const list = await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(who)}`);
  expect(list.body.data[0]).toMatchObject({ conversation_id, unread_count: 2, channels: ['sms'] });
  expect(list.body.data[0].last_message.preview).toBe('STOP');
  const sent = await api.post('/sms/queue', { to: who, content: 'Are you there?' });
  expect(sent.body).toMatchObject({ status: 'suppressed', reason: 'opted_out', conversation_id });
  const messages = await api.get(
    `/businesses/1001/clients/${client_id}/conversations/${conversation_id}/messages?channel=note`,
  );
  expect(messages.body.data).toMatchObject([
    { direction: 'internal', sent_by: 12345, sender_type: 'staff', from: null, to: null, unread: false },
  ]);
});

test('from and to are told by the direction, on channels of any kind', async () => {
  const { body } = await api.post('/messages', {
    messages: [
      { channel: 'webchat', direction: 'inbound', from: 'visitor-7', to: 'widget', content: 'hi' },
      { channel: 'webchat', direction: 'outbound', from: 'widget', to: 'visitor-7', content: 'hello' },
      { channel: 'voice', direction: 'inbound', from, to: '+15005550006', metadata: { duration_s: 30 } },
    ],
  });
  expect(body.accepted).toBe(3);
  const [asked, replied] = body.results;
  expect(asked.client_id).toBe(replied.client_id);
  const { data } = (
    await api.get(
      `/businesses/1001/clients/${asked.client_id}/conversations/${asked.conversation_id}/messages`,
    )
  ).body;
  expect(data.map((m: Message) => [m.direction, m.from, m.to, m.status])).toEqual([
    ['outbound', 'widget', 'visitor-7', 'sent'],
    ['inbound', 'visitor-7', 'widget', 'received'],
  ]);
});

test('nothing recorded is ever sent', async () => {
  const { body } = await api.post('/messages', {
    messages: (['sent', 'queued', 'failed'] as const).map((status) => ({
      channel: 'sms',
      direction: 'outbound',
      to: '+12025550177',
      from: '+15005550006',
      provider: 'simulator',
      provider_message_id: `SMrec-${status}`,
      status,
      content: 'of another system',
      external_ref: { type: 'appointment', id: 'recorded' },
    })),
  });
  const [, queued, failed] = body.results.map((one: ItemResult) => one.message_id);
  expect((await api.post(`/messages/${failed}/retry`, { force: true })).status).toBe(409);
  expect((await api.post('/messages/retry', { message_ids: [failed], force: true })).body).toMatchObject({
    retried: 0,
    skipped: [{ message_id: failed, reason: 'recorded' }],
  });
  expect((await api.post(`/messages/${queued}/cancel`)).status).toBe(409);
  expect(
    (await api.post('/external-refs/appointment/recorded', { action: 'canceled' })).body.messages,
  ).toEqual([]);
  await omega.tick(60_000);
  const { data } = (await api.get(`/messages/requests/${body.request_id}`)).body;
  expect(data.map((m: Message) => [m.status, m.attempts])).toEqual([
    ['sent', 0],
    ['queued', 0],
    ['failed', 0],
  ]);
});

test('a single item that is wrong is refused as a whole, and its request id stays free', async () => {
  const wrong = await api.post('/messages', { channel: 'sms', direction: 'inbound', request_id: 'fix-me' });
  expect(wrong.status).toBe(422);
  const right = await api.post('/messages', {
    channel: 'sms',
    direction: 'inbound',
    from,
    content: 'right',
    request_id: 'fix-me',
  });
  expect(right.status).toBe(200);
  expect((await api.post('/messages', {})).status).toBe(422);
  expect((await api.post('/messages', { messages: [] })).status).toBe(422);
  const mixed = await api.post('/messages', { messages: [{}], content: 'x' });
  expect(mixed.body.errors).toMatchObject([{ path: 'content' }]);
});

test('getMessagesByRequest, getBusinessMessagesByRequest: messages are found by their request id, by both paths, in pages; a request of others is unknown', async () => {
  const messages = Array.from({ length: 5 }, (_, i) => ({
    channel: 'sms',
    direction: 'inbound',
    from,
    content: `n ${i}`,
  }));
  await api.post('/messages', { messages, request_id: 'five' });
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await api.get(
      `/businesses/1001/messages/requests/five?limit=2${cursor && `&cursor=${cursor}`}`,
    );
    expect(page.status).toBe(200);
    seen.push(...page.body.data.map((m: Message) => m.content));
    cursor = page.body.next_cursor ?? '';
  } while (cursor);
  expect(seen).toEqual(messages.map((m) => m.content));
  expect((await api.get('/messages/requests/five')).body.data).toHaveLength(5);
  expect((await omega.platform.get('/messages/requests/five?business_id=1001')).body.data).toHaveLength(5);
  expect((await other.get('/messages/requests/five')).status).toBe(404);
  expect((await api.get('/messages/requests/never')).status).toBe(404);

  const failed = await api.post('/sms/queue', {
    to: '+15005550001',
    content: 'x',
    request_id: 'bad-number',
  });
  expect(failed.status).toBe(202);
  await omega.settled();
  expect((await api.get('/messages/requests/bad-number')).body.data).toMatchObject([
    { status: 'failed', error_code: '21211', reason: 'invalid_address' },
  ]);
});
