import nodemailer, { type SendMailOptions } from 'nodemailer';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { conversationPath, messageOf, messagesOf, rowOf } from '../support/reading.ts';
import { type SmtpPeer, startSmtp, type TakenMail } from '../support/smtp.ts';

let omega: RunningOmega;
let outside: SmtpPeer;
let api: Client;

beforeAll(async () => {
  outside = await startSmtp();
  omega = await startOmega({ carrierDeadlineMs: 5_000, smtp: {}, publicUrl: 'https://omega.example' });
  const { api: lotus } = await omega.business({
    business_id: 1001,
    senders: [
      { channel: 'sms', address: '+15005550006', provider: 'simulator' },
      {
        channel: 'email',
        address: 'hello@lotus.example',
        provider: 'smtp',
        reply_domain: 'reply.lotus.example',
      },
    ],
    providers: { smtp: { url: outside.url } },
  });
  api = lotus;
});
afterAll(async () => {
  await omega.close();
  await outside.close();
});
beforeEach(() => {
  outside.mails.length = 0;
});

interface Placed {
  client_id: number;
  conversation_id: string;
  message_id: string;
}
const put = (id: number, body: object) => api.call('PUT', `/businesses/1001/clients/${id}`, body);
const inbound = async (from: string, content: string): Promise<Placed> => {
  await omega.tick(1000);
  const answer = await api.post('/simulator/inbound', { from, to: '+15005550006', content });
  expect(answer.status).toBe(201);
  return answer.body;
};
const queue = async (body: object): Promise<Placed> => {
  await omega.tick(1000);
  const answer = await api.post('/sms/queue', body);
  expect(answer.status).toBe(202);
  await omega.settled();
  return answer.body;
};
const move = (from: Omit<Placed, 'message_id'>, messageIds: string[], to?: number, more: object = {}) =>
  api.post(`${conversationPath(1001, from)}/messages/move`, {
    message_ids: messageIds,
    ...(to !== undefined && { to_client_id: to }),
    ...more,
  });
const contents = async (placed: Omit<Placed, 'message_id'>) =>
  (await messagesOf(api, 1001, placed)).map((one) => one.content.trim());
const eventsOf = async (type: string) =>
  omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', type)
    .orderBy('sequence')
    .execute();

describe("moveMessages: texts that landed in the wrong client's thread", () => {
  let wrong: Placed;
  let question: Placed;
  let right: { moved: number; conversation_id: string; client_id: number };

  beforeAll(async () => {
    await put(501, { name: 'Ana Lima', phones: ['+12025550501'] });
    await put(502, { name: 'Ben Ito', phones: ['+12025550502'] });
    wrong = await inbound('+12025550501', 'Ana here');
    const answer = await queue({ client_id: 501, content: 'Hello Ana', sent_by: 12345 });
    question = await inbound('+12025550501', 'Ben has lost his umbrella');
    const note = await api.post(`${conversationPath(1001, wrong)}/note`, { content: 'Look for it' });
    expect(answer.message_id).not.toBe(wrong.message_id);
    const moved = await move(wrong, [question.message_id, note.body.message_id], 502);
    expect(moved.status, JSON.stringify(moved.body)).toBe(200);
    right = moved.body;
  });

  test("stand in the right client's, which waits for an answer; the wrong one waits no more", async () => {
    expect(right).toMatchObject({ moved: 2, client_id: 502 });
    expect(await contents(right)).toEqual(['Ben has lost his umbrella', 'Look for it']);
    expect(await contents(wrong)).toEqual(['Ana here', 'Hello Ana']);
    const theirs = await messageOf(api, 1001, { ...right, message_id: question.message_id });
    expect(theirs).toMatchObject({ client_id: 502, threading_reason: 'moved', unread: true });
    expect(await rowOf(api, 1001, right)).toMatchObject({
      status: 'open',
      unread_count: 1,
      waiting_since: theirs.occurred_at,
      last_message: { preview: 'Ben has lost his umbrella' },
      channels: ['sms'],
    });
    expect(await rowOf(api, 1001, wrong)).toMatchObject({
      unread_count: 1,
      waiting_since: null,
      last_message: { preview: 'Hello Ana' },
    });
  });

  test('are found there, and their timeline tells it', async () => {
    const found = await api.get(`${conversationPath(1001, right)}/messages/search?q=umbrella`);
    expect(found.body.data).toHaveLength(1);
    const gone = await api.get(`${conversationPath(1001, wrong)}/messages/search?q=umbrella`);
    expect(gone.body.data).toEqual([]);
    const { body } = await api.get(`/messages/${question.message_id}/timeline`);
    expect(body.entries.at(-1)).toMatchObject({
      kind: 'moved',
      data: { from_client_id: 501, from_conversation_id: wrong.conversation_id, client_id: 502 },
    });
  });

  test('are told one by one in events', async () => {
    const [event] = await eventsOf('message.moved');
    expect(event).toMatchObject({
      changed: {
        conversation_id: { from: wrong.conversation_id, to: right.conversation_id },
        client_id: { from: 501, to: 502 },
      },
      data: { message_id: question.message_id, conversation_id: right.conversation_id, client_id: 502 },
    });
  });

  test('again: nothing is left to move', async () => {
    const count = (await eventsOf('message.moved')).length;
    const answer = await move(wrong, [question.message_id], 502);
    expect([answer.status, answer.body.moved]).toEqual([200, 0]);
    expect(await eventsOf('message.moved')).toHaveLength(count);
  });

  test('back again, into the thread that was closed meanwhile: it opens', async () => {
    const closed = await api.post(`${conversationPath(1001, wrong)}/status`, { status: 'closed' });
    expect(closed.status).toBe(200);
    const answer = await move(right, [question.message_id], 501);
    expect(answer.body).toMatchObject({ moved: 1, conversation_id: wrong.conversation_id });
    expect(await rowOf(api, 1001, wrong)).toMatchObject({ status: 'open', unread_count: 2 });
    // Nothing but a note is left where it was.
    expect(await rowOf(api, 1001, right)).toMatchObject({ status: 'closed', last_message: null });
  });
});

