import fc from 'fast-check';
import nodemailer, { type SendMailOptions } from 'nodemailer';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readEmail } from '../../server/core/addresses.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { expectOnlyIntended, nasty, usualHeaders, usualPeople } from '../support/hostile-mail.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type SmtpPeer, startSmtp, type TakenMail } from '../support/smtp.ts';

/** Omega's mail goes out to a server of others, and comes back to its own. */
let omega: RunningOmega;
let outside: SmtpPeer;
let lotus: Client;
/** Of a business with no domain for answers. */
let plain: Client;

beforeAll(async () => {
  outside = await startSmtp();
  omega = await startOmega({ carrierDeadlineMs: 5_000, smtp: {}, publicUrl: 'https://omega.example' });
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
  const other = await omega.business({
    business_id: 1002,
    name: 'Lotus <Yoga>',
    senders: [{ channel: 'email', address: 'hello@lotus.example', provider: 'smtp' }],
    providers: { smtp: { url: outside.url } },
  });
  plain = other.api;
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

/** Folding a header may change blanks (RFC 5322, 2.2.3). */
const oneBlank = (text: string) => text.replaceAll(/\s+/g, ' ').trim();

test('what a caller writes is refused, or sent to exactly whom it names with the subject as it is', async () => {
  const field = fc.constantFrom(
    'to',
    'cc',
    'bcc',
    'reply_to',
    'from',
    'subject',
    'filename',
    'content_type',
    'text',
  );
  await fc.assert(
    fc.asyncProperty(field, nasty, fc.boolean(), async (name, value, isAppended) => {
      outside.mails.length = 0;
      const put = (own: string, usual: string) =>
        own === name ? (isAppended ? usual + value : value) : usual;
      const body = {
        to: put('to', usualPeople.to),
        cc: [put('cc', usualPeople.cc)],
        bcc: [put('bcc', usualPeople.bcc)],
        subject: put('subject', 'Your class'),
        text: put('text', 'See you'),
        ...(name === 'from' && { from: put('from', 'hello@lotus.example') }),
        ...(name === 'reply_to' && { reply_to: put('reply_to', 'desk@lotus.example') }),
        attachments: [
          {
            filename: put('filename', 'a.txt'),
            content_type: put('content_type', 'text/plain'),
            content: Buffer.from('hi').toString('base64'),
          },
        ],
      };
      const answer = await plain.post('/email/queue', body);
      await omega.settled();
      if (answer.status === 202) {
        // What is an address after all is whom the caller named.
        const named = (value: string) => (readEmail(value) as { email: string }).email;
        const taken = expectOnlyIntended(
          outside,
          name === 'reply_to' ? [...usualHeaders, 'reply-to'] : usualHeaders,
          { to: named(body.to), cc: named(body.cc[0]!), bcc: named(body.bcc[0]!) },
        );
        expect(oneBlank(taken.parsed.subject ?? '')).toBe(oneBlank(body.subject));
      } else {
        expect(answer.status).toBe(422);
        expect(outside.mails).toEqual([]);
      }
    }),
    {
      numRuns: 80,
      examples: [
        ['to', 'evil@example.org', false],
        ['cc', 'é', true],
        ['subject', '=?utf-8?q?=0D=0ABcc:_evil@example.org?=', false],
        ['subject', ' =?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?= 🧘 '.repeat(9), true],
      ],
    },
  );
});

let count = 0;
const someone = () => `client-${++count}@example.com`;

/** Sends a mail and answers what the server got of it, and its button's path under the API. */
async function sendTo(to: string, category: 'marketing' | 'transactional') {
  outside.mails.length = 0;
  const answer = await plain.post('/email/queue', { to, subject: 'Spring', text: 'New classes!', category });
  expect(answer.status).toBe(202);
  await omega.settled();
  const [mail] = outside.mails;
  const header = (name: string) => mail?.parsed.headers.find(({ key }) => key === name)?.value;
  const link = header('list-unsubscribe');
  return {
    ...(answer.body as { message_id: string; client_id: number; status: string }),
    link,
    post: header('list-unsubscribe-post'),
    path: link?.match(/^<https:\/\/omega\.example\/omega(\/email\/unsubscribe\/[\w-]+)>$/)?.[1],
  };
}

/** As a mail program does it: no credentials, no cookie, a form. */
const click = (
  path: string,
  body = 'List-Unsubscribe=One-Click',
  type = 'application/x-www-form-urlencoded',
) => omega.as(null).call('POST', path, body, { 'content-type': type });

const ledgerOf = async (address: string) =>
  (await plain.get(`/businesses/1002/consents?address=${encodeURIComponent(address)}`)).body.data;

test('a marketing mail has the button of RFC 8058, and another mail has none', async () => {
  const to = someone();
  const { link, post, path } = await sendTo(to, 'marketing');
  expect(path).toBeDefined();
  expect(post).toBe('List-Unsubscribe=One-Click');
  // Nothing of a person in it, in clear or encoded.
  const token = path!.split('/').at(-1)!;
  for (const text of [token, Buffer.from(token, 'base64url').toString('latin1')])
    expect(text).not.toContain('client-');
  expect(link).not.toContain('@');
  expect(await sendTo(to, 'transactional')).toMatchObject({ link: undefined, post: undefined });
});

test('showUnsubscribe, unsubscribe: opening the link changes nothing and shows a button; the click unsubscribes, once however often', async () => {
  const to = someone();
  const sent = await sendTo(to, 'marketing');
  for (const method of ['GET', 'HEAD', 'GET']) {
    const opened = await omega.as(null).call(method, sent.path!);
    expect(opened.status).toBe(200);
    expect(opened.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(opened.headers.get('content-security-policy')).toContain("default-src 'none'");
    if (method === 'GET') expect(opened.body).toContain('<form method="post">');
    expect(opened.body).not.toContain('<Yoga>');
  }
  expect(await ledgerOf(to)).toEqual([]);

  const clicks = await Promise.all([click(sent.path!), click(sent.path!)]);
  expect(clicks.map((answer) => answer.status)).toEqual([200, 200]);
  expect((await click(sent.path!, '--x\r\nfoo\r\n--x--', 'multipart/form-data; boundary=x')).body).toContain(
    'You are unsubscribed',
  );
  expect(await ledgerOf(to)).toMatchObject([
    {
      channel: 'email',
      address: to,
      category: 'marketing',
      state: 'revoked',
      source: 'one_click',
      evidence: { message_id: sent.message_id },
      client_id: sent.client_id,
    },
  ]);
  const events = await omega.omega.database.db
    .selectFrom('events')
    .select(['type', 'actor', 'data'])
    .where('type', 'in', ['consent.revoked', 'message.unsubscribed'])
    .execute();
  expect(events.filter(({ data }) => data.message_id === sent.message_id).map(({ type }) => type)).toEqual([
    'consent.revoked',
    'message.unsubscribed',
  ]);

  expect(await sendTo(to, 'marketing')).toMatchObject({ status: 'suppressed', link: undefined });
  expect(outside.mails).toHaveLength(0);
  expect((await sendTo(to, 'transactional')).status).toBe('queued');
  expect(outside.mails).toHaveLength(1);
});

test('who came back and clicks again, in an old mail too, leaves again', async () => {
  const to = someone();
  const sent = await sendTo(to, 'marketing');
  await click(sent.path!);
  await omega.tick(60_000);
  const grant = {
    channel: 'email',
    address: to,
    category: 'marketing',
    state: 'granted',
    source: 'front_desk',
  };
  expect((await plain.post('/businesses/1002/consents', grant)).status).toBe(201);
  expect((await sendTo(to, 'marketing')).status).toBe('queued');
  await omega.tick(60_000);
  await click(sent.path!);
  expect((await sendTo(to, 'marketing')).status).toBe('suppressed');
});

test('the link of an erased client works, and holds when the same address comes back', async () => {
  const to = someone();
  const sent = await sendTo(to, 'marketing');
  const erased = await plain.call('DELETE', `/businesses/1002/clients/${sent.client_id}`);
  expect(erased.status).toBe(200);
  expect((await click(sent.path!)).status).toBe(200);
  expect((await click(sent.path!)).status).toBe(200);
  const { rows } = await omega.omega.database.pglite!.query<{ text: string }>(
    `select (c.*)::text as text from consents c where source = 'one_click'`,
  );
  expect(rows.some(({ text }) => text.includes(to))).toBe(false);
  expect(await ledgerOf(to)).toMatchObject([{ source: 'one_click', address: null }]);
  expect((await sendTo(to, 'marketing')).status).toBe('suppressed');
});

test('a link that was changed anywhere does nothing, and is 403', async () => {
  const to = someone();
  const { path } = await sendTo(to, 'marketing');
  const [, token] = path!.match(/\/([\w-]+)$/)!;
  const at = (i: number, character: string) => token!.slice(0, i) + character + token!.slice(i + 1);
  const changed = [...token!].map((character, i) => at(i, character === 'A' ? 'B' : 'A'));
  for (const other of [...changed, token!.slice(1), `${token}A`, 'x']) {
    // The last character of base64url has bits that mean nothing: it must be exactly ours all the same.
    const answer = await click(`/email/unsubscribe/${other}`);
    expectProblem(answer, 403, 'invalid_signature', other);
  }
  expect(await ledgerOf(to)).toEqual([]);
  const opened = await omega.as(null).get('/email/unsubscribe/x');
  expect(opened.body).toContain('not complete');
});
