import { sql } from 'kysely';
import nodemailer from 'nodemailer';
import getTLSOptions from 'smtp-server/lib/tls-options.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replyAddress } from '../../server/channels/index.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import { messagesOf } from '../support/reading.ts';

let omega: RunningOmega;
let lotus: Client;
beforeAll(async () => {
  omega = await startOmega({ smtp: { tls: getTLSOptions() as { cert: string; key: string } } });
  lotus = (await omega.business({ business_id: 1001 })).api;
  await omega.business({
    business_id: 2002,
    name: 'Rival Spa',
    senders: [{ channel: 'email', address: 'hello@rival.example', provider: 'simulator' }],
  });
});
afterAll(() => omega.close());

/** A mail server that hands over. STARTTLS is asked for. */
const peer = () =>
  nodemailer.createTransport({
    host: '127.0.0.1',
    port: omega.smtpPort!,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
  });
let count = 0;
const send = (to: string | string[], more: object = {}) =>
  peer().sendMail({
    from: `ana-${++count}@example.com`,
    to,
    subject: 'A question',
    text: 'Are you open on Sunday?',
    ...more,
  });
const inbound = (businessId: number) =>
  omega.omega.database.db
    .selectFrom('messages')
    .select(['message_id', 'client_id', 'conversation_id', 'from_address', 'to_address'])
    .where('business_id', '=', businessId)
    .where('direction', '=', 'inbound')
    .orderBy('message_id', 'desc')
    .execute();

test('250 says that the mail is in the database, with its receipt as it came', async () => {
  const sent = await send('hello@lotus.example', { attachments: [{ filename: 'a.txt', content: 'a' }] });
  expect(sent.response).toMatch(/^250 2\.0\.0 Kept as [0-9a-f-]{36}/);
  const [row] = await inbound(1001);
  const [message] = await messagesOf(lotus, 1001, row!);
  expect(message).toMatchObject({
    content: expect.stringContaining('Are you open on Sunday?'),
    to: 'hello@lotus.example',
    provider: 'smtp',
    attachments: [{ filename: 'a.txt', size: 1 }],
  });
  const receipt = await omega.platform.get(`/webhook-receipts/${sent.response.slice(-36)}`);
  expect(receipt.body).toMatchObject({ source: 'email.smtp', state: 'applied', business_id: 1001 });
  expect(receipt.body.headers['rcpt-to']).toBe('["hello@lotus.example"]');
  expect(receipt.body.body).toContain('Subject: A question\r\n');
});

test('handed over again after a 250 that was lost, it is the same message', async () => {
  const mail = { messageId: '<once@example.com>', from: 'ben@example.com', date: new Date(0) };
  await send('hello@lotus.example', mail);
  await send('hello@lotus.example', mail);
  expect((await inbound(1001)).filter(({ from_address }) => from_address === 'ben@example.com')).toHaveLength(
    1,
  );
});

test('each business gets what is for it, and the envelope alone says for whom', async () => {
  await send(['hello@lotus.example', 'hello@rival.example'], { from: 'both@example.com' });
  for (const businessId of [1001, 2002])
    expect((await inbound(businessId))[0]).toMatchObject({ from_address: 'both@example.com' });
  const before = (await inbound(2002)).length;
  // Rival in the headers only: the server hands Rival's copy over by itself.
  const envelope = { from: 'one@example.com', to: 'hello@lotus.example' };
  await send(['hello@lotus.example', 'hello@rival.example'], { from: 'one@example.com', envelope });
  expect(await inbound(2002)).toHaveLength(before);
});

test('a reply address finds its conversation', async () => {
  const { body } = await lotus.post('/email/queue', { to: 'cara@example.com', subject: 'Hi', text: 'Hi' });
  const ids = { businessId: 1001, conversationId: body.conversation_id as string };
  await send(replyAddress(ids, 'reply.lotus.example', testSecrets), { from: 'cara.home@example.com' });
  expect((await inbound(1001))[0]).toMatchObject({
    conversation_id: body.conversation_id,
    to_address: 'hello@lotus.example',
  });
});

test('nothing is taken for anybody else, nor relayed', async () => {
  await expect(send('somebody@elsewhere.example')).rejects.toMatchObject({ responseCode: 550 });
  await expect(send(`reply+${'0'.repeat(56)}@lotus.example`)).rejects.toMatchObject({ responseCode: 550 });
});

test('a mail that is too large is refused for good', async () => {
  const large = { attachments: [{ filename: 'a.bin', content: Buffer.alloc(28 * 1024 * 1024) }] };
  await expect(send('hello@lotus.example', large)).rejects.toMatchObject({ responseCode: 552 });
});

test('when the database cannot keep it, the peer is told to come again, and then it is kept', async () => {
  const { db } = omega.omega.database;
  const before = (await inbound(1001)).length;
  await sql`alter table webhook_receipts rename to webhook_receipts_away`.execute(db);
  await expect(send('hello@lotus.example')).rejects.toMatchObject({ responseCode: 451 });
  await sql`alter table webhook_receipts_away rename to webhook_receipts`.execute(db);
  expect(await inbound(1001)).toHaveLength(before);
  await send('hello@lotus.example');
  expect(await inbound(1001)).toHaveLength(before + 1);
});
