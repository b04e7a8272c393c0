import nodemailer, { type SendMailOptions } from 'nodemailer';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type SmtpPeer, startSmtp, type TakenMail } from '../support/smtp.ts';

/** Omega's mail goes out to a server of others, and comes back to its own. */
let omega: RunningOmega;
let outside: SmtpPeer;
let lotus: Client;

beforeAll(async () => {
  outside = await startSmtp();
  omega = await startOmega({ carrierDeadlineMs: 3_000, smtp: {} });
  const { api } = await omega.business({
    business_id: 1001,
    senders: [
      {
        channel: 'email',
        address: 'hello@lotus.example',
        provider: 'smtp',
        reply_domain: 'reply.lotus.example',
      },
    ],
    providers: { smtp: { url: outside.url, bounce_domain: 'bounce.lotus.example' } },
  });
  lotus = api;
});
afterAll(async () => {
  await omega.close();
  await outside.close();
});
beforeEach(() => {
  outside.mails.length = 0;
});

interface Queued {
  message_id: string;
  conversation_id: string;
  client_id: number;
}

async function send(to: string, more: object = {}): Promise<{ sent: Queued; mail: TakenMail }> {
  outside.mails.length = 0;
  const answer = await lotus.post('/email/queue', {
    to,
    subject: 'Your class',
    text: 'See you at 9!',
    ...more,
  });
  expect(answer.status).toBe(202);
  await omega.settled();
  return { sent: answer.body, mail: outside.mails[0]! };
}

/** Hands a mail over to Omega's own server. */
async function deliver(mail: SendMailOptions): Promise<void> {
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port: omega.smtpPort!, ignoreTLS: true });
  await transport.sendMail(mail);
  transport.close();
  await omega.settled();
}

async function messagesOf(sent: Queued) {
  const list = await lotus.get(
    `/businesses/1001/clients/${sent.client_id}/conversations/${sent.conversation_id}/messages`,
  );
  return list.body.data as Record<string, unknown>[];
}

/** The report of a mail server: RFC 3464. */
const bounce = (mail: TakenMail, recipient: string, messageId = mail.parsed.messageId!) => ({
  envelope: { from: '', to: mail.from },
  raw: `From: MAILER-DAEMON@mx.example
To: ${mail.from}
Subject: Undelivered Mail Returned to Sender
Message-ID: <${Math.random()}@mx.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ${recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b
Content-Type: text/rfc822-headers

From: hello@lotus.example
Message-ID: ${messageId}

--b--
`.replaceAll('\n', '\r\n'),
});

test('an answer to the reply address comes into its conversation, and is answered in its thread', async () => {
  const { sent, mail } = await send('ana@example.com');
  await deliver({
    from: 'Ana <ana.private@example.org>',
    to: mail.parsed.replyTo![0]!.address!,
    subject: `Re: ${mail.parsed.subject}`,
    messageId: '<answer-1@phone.example>',
    inReplyTo: mail.parsed.messageId,
    references: mail.parsed.messageId,
    text: 'Can I come at 10?',
  });
  expect(await messagesOf(sent)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        direction: 'inbound',
        from: 'ana.private@example.org',
        content: expect.stringMatching(/^Can I come at 10\?\s*$/),
      }),
    ]),
  );
  await omega.tick(1_000);
  const { mail: second } = await send('ana@example.com', { subject: 'RE: Your class' });
  expect(second.parsed.inReplyTo).toBe('<answer-1@phone.example>');
  expect(second.parsed.references).toBe(`${mail.parsed.messageId} <answer-1@phone.example>`);
});

test('a bounce comes to the address of the envelope, and its mail is undelivered', async () => {
  const { sent, mail } = await send('ben@example.com', { cc: ['mum@example.com'] });
  const statusOf = async () => (await messagesOf(sent)).find((one) => one.message_id === sent.message_id);
  expect(await statusOf()).toMatchObject({ status: 'sent' });
  // Of the copy alone: the client still has it.
  await deliver(bounce(mail, 'mum@example.com'));
  expect(await statusOf()).toMatchObject({ status: 'sent' });
  // With a name that somebody made up.
  await deliver(bounce(mail, 'ben@example.com', mail.parsed.messageId!.replace(/\.[\w-]{4}/, '.AAAA')));
  expect(await statusOf()).toMatchObject({ status: 'sent' });
  await deliver(bounce(mail, 'ben@example.com'));
  expect(await statusOf()).toMatchObject({
    status: 'undelivered',
    reason: 'invalid_address',
    error_code: '5.1.1',
    error_message: expect.stringContaining('User unknown'),
  });
});
