import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replyAddress } from '../../server/channels/index.ts';
import {
  type Amazon,
  type MailAccount,
  mailAccount,
  multipart,
  type Post,
  post,
  startAmazon,
} from '../support/mail-providers.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import { messagesOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let amazon: Amazon;
let api: Client;
let lotus: MailAccount;
let inboundUrl: URL;
const now = () => omega.clock.now();

beforeAll(async () => {
  amazon = await startAmazon();
  omega = await startOmega({ amazonAgent: amazon.agent });
  lotus = mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:lotus', amazon);
  api = (await omega.business({ business_id: 1001, providers: lotus.providers })).api;
  await omega.business({
    business_id: 2002,
    name: 'Rival Spa',
    senders: [{ channel: 'email', address: 'hello@rival.example', provider: 'simulator' }],
  });
  const urls = await api.get('/businesses/1001/email/webhooks');
  expect(urls.status).toBe(200);
  inboundUrl = new URL(
    urls.body.data.find((one: { provider: string }) => one.provider === 'sendgrid').inbound_url,
  );
});
afterAll(async () => {
  await omega.close();
  await amazon.close();
});

let count = 0;
const someone = () => `ana-${++count}@example.com`;

interface MailPlan {
  from?: string;
  to?: string;
  headers?: string[];
  body?: string | Buffer;
}

