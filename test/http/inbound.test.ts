import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, messagesOf, rowOf } from '../support/reading.ts';

const sender = '+15005550006';
let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let lastPhone = 0;
const newPhone = () => `+1202557${String(++lastPhone).padStart(4, '0')}`;
const text = (from: string, content: string, more: object = {}) =>
  api.post('/simulator/inbound', { from, to: sender, content, ...more });
const queue = (to: string, more: object = {}) => api.post('/sms/queue', { to, content: 'Hello', ...more });
const setStatus = (conversationId: string, status: 'closed' | 'pending' | 'snoozed') =>
  omega.omega.database.db
    .updateTable('conversations')
    .set({ status, snoozed_until: status === 'snoozed' ? new Date('2027-01-01') : null })
    .where('conversation_id', '=', conversationId)
    .execute();
const nowIso = () => new Date(omega.clock.now()).toISOString();

describe("a client's text", () => {
  test('from an unknown number makes a provisional client and a conversation, unread and waiting', async () => {
    const from = newPhone();
    const answer = await text(from, 'Do you have a class at 9?', {
      media_urls: ['https://client.example/photo.jpg'],
      request_id: 'inbound-1',
    });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.body).sort()).toEqual(['client_id', 'conversation_id', 'message_id']);
    expect(answer.body.client_id).toBeGreaterThanOrEqual(2 ** 40);
    expect(await rowOf(api, 1001, answer.body)).toMatchObject({
      status: 'open',
      client: { phone: from, provisional: true, name: null },
      last_message: {
        preview: 'Do you have a class at 9?',
        channel: 'sms',
        direction: 'inbound',
        status: 'received',
      },
      unread_count: 1,
      waiting_since: nowIso(),
      channels: ['sms'],
      // The sender it was written to stands at a location, and so does the conversation.
      location_id: 1,
    });
    expect(await messageOf(api, 1001, answer.body)).toMatchObject({
      direction: 'inbound',
      status: 'received',
      from,
      to: sender,
      sender_type: 'client',
      sent_by: null,
      category: null,
      unread: true,
      provider: 'simulator',
      provider_message_id: expect.stringMatching(/^SM[0-9a-f]{32}$/),
      media_urls: ['https://client.example/photo.jpg'],
      request_id: 'inbound-1',
      segments: 1,
      encoding: 'GSM-7',
    });
  });

  test.each(['closed', 'pending', 'snoozed'] as const)(
    'reopens a conversation that is %s',
    async (status) => {
      const from = newPhone();
      const first = await text(from, 'Hello?');
      await setStatus(first.body.conversation_id, status);
      const again = await text(from, 'Anybody?');
      expect(again.body.conversation_id).toBe(first.body.conversation_id);
      expect(await rowOf(api, 1001, first.body)).toMatchObject({
        status: 'open',
        snoozed_until: null,
        unread_count: 2,
      });
    },
  );

  test('waits since the first that was not answered, until a person answers; a reminder answers nobody', async () => {
    const from = newPhone();
    const { body } = await text(from, 'One');
    const since = nowIso();
    await omega.tick(60_000);
    await text(from, 'Two');
    expect(await rowOf(api, 1001, body)).toMatchObject({ waiting_since: since, unread_count: 2 });
    await queue(from, { content: 'Class tomorrow at 9.', sender_type: 'automation' });
    await queue(from);
    expect((await rowOf(api, 1001, body)).waiting_since).toBe(since);
    await queue(from, { content: 'Yes, at 9!', sent_by: 12345 });
    expect(await rowOf(api, 1001, body)).toMatchObject({ waiting_since: null, unread_count: 2 });
    await omega.tick(60_000);
    await text(from, 'Thanks');
    expect((await rowOf(api, 1001, body)).waiting_since).toBe(nowIso());
  });

  test("lands with the client who has the number: the host's before a provisional one", async () => {
    const from = newPhone();
    const provisional = await text(from, 'Hi');
    await queue(from, { client_id: 701 });
    const again = await text(from, 'Hi again');
    expect(again.body.client_id).toBe(701);
    expect(again.body.conversation_id).not.toBe(provisional.body.conversation_id);
  });

  test('in national form, or with no words but a picture, is a text too', async () => {
    const read = await text('(202) 557-9999', '', { media_urls: ['https://client.example/a.jpg'] });
    expect(read.status).toBe(201);
    expect(await messageOf(api, 1001, read.body)).toMatchObject({ from: '+12025579999', content: '' });
  });

  test('of other channels joins the same kind of conversation', async () => {
    const mail = await text('Ana@Client.Example', 'By mail', { channel: 'email', to: 'hello@lotus.example' });
    expect(await messageOf(api, 1001, mail.body)).toMatchObject({
      channel: 'email',
      from: 'ana@client.example',
    });
    expect((await rowOf(api, 1001, mail.body)).channels).toEqual(['email']);
  });

  test("to a number that is not the business's, or from one that is none, is 422", async () => {
    const elsewhere = await text(newPhone(), 'Hi', { to: '+12025559999' });
    expectProblem(elsewhere, 422, 'no_sender');
    expect(faultsOf(elsewhere)).toEqual(['to not_found']);
    const nonsense = await text('!?', 'Hi', { to: '??' });
    expectProblem(nonsense, 422, 'invalid_parameters');
    expect(faultsOf(nonsense)).toEqual(['from invalid_format', 'to invalid_format']);
    const empty = await text(newPhone(), '');
    expectProblem(empty, 422, 'invalid_parameters');
    expect(faultsOf(empty)).toEqual(['content too_short']);
  });

  test('with the same request_id is one text', async () => {
    const from = newPhone();
    const [one, two] = [
      await text(from, 'Once', { request_id: 'inbound-2' }),
      await text(from, 'Once', { request_id: 'inbound-2' }),
    ];
    expect(two.body).toEqual(one.body);
    expect(two.headers.get('idempotency-replayed')).toBe('true');
    expect(await messagesOf(api, 1001, one.body)).toHaveLength(1);
  });
});

