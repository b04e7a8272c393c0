import { connect, type Socket } from 'node:net';
import { sql } from 'kysely';
import nodemailer from 'nodemailer';
import getTLSOptions from 'smtp-server/lib/tls-options.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replyAddress } from '../../server/channels/index.ts';
import { eventually } from '../support/eventually.ts';
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
const peer = (more: object = {}) =>
  nodemailer.createTransport({
    ...more,
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

/** A connection that has been greeted, or refused. */
async function greeted(port: number): Promise<{ socket: Socket; greeting: string }> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  const greeting = await new Promise<string>((resolve) => {
    socket.once('data', (data) => resolve(data.toString()));
  });
  return { socket, greeting };
}

test('connections of one address keep no other out', async () => {
  const open = await Promise.all(Array.from({ length: 20 }, () => greeted(omega.smtpPort!)));
  expect(open.map(({ greeting }) => greeting.slice(0, 4))).toEqual(open.map(() => '220 '));
  const refused = await greeted(omega.smtpPort!);
  expect(refused.greeting).toMatch(/^421 4\.7\.0 Too many connections from your address/);
  const other = peer({ localAddress: '127.0.0.2' });
  const mail = { from: 'dora@example.com', to: 'hello@lotus.example', subject: 'Hi', text: 'Hi' };
  expect((await other.sendMail(mail)).response).toMatch(/^250 /);
  for (const { socket } of open) socket.destroy();
  await eventually(() => send('hello@lotus.example'));
});

test('a connection ends after its time, however busy it looks', async () => {
  const own = await startOmega({ worker: false, smtp: { lifeMs: 500 } });
  const { socket } = await greeted(own.smtpPort!);
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('data', () => socket.write('NOOP\r\n'));
  socket.write('NOOP\r\n');
  await ended;
  await own.close();
});

test('mails that come in at once hold so much memory and no more: beyond it they are to come again', async () => {
  const own = await startOmega({ smtp: { heldBytes: 1_000_000 } });
  await own.business({ business_id: 1001 });
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port: own.smtpPort!, ignoreTLS: true });
  const mail = (bytes: number) =>
    transport.sendMail({
      from: 'eva@example.com',
      to: 'hello@lotus.example',
      subject: 'Hi',
      text: 'x'.repeat(bytes),
    });
  for (let i = 0; i < 3; i++) {
    await expect(mail(1_500_000)).rejects.toMatchObject({ responseCode: 452 });
    expect((await mail(800_000)).response).toMatch(/^250 /);
    // Broken off in the middle.
    const { socket } = await greeted(own.smtpPort!);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('HELO x\r\nMAIL FROM:<f@example.com>\r\nRCPT TO:<hello@lotus.example>\r\nDATA\r\n');
    await new Promise<void>((resolve) => {
      socket.on('data', (data) => data.toString().includes('354 ') && resolve());
    });
    socket.write('x'.repeat(70).concat('\r\n').repeat(10_000), () => socket.destroy());
    await closed;
  }
  await own.close();
});