/** A mail's bytes. */
function mail({
  from = someone(),
  to = 'hello@lotus.example',
  headers = [],
  body = 'Hello',
}: MailPlan): Buffer {
  const named = (name: string) => headers.some((header) => header.toLowerCase().startsWith(`${name}:`));
  const head = [
    `From: ${from}`,
    `To: ${to}`,
    ...(named('subject') ? [] : ['Subject: A question']),
    ...(named('message-id') ? [] : [`Message-ID: <mail-${++count}@mail.example.com>`]),
    'Date: Tue, 10 Mar 2026 14:59:00 +0000',
    'MIME-Version: 1.0',
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}

const withPassword = ({ headers, body }: Post, url = inboundUrl): Post => ({
  headers: {
    ...headers,
    authorization: `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`,
  },
  body,
});

/** Sends a mail in as SendGrid posts it raw. */
async function receive(
  raw: Buffer,
  to = 'hello@lotus.example',
  more: { name: string; content: string }[] = [],
) {
  const form = multipart([
    { name: 'email', content: raw },
    { name: 'envelope', content: JSON.stringify({ to: [to], from: 'ana@example.com' }) },
    ...more,
  ]);
  const before = await newest();
  expect(await post(omega, 'sendgrid', withPassword(form))).toBe(200);
  const after = await newest();
  return after?.message_id === before?.message_id ? null : after!;
}

async function newest() {
  const row = await omega.omega.database.db
    .selectFrom('messages')
    .select(['message_id', 'conversation_id', 'client_id'])
    .where('business_id', '=', 1001)
    .orderBy('message_id', 'desc')
    .executeTakeFirst();
  if (!row) return undefined;
  const all = await messagesOf(api, 1001, row);
  return all.find((message) => message.message_id === row.message_id);
}
const lastReceipt = async () => (await omega.platform.get('/webhook-receipts?limit=1')).body.data[0];

describe('each provider hands over the same mail', () => {
  const from = () => `Ana Lima <${someone()}>`;
  const attachment = Buffer.from('%PDF-1.4 a form');
  const html = '<p>See <b>this</b> <img src="cid:logo@lotus"></p>';
  const parts = (boundary: string) =>
    [
      `--${boundary}`,
      'Content-Type: multipart/alternative; boundary="alt"',
      '',
      '--alt',
      'Content-Type: text/plain; charset=utf-8',
      '',
      'See this – ☀',
      '--alt',
      'Content-Type: text/html; charset=utf-8',
      '',
      html,
      '--alt--',
      `--${boundary}`,
      'Content-Type: image/png; name="logo.png"',
      'Content-ID: <logo@lotus>',
      'Content-Disposition: inline; filename="logo.png"',
      'Content-Transfer-Encoding: base64',
      '',
      'iVBORw0KGgo=',
      `--${boundary}`,
      'Content-Type: application/pdf; name="form.pdf"',
      'Content-Disposition: attachment; filename="form.pdf"',
      'Content-Transfer-Encoding: base64',
      '',
      attachment.toString('base64'),
      `--${boundary}--`,
      '',
    ].join('\r\n');
  const raw = () =>
    mail({
      from: from(),
      headers: ['Cc: friend@example.com', 'Content-Type: multipart/mixed; boundary="mix"'],
      body: parts('mix'),
    });
  const files = [
    { filename: 'logo.png', content_type: 'image/png', size: 8, content_id: 'logo@lotus' },
    { filename: 'form.pdf', content_type: 'application/pdf', size: attachment.length },
  ];
  const headers = () => [
    ['Message-Id', `<mail-${++count}@mail.example.com>`],
    ['From', from()],
    ['To', 'hello@lotus.example'],
    ['Cc', 'friend@example.com'],
  ];
  const envelope = { name: 'envelope', content: '{"to":["hello@lotus.example"],"from":"ana@example.com"}' };
  const ses = (more: object) => ({
    notificationType: 'Received',
    mail: { messageId: `ses-${++count}`, source: 'ana@example.com', destination: ['hello@lotus.example'] },
    receipt: {
      recipients: ['hello@lotus.example'],
      spfVerdict: { status: 'PASS' },
      dkimVerdict: { status: 'PASS' },
      dmarcVerdict: { status: 'GRAY' },
      action: { type: 'SNS', encoding: 'BASE64' },
    },
    ...more,
  });

  test.each<[string, string, () => Post]>([
    [
      'SendGrid, raw',
      'sendgrid',
      () => withPassword(multipart([{ name: 'email', content: raw() }, envelope])),
    ],
    [
      'SendGrid, parsed',
      'sendgrid',
      () =>
        withPassword(
          multipart([
            {
              name: 'headers',
              content: `${headers()
                .map((pair) => pair.join(': '))
                .join('\n')}\n`,
            },
            envelope,
            { name: 'subject', content: 'A question' },
            { name: 'text', content: Buffer.from('See this – ☀') },
            { name: 'html', content: html },
            { name: 'charsets', content: '{"subject":"UTF-8","text":"utf-8","html":"iso-8859-1"}' },
            {
              name: 'attachment1',
              filename: 'logo.png',
              type: 'image/png',
              content: Buffer.from('iVBORw0KGgo=', 'base64'),
            },
            { name: 'attachment2', filename: 'form.pdf', type: 'application/pdf', content: attachment },
            { name: 'content-ids', content: '{"logo@lotus":"attachment1"}' },
          ]),
        ),
    ],
    [
      'Mailgun, raw',
      'mailgun?business_id=1001&format=mime',
      () =>
        lotus.mailgunForm({
          recipient: 'hello@lotus.example',
          sender: 'ana@example.com',
          'body-mime': raw().toString(),
        }),
    ],
    [
      'Mailgun, parsed',
      'mailgun',
      () => {
        const signed = new URLSearchParams(lotus.mailgunForm({}).body.toString());
        return multipart([
          ...[...signed].map(([name, content]) => ({ name, content })),
          { name: 'recipient', content: 'hello@lotus.example' },
          { name: 'sender', content: 'ana@example.com' },
          { name: 'subject', content: 'A question' },
          { name: 'message-headers', content: JSON.stringify(headers()) },
          { name: 'body-plain', content: 'See this – ☀' },
          { name: 'body-html', content: html },
          {
            name: 'attachment-1',
            filename: 'logo.png',
            type: 'image/png',
            content: Buffer.from('iVBORw0KGgo=', 'base64'),
          },
          { name: 'attachment-2', filename: 'form.pdf', type: 'application/pdf', content: attachment },
          { name: 'content-id-map', content: '{"<logo@lotus>":"attachment-1"}' },
        ]);
      },
    ],
    [
      'Postmark',
      'postmark',
      () =>
        lotus.postmark({
          FromFull: { Email: someone(), Name: 'Ana Lima' },
          ToFull: [{ Email: 'hello@lotus.example', Name: '' }],
          CcFull: [{ Email: 'friend@example.com', Name: '' }],
          OriginalRecipient: 'hello@lotus.example',
          Subject: 'A question',
          MessageID: `postmark-${++count}`,
          TextBody: 'See this – ☀',
          HtmlBody: html,
          Headers: [{ Name: 'Message-ID', Value: `<mail-${++count}@mail.example.com>` }],
          Attachments: [
            { Name: 'logo.png', Content: 'iVBORw0KGgo=', ContentType: 'image/png', ContentID: 'logo@lotus' },
            { Name: 'form.pdf', Content: attachment.toString('base64'), ContentType: 'application/pdf' },
          ],
        }),
    ],
    ['SES through SNS', 'ses', () => lotus.ses(ses({ content: raw().toString('base64') }))],
  ])('%s', async (_name, path, make) => {
    const told = make();
    for (let i = 0; i < 2; i += 1) expect(await post(omega, path, told)).toBe(200);
    const message = (await newest())!;
    expect(message).toMatchObject({
      direction: 'inbound',
      channel: 'email',
      status: 'received',
      from: expect.stringMatching(/^ana-\d+@example.com$/),
      to: 'hello@lotus.example',
      cc: ['friend@example.com'],
      subject: 'A question',
      content: expect.stringContaining('See this – ☀'),
      html: expect.stringContaining('<img src="cid:logo@lotus"'),
      unread: true,
      auto_reply: false,
    });
    expect(message.attachments).toEqual(
      files.map((file) => ({ ...file, attachment_id: expect.any(String) })),
    );
    const file = await api.get(
      `/businesses/1001/messages/${message.message_id}/attachments/${message.attachments[1]!.attachment_id}`,
    );
    expect(file.body).toBe(attachment.toString());
    // Who is new is called what they call themselves.
    expect((await rowOf(api, 1001, message)).client).toMatchObject({ name: 'Ana Lima', provisional: true });
    // Told twice, it is one message.
    expect(await messagesOf(api, 1001, message)).toHaveLength(1);
  });

  test('SES with the mail in S3 is kept, and says what to do', async () => {
    expect(await post(omega, 'ses', lotus.ses(ses({ receipt: { action: { type: 'S3' } } })))).toBe(200);
    expect(await lastReceipt()).toMatchObject({
      state: 'ignored',
      note: expect.stringContaining('SNS action'),
    });
  });

  test('Resend: the mail is fetched with the API key, and without one the receipt waits to be replayed', async () => {
    const id = '56761188-7520-42d8-8898-ff6fc54ce618';
    const asked: string[] = [];
    let base = '';
    const server: Server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
      if (request.url === `/emails/receiving/${id}`)
        response.end(
          JSON.stringify({ object: 'email', id, raw: { download_url: `${base}/raw/1`, expires_at: 'soon' } }),
        );
      else response.end(raw());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const told = {
      type: 'email.received',
      data: { email_id: id, to: ['hello@lotus.example'], subject: 'A question' },
    };
    expect(await post(omega, 'resend', lotus.resend(told))).toBe(200);
    const waiting = await lastReceipt();
    expect(waiting).toMatchObject({ state: 'ignored', note: expect.stringContaining('api_key') });
    await omega.business({
      business_id: 1001,
      providers: { resend: { ...lotus.providers.resend!, api_key: 're_123', api_base_url: base } },
    });
    const replayed = await omega.platform.post(`/webhook-receipts/${waiting.receipt_id}/replay`);
    expect(replayed.body).toMatchObject({ state: 'applied' });
    expect(asked).toEqual([`/emails/receiving/${id} Bearer re_123`, '/raw/1 ']);
    expect(await newest()).toMatchObject({
      content: expect.stringContaining('See this – ☀'),
      provider: 'resend',
    });
    server.close();
  });
});

test('removeSender: mail to a sender that was removed is still its business’s, and not of another that has it now', async () => {
  const senders = '/businesses/1001/senders';
  const { body: old } = await api.call('PUT', senders, {
    channel: 'email',
    address: 'old@lotus.example',
    provider: 'simulator',
  });
  expect((await api.call('DELETE', `${senders}/${old.sender_id}`, {})).status).toBe(200);
  const to = 'old@lotus.example';
  expect(await receive(mail({ to }), to)).toMatchObject({ to, direction: 'inbound', unread: true });
  // Rival takes the address over, with an account of its own: what comes to it by ours is not for us to read.
  const taken = await omega.platform.call('PUT', '/businesses/2002/senders', {
    channel: 'email',
    address: to,
    provider: 'simulator',
  });
  expect(taken.status).toBe(201);
  expect(await receive(mail({ to }), to)).toBe(null);
});

describe('whose password', () => {
  test("listEmailWebhooks: SendGrid's inbound mail needs the password of its own business", async () => {
    const form = multipart([{ name: 'email', content: mail({}) }]);
    const other = (await omega.platform.get('/businesses/2002/email/webhooks')).body.data[0].inbound_url;
    const theirs = new URL(other);
    expect(await post(omega, 'sendgrid', form)).toBe(403);
    const mixed = new URL(inboundUrl);
    mixed.password = theirs.password;
    expect(await post(omega, 'sendgrid', withPassword(form, mixed))).toBe(403);
    // To Lotus's address, by Rival's URL: neither gets it.
    const all = () => omega.omega.database.db.selectFrom('messages').select('message_id').execute();
    const before = await all();
    expect(await post(omega, 'sendgrid', withPassword(form, theirs))).toBe(200);
    expect(await all()).toEqual(before);
    expect(await lastReceipt()).toMatchObject({ state: 'ignored', business_id: 2002 });
    // To an address that is nobody's: Rival's, as its catch-all.
    const stray = multipart([{ name: 'email', content: mail({ to: 'info@rival.example' }) }]);
    expect(await post(omega, 'sendgrid', withPassword(stray, theirs))).toBe(200);
    expect(await lastReceipt()).toMatchObject({ state: 'applied', business_id: 2002 });
  });
});

test('businesses that share an account each get what is theirs, whichever of them the URL names', async () => {
  const shared = mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:shared', amazon);
  for (const business_id of [3003, 4004]) {
    const address = `hello@b${business_id}.example`;
    const senders = [{ channel: 'email' as const, address, provider: 'simulator' as const }];
    await omega.business({ business_id, senders, providers: { postmark: shared.providers.postmark! } });
  }
  const told = shared.postmark({
    FromFull: { Email: someone() },
    ToFull: [{ Email: 'hello@b4004.example' }],
    OriginalRecipient: 'hello@b4004.example',
    MessageID: `postmark-${++count}`,
    TextBody: 'Hello',
  });
  expect(await post(omega, 'postmark?business_id=3003', told)).toBe(200);
  const rows = await omega.omega.database.db
    .selectFrom('messages')
    .select('business_id')
    .where('provider_message_id', '=', `postmark-${count}`)
    .execute();
  expect(rows).toEqual([{ business_id: 4004 }]);
});

describe('a thread is found', () => {
  async function sentTo(to: string) {
    const { body } = await api.post('/email/queue', { to, subject: 'Your class', text: 'See you at 9!' });
    await omega.settled();
    const row = await omega.omega.database.db
      .selectFrom('messages')
      .select('mail_id')
      .where('message_id', '=', body.message_id)
      .executeTakeFirstOrThrow();
    return { ...body, mailId: row.mail_id! } as {
      conversation_id: string;
      client_id: number;
      mailId: string;
    };
  }

  test('by the signed reply address, whoever answers and from wherever', async () => {
    const sent = await sentTo(someone());
    const other = someone();
    const to = replyAddress(
      { businessId: 1001, conversationId: sent.conversation_id },
      'reply.lotus.example',
      testSecrets,
    );
    const message = await receive(mail({ from: other, to: to.toUpperCase() }), to);
    expect(message).toMatchObject({
      conversation_id: sent.conversation_id,
      client_id: sent.client_id,
      from: other,
    });
    // The address is not taken for the client's.
    const next = await receive(mail({ from: other }));
    expect(next?.client_id).not.toBe(sent.client_id);
  });

  test('a reply address that was made up, or is of another business, names nothing', async () => {
    const sent = await sentTo(someone());
    const good = replyAddress(
      { businessId: 1001, conversationId: sent.conversation_id },
      'reply.lotus.example',
      testSecrets,
    );
    const forged = good.replace(/.@/, (end) => (end[0] === 'a' ? 'b@' : 'a@'));
    const theirs = replyAddress(
      { businessId: 2002, conversationId: sent.conversation_id },
      'reply.lotus.example',
      testSecrets,
    );
    for (const to of [forged, theirs]) {
      const message = await receive(mail({ to }), to);
      expect(message?.conversation_id).not.toBe(sent.conversation_id);
    }
  });

  test('by In-Reply-To, and by References', async () => {
    const sent = await sentTo(someone());
    const one = await receive(
      mail({ headers: [`In-Reply-To: <${sent.mailId}>`, 'Message-ID: <first@mail.example.com>'] }),
    );
    expect(one?.client_id).toBe(sent.client_id);
    const two = await receive(mail({ headers: [`References: <old@x.example>\r\n <${sent.mailId}>`] }));
    expect(two?.client_id).toBe(sent.client_id);
    // By the id of a mail that we received.
    const three = await receive(mail({ headers: ['In-Reply-To: <first@mail.example.com>'] }));
    expect(three?.client_id).toBe(sent.client_id);
  });

  test("by the sender's address, and never by the subject alone", async () => {
    const from = someone();
    const sent = await sentTo(from);
    expect((await receive(mail({ from })))?.conversation_id).toBe(sent.conversation_id);
    const stranger = await receive(mail({ headers: ['Subject: Re: Your class'] }));
    expect(stranger?.conversation_id).not.toBe(sent.conversation_id);
  });
});

describe('what is shown of a mail', () => {
  test('the reply apart from its quoted tail, with the whole kept', async () => {
    const body = [
      'Yes, please move me to 10.',
      '',
      'On Tue, Mar 10, 2026 at 9:00 AM Lotus Yoga <hello@lotus.example> wrote:',
      '> See you at 9!',
      '>',
      '> Lotus',
    ].join('\r\n');
    const message = await receive(mail({ body }));
    expect(message?.reply_text).toBe('Yes, please move me to 10.');
    expect(message?.content).toContain('> See you at 9!');
    expect((await rowOf(api, 1001, message!)).last_message?.preview).toBe('Yes, please move me to 10.');
    expect((await receive(mail({ body: 'Nothing quoted.' })))?.reply_text).toBeNull();
  });

  test.each([
    ['iso-2022-jp', Buffer.from('\x1b$B$3$s$K$A$O\x1b(B', 'latin1'), 'こんにちは'],
    ['windows-1252', Buffer.from([0x93, 0x47, 0x72, 0xfc, 0xdf, 0x65, 0x94, 0x20, 0x80]), '“Grüße” €'],
    ['koi8-r', Buffer.from([0xf0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4]), 'Привет'],
    ['gb18030', Buffer.from([0xc4, 0xe3, 0xba, 0xc3]), '你好'],
    ['no-such-charset', Buffer.from('naïve', 'utf8'), 'naïve'],
  ])('words in %s', async (charset, bytes, text) => {
    const message = await receive(
      mail({ headers: [`Content-Type: text/plain; charset=${charset}`], body: bytes }),
    );
    expect(message?.content.trim()).toBe(text);
  });

  test('encoded words in the headers', async () => {
    const message = await receive(
      mail({
        from: `=?utf-8?B?QW5hIExpbWEg4piA?= <${someone()}>`,
        headers: ['Subject: =?koi8-r?B?8NLJ18XU?='],
      }),
    );
    expect(message?.subject).toBe('Привет');
  });

  test('what the receiving server found out about the sender', async () => {
    const spf = await receive(mail({}), 'hello@lotus.example', [
      { name: 'SPF', content: 'pass' },
      { name: 'dkim', content: '{@example.com : fail}' },
    ]);
    expect(spf?.sender_authentication).toEqual({ spf: 'pass', dkim: 'fail', dmarc: null, by: 'sendgrid' });
    const results =
      'Authentication-Results: mx.lotus.example; spf=pass smtp.mailfrom=a@example.com; dkim=none; dmarc=fail (p=none)';
    expect((await receive(mail({ headers: [results] })))?.sender_authentication).toEqual({
      spf: 'pass',
      dkim: 'none',
      dmarc: 'fail',
      by: 'mx.lotus.example',
    });
    expect((await receive(mail({})))?.sender_authentication).toBeNull();
  });

  test('no script of it, and no remote image, runs', async () => {
    const html = '<p onclick="x()">Hi<script>alert(1)</script><img src="https://spy.example/p.gif"></p>';
    const message = await receive(mail({ headers: ['Content-Type: text/html'], body: html }));
    expect(message?.html).not.toMatch(/script|onclick| src="https/);
    expect(message?.content).toContain('Hi');
  });
});

describe('machines', () => {
  test.each([
    'Auto-Submitted: auto-replied',
    'Auto-Submitted: auto-generated (rejected)',
    'Precedence: bulk',
    'Precedence: auto_reply',
    'X-Auto-Response-Suppress: All',
    'List-Id: <news.example.com>',
    'X-Autoreply: yes',
    'Return-Path: <>',
  ])('%s: it is unread, and nobody waits for an answer', async (header) => {
    const message = await receive(mail({ headers: [header] }));
    expect(message).toMatchObject({ auto_reply: true, unread: true });
    expect(await rowOf(api, 1001, message!)).toMatchObject({ waiting_since: null, unread_count: 1 });
  });

  test.each(['Auto-Submitted: no', 'List-Unsubscribe: <https://crm.example/u>'])(
    '%s: it is a person',
    async (header) => {
      expect((await receive(mail({ headers: [header] })))?.auto_reply).toBe(false);
    },
  );

  test('a mail of ours that comes back, one of our own address, and one of sixty hops are loops', async () => {
    const { body } = await api.post('/email/queue', {
      to: someone(),
      subject: 'Your class',
      text: 'See you',
    });
    await omega.settled();
    const { mail_id } = await omega.omega.database.db
      .selectFrom('messages')
      .select('mail_id')
      .where('message_id', '=', body.message_id)
      .executeTakeFirstOrThrow();
    const hops = Array.from(
      { length: 60 },
      (_, i) => `Received: from a${i}.example by b${i}.example; Tue, 10 Mar 2026`,
    );
    for (const plan of [
      { headers: [`Message-ID: <${mail_id}>`] },
      { from: 'Lotus <hello@lotus.example>' },
      { headers: hops },
    ]) {
      expect(await receive(mail(plan))).toBeNull();
      expect(await lastReceipt()).toMatchObject({ state: 'ignored', note: expect.any(String) });
    }
  });

  test('a delivery status notification goes to the mail that it is about, and to nobody else', async () => {
    const to = someone();
    const { body } = await api.post('/email/queue', { to, subject: 'Your class', text: 'See you' });
    await omega.settled();
    const { mail_id } = await omega.omega.database.db
      .selectFrom('messages')
      .select('mail_id')
      .where('message_id', '=', body.message_id)
      .executeTakeFirstOrThrow();
    const dsn = (mailId: string) =>
      mail({
        from: 'MAILER-DAEMON@mx.example.com',
        headers: [
          'Content-Type: multipart/report; report-type=delivery-status; boundary="r"',
          'Return-Path: <>',
        ],
        body: [
          '--r\r\nContent-Type: text/plain\r\n\r\nYour mail could not be delivered.',
          `--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; ${to}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n`,
          `--r\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <${mailId}>\r\n`,
          '--r--\r\n',
        ].join('\r\n'),
      });
    expect(await receive(dsn('made-up@lotus.example'))).toBeNull();
    expect(await receive(dsn(mail_id!))).toBeNull();
    const [message] = (await messagesOf(api, 1001, body)).filter((one) => one.message_id === body.message_id);
    expect(message).toMatchObject({ status: 'undelivered', error_code: '5.1.1', reason: 'invalid_address' });
  });
});

test('a mail that the database could not take in at first comes in later, with its files, and once', async () => {
  const { db } = omega.omega.database;
  const raw = mail({
    headers: ['Content-Type: multipart/mixed; boundary="b"'],
    body: '--b\r\n\r\nSee the file\r\n--b\r\nContent-Type: text/plain; name="a.txt"\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nfile\r\n--b--',
  });
  await sql`alter table attachments rename to attachments_away`.execute(db);
  expect(await receive(raw)).toBeNull();
  const receipt = await lastReceipt();
  expect(receipt.state).toBe('kept');
  await sql`alter table attachments_away rename to attachments`.execute(db);
  for (let i = 0; i < 2; i += 1) {
    const replayed = await omega.platform.post(`/webhook-receipts/${receipt.receipt_id}/replay`);
    expect(replayed.body.state).toBe('applied');
  }
  const message = (await newest())!;
  expect(message).toMatchObject({
    content: expect.stringContaining('See the file'),
    attachments: [{ filename: 'a.txt' }],
  });
  expect(await messagesOf(api, 1001, message)).toHaveLength(1);
});

describe('hostile mail is kept and bounded', () => {
  const nested = (depth: number) => {
    let text = 'deep';
    for (let i = 0; i < depth; i += 1)
      text = `Content-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\n${text}\r\n--b${i}--\r\n`;
    return Buffer.from(`From: ${someone()}\r\nTo: hello@lotus.example\r\nMIME-Version: 1.0\r\n${text}`);
  };
  test.each<[string, () => Buffer]>([
    ['2,000 parts in parts', () => nested(2_000)],
    [
      '20,000 parts',
      () =>
        mail({
          headers: ['Content-Type: multipart/mixed; boundary="b"'],
          body: `${'--b\r\n\r\nx\r\n'.repeat(20_000)}--b--`,
        }),
    ],
    ['a header of 2 MB', () => mail({ headers: [`X-Long: ${'a'.repeat(2_000_000)}`] })],
    ['20,000 headers', () => mail({ headers: Array.from({ length: 20_000 }, (_, i) => `X-${i}: y`) })],
    ['20,000 addresses', () => mail({ headers: [`Cc: ${'a@b.example,'.repeat(20_000)}`] })],
    ['NUL everywhere', () => mail({ headers: ['Subject: a\0b'], body: 'a\0b' })],
    [
      'a boundary that never ends',
      () => mail({ headers: ['Content-Type: multipart/mixed; boundary="b"'], body: '--b\r\n\r\nx' }),
    ],
    [
      'base64 that is none',
      () => mail({ headers: ['Content-Transfer-Encoding: base64'], body: '%%%%'.repeat(100_000) }),
    ],
    ['quotes in quotes', () => mail({ body: '> > > Op schreef\n'.repeat(20_000) })],
    ['no headers at all', () => Buffer.from('\r\n\r\nhello')],
    [
      'a file whose name is 500,000 dots and blanks',
      () =>
        mail({
          headers: [`Content-Disposition: attachment; filename="a${' .'.repeat(250_000)}x"`],
          body: 'x',
        }),
    ],
    [
      '60 addresses of 16,000 pluses',
      () => mail({ headers: Array.from({ length: 60 }, () => `Cc: <a@${'+'.repeat(16_000)}>`) }),
    ],
    ['HTML 100,000 deep', () => mail({ headers: ['Content-Type: text/html'], body: '<b>'.repeat(100_000) })],
  ])('%s', async (_name, make) => {
    const form = multipart([{ name: 'email', content: make() }]);
    expect(await post(omega, 'sendgrid', withPassword(form))).toBe(200);
    const receipt = await lastReceipt();
    expect(['applied', 'ignored', 'unreadable']).toContain(receipt.state);
    expect((await omega.platform.get('/health')).status).toBe(200);
  });

  test('a mail of more than a million lines is kept, and not read', async () => {
    const form = multipart([{ name: 'email', content: mail({ body: '\n'.repeat(1_000_001) }) }]);
    expect(await post(omega, 'sendgrid', withPassword(form))).toBe(200);
    expect(await lastReceipt()).toMatchObject({
      state: 'unreadable',
      note: 'The mail has more than 1000000 lines.',
    });
  });

  test('HTML of a third of a million elements is kept, and shown by its words', async () => {
    const html = `<p>See you at ten</p>${'<p>'.repeat(300_000)}`;
    const message = await receive(mail({ headers: ['Content-Type: text/html'], body: html }));
    expect(message).toMatchObject({ content: 'See you at ten', html: null });
  });

  test('a form of 5,000 parts, and one that breaks off, are kept and answered', async () => {
    const many = multipart(Array.from({ length: 5_000 }, (_, i) => ({ name: `f${i}`, content: 'x' })));
    expect(await post(omega, 'sendgrid', withPassword(many))).toBe(200);
    expect((await lastReceipt()).state).toBe('unreadable');
    const whole = multipart([{ name: 'email', content: mail({}) }]);
    const cut = { ...whole, body: whole.body.subarray(0, 200) };
    expect(await post(omega, 'sendgrid', withPassword(cut))).toBe(200);
    expect((await lastReceipt()).state).toBe('unreadable');
  });

  test('text beyond 1 MB is cut, with the whole as a file', async () => {
    const message = await receive(mail({ body: 'long line ä\r\n'.repeat(120_000) }));
    expect(Buffer.byteLength(message!.content)).toBeLessThanOrEqual(1024 * 1024);
    expect(message!.attachments).toMatchObject([{ filename: 'message.txt' }]);
  });
});