describe('what is not moved', () => {
  let thread: Placed;
  beforeAll(async () => {
    await put(511, { name: 'Cleo', phones: ['+12025550511'] });
    await put(512, { name: 'Dan', phones: ['+12025550512'] });
    thread = await inbound('+12025550511', 'one');
  });

  test('one that waits to be sent: 409 names it, and nothing is moved', async () => {
    const at = new Date(omega.clock.now() + 86_400_000).toISOString();
    const waiting = await queue({ client_id: 511, content: 'later', send_at: at });
    const answer = await move(thread, [thread.message_id, waiting.message_id], 512);
    expectProblem(answer, 409, 'conflict', 'one is scheduled');
    expect(answer.body.detail).toContain(waiting.message_id);
    expect(await contents(thread)).toEqual(['one', 'later']);
    expect((await api.post(`/messages/${waiting.message_id}/cancel`)).status).toBe(200);
    expect((await move(thread, [waiting.message_id], 512)).status).toBe(200);
  });

  test('what stands elsewhere, to oneself, to nobody, to an erased one', async () => {
    const other = await inbound('+12025550519', 'elsewhere');
    expect((await move(thread, [thread.message_id, other.message_id], 512)).status).toBe(404);
    const self = await move(thread, [thread.message_id], 511);
    expect([self.status, self.body.errors[0].path]).toEqual([422, 'to_client_id']);
    expect((await move(thread, [thread.message_id], 999_999)).status).toBe(404);
    await put(513, { name: 'Gone' });
    await api.call('DELETE', '/businesses/1001/clients/513', {});
    expect((await move(thread, [thread.message_id], 513)).status).toBe(409);
    const none = await move(thread, [], 512);
    expect(none.status).toBe(422);
    expect(await contents(thread)).toEqual(['one']);
  });

  test('without to_client_id: the own address of the client, and messages of several addresses', async () => {
    const own = await move(thread, [thread.message_id]);
    expect([own.status, own.body.errors[0].path]).toEqual([422, 'to_client_id']);
    const note = await api.post(`${conversationPath(1001, thread)}/note`, { content: 'n' });
    const both = await move(thread, [thread.message_id, note.body.message_id]);
    expect([both.status, both.body.errors[0].path]).toEqual([422, 'to_client_id']);
  });
});

test('the id of a client who was merged leads to the thread of who they are now', async () => {
  for (const id of [521, 522, 523]) await put(id, { name: `N${id}`, phones: [`+12025550${id}`] });
  const thread = await inbound('+12025550521', 'of 523, really');
  await api.post('/businesses/1001/clients/522/merge', { merge_client_id: 523 });
  expect((await move(thread, [thread.message_id], 523)).body).toMatchObject({ moved: 1, client_id: 522 });
});