describe('STOP and START', () => {
  test('after STOP what is queued is suppressed with a reason and never sent; START restores', async () => {
    const from = newPhone();
    const stopped = await text(from, 'STOP');
    const answer = await queue(from, { sent_by: 12345 });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({
      status: 'suppressed',
      reason: 'opted_out',
      client_id: stopped.body.client_id,
    });
    await omega.tick(3_600_000);
    expect(await messageOf(api, 1001, answer.body)).toMatchObject({
      status: 'suppressed',
      reason: 'opted_out',
      advice: expect.stringContaining('START'),
      attempts: 0,
    });
    const accepted = () =>
      omega.omega.database.db
        .selectFrom('simulator_messages')
        .select('message_id')
        .where('to_address', '=', from)
        .execute();
    expect(await accepted()).toEqual([]);

    await omega.tick(1_000);
    await text(from, 'Start');
    const next = await queue(from);
    expect(next.body.status).toBe('queued');
    await omega.settled();
    expect((await messageOf(api, 1001, next.body)).status).toBe('delivered');
    expect(await accepted()).toEqual([{ message_id: next.body.message_id }]);
  });

  test('the word itself is shown to staff, unread as any other text', async () => {
    const stopped = await text(newPhone(), ' stop! ');
    expect(await messageOf(api, 1001, stopped.body)).toMatchObject({ content: ' stop! ', unread: true });
    expect((await rowOf(api, 1001, stopped.body)).unread_count).toBe(1);
  });

  test('a sentence with the word in it stops nothing', async () => {
    const from = newPhone();
    await text(from, "Please don't stop the reminders");
    expect((await queue(from)).body.status).toBe('queued');
  });

  test('what waits for its time is suppressed too when the client stops before', async () => {
    const from = newPhone();
    const send_at = new Date(omega.clock.now() + 3_600_000).toISOString();
    const { body } = await queue(from, { send_at });
    expect(body.status).toBe('scheduled');
    await text(from, 'UNSUBSCRIBE');
    await omega.tick(3_600_000);
    expect(await messageOf(api, 1001, body)).toMatchObject({ status: 'suppressed', attempts: 0 });
  });

  test('counts for the business that was written to, and for no other', async () => {
    const from = newPhone();
    const there = await omega.business({ business_id: 2002 });
    await text(from, 'STOP');
    const theirs = await there.api.post('/sms/queue', { to: from, content: 'Hello' });
    expect(theirs.body.status).toBe('queued');
    expect((await queue(from)).body.status).toBe('suppressed');
  });

  test('who said what, when and by which message is kept for ever', async () => {
    const from = newPhone();
    const stopped = await text(from, 'STOP');
    await omega.tick(1_000);
    const started = await text(from, 'START');
    const ledger = await omega.omega.database.db
      .selectFrom('consents')
      .selectAll()
      .where('business_id', '=', 1001)
      .where('address', '=', from)
      .orderBy('created_at')
      .execute();
    expect(ledger).toMatchObject([
      {
        state: 'revoked',
        category: 'all',
        source: 'keyword',
        evidence: { message_id: stopped.body.message_id },
      },
      {
        state: 'granted',
        category: 'all',
        source: 'keyword',
        evidence: { message_id: started.body.message_id },
      },
    ]);
  });
});

test('a send that fails reopens the conversation', async () => {
  const { body } = await queue('+15005550001');
  await omega.settled();
  await setStatus(body.conversation_id, 'closed');
  const again = await queue('+15005550001', { client_id: body.client_id });
  expect(again.body.conversation_id).toBe(body.conversation_id);
  await omega.settled();
  expect(await rowOf(api, 1001, body)).toMatchObject({ status: 'open', last_message: { status: 'failed' } });
});

test('a text that goes out leaves a closed conversation closed', async () => {
  const to = newPhone();
  const { body } = await queue(to);
  await setStatus(body.conversation_id, 'closed');
  const again = await queue(to);
  await omega.settled();
  expect(again.body.conversation_id).toBe(body.conversation_id);
  expect(await rowOf(api, 1001, body)).toMatchObject({
    status: 'closed',
    last_message: { status: 'delivered' },
  });
});