describe('mail', () => {
  let mails: TakenMail[] = [];
  const send = async (to: object, more: object = {}): Promise<Placed> => {
    outside.mails.length = 0;
    const answer = await api.post('/email/queue', { subject: 'Your class', text: 'At 9', ...to, ...more });
    expect(answer.status).toBe(202);
    await omega.settled();
    mails = [...outside.mails];
    return answer.body;
  };
  /** Hands a mail over to Omega's own server. @returns the newest message there is then */
  const deliver = async (mail: SendMailOptions): Promise<Message> => {
    await omega.tick(1000);
    const transport = nodemailer.createTransport({
      host: '127.0.0.1',
      port: omega.smtpPort!,
      ignoreTLS: true,
    });
    await transport.sendMail({ subject: 'Re: Your class', ...mail });
    transport.close();
    await omega.settled();
    const row = await omega.omega.database.db
      .selectFrom('messages')
      .select(['message_id', 'conversation_id', 'client_id'])
      .orderBy('message_id', 'desc')
      .executeTakeFirstOrThrow();
    return messageOf(api, 1001, row);
  };
  const answering = (mail: TakenMail) => ({
    to: mail.parsed.replyTo![0]!.address!,
    inReplyTo: mail.parsed.messageId!,
    references: mail.parsed.messageId!,
  });

  test('threading_reason: by reply address, by reference, by sender', async () => {
    await put(531, { name: 'Eva', emails: ['eva@example.com'] });
    const sent = await send({ client_id: 531 });
    const [mail] = mails;
    const { to, ...references } = answering(mail!);
    expect(await deliver({ from: 'eva@home.example', to, text: 'a' })).toMatchObject({
      conversation_id: sent.conversation_id,
      threading_reason: 'reply_address',
    });
    expect(
      await deliver({ from: 'eva@work.example', to: 'hello@lotus.example', ...references, text: 'b' }),
    ).toMatchObject({ conversation_id: sent.conversation_id, threading_reason: 'references' });
    expect(await deliver({ from: 'eva@example.com', to: 'hello@lotus.example', text: 'c' })).toMatchObject({
      conversation_id: sent.conversation_id,
      threading_reason: 'sender_address',
    });
    expect((await messageOf(api, 1001, sent)).threading_reason).toBeNull();
  });

  test('a reply to a mail that was moved comes to where it is now, with its files', async () => {
    await put(541, { name: 'Fay', emails: ['fay@example.com'] });
    await put(542, { name: 'Gil', emails: ['gil@example.com'] });
    const file = { filename: 'form.txt', content_type: 'text/plain', content: 'aGVsbG8=' };
    const sent = await send({ client_id: 541 }, { attachments: [file] });
    const [mail] = mails;
    const answer = await move(sent, [sent.message_id], 542);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    const moved = await messageOf(api, 1001, { ...answer.body, message_id: sent.message_id });
    const path = `/businesses/1001/messages/${sent.message_id}/attachments/${moved.attachments[0]!.attachment_id}`;
    expect((await api.get(path)).status).toBe(200);
    const reply = await deliver({ from: 'gil@home.example', ...answering(mail!), text: 'Thanks' });
    expect(reply).toMatchObject({
      client_id: 542,
      conversation_id: answer.body.conversation_id,
      threading_reason: 'references',
    });
  });

  test("a stranger's mail is split off a thread, to a client made for its address", async () => {
    await put(551, { name: 'Hal', emails: ['hal@example.com'] });
    const sent = await send({ client_id: 551 });
    const [mail] = mails;
    const guest = await deliver({
      from: 'Iris <iris@example.com>',
      ...answering(mail!),
      text: 'About my own',
    });
    expect(guest.client_id).toBe(551);
    const answer = await move(sent, [guest.message_id]);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body.client_id).toBeGreaterThan(2 ** 40);
    const profile = await api.get(`/businesses/1001/clients/${answer.body.client_id}`);
    expect(profile.body).toMatchObject({
      provisional: true,
      addresses: [{ address: 'iris@example.com' }],
      conversation: { status: 'open', unread_count: 1 },
    });
    // From now on it is hers.
    const next = await deliver({ from: 'iris@example.com', to: 'hello@lotus.example', text: 'And again' });
    expect(next.conversation_id).toBe(answer.body.conversation_id);
    expect(await contents(answer.body)).toEqual(['About my own', 'And again']);
  });

  test('an answer to what was sent to a client while they were merged with another comes to them after', async () => {
    await put(561, { name: 'Jon', emails: ['jon@example.com'] });
    await put(562, { name: 'Kim', emails: ['kim@example.com'] });
    await send({ client_id: 561 });
    const kims = await send({ client_id: 562 });
    await api.post('/businesses/1001/clients/561/merge', { merge_client_id: 562 });
    await send({ client_id: 561, to: 'kim@example.com' });
    const [mail] = mails;
    expect((await api.post('/businesses/1001/clients/561/unmerge', { merged_client_id: 562 })).status).toBe(
      200,
    );
    const reply = await deliver({ from: 'kim@elsewhere.example', ...answering(mail!), text: 'Fine' });
    expect(reply).toMatchObject({ client_id: 562, conversation_id: kims.conversation_id });
  });
});
