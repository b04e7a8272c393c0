import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readMailId, readReplyAddress } from '../../server/mail/ids.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import {
  type SmtpPeer,
  smtpPassword,
  smtpUser,
  startRawSmtp,
  startSmtp,
  usualTalk,
} from '../support/smtp.ts';

/** Bytes that a log must never have. */
const logged: string[] = [];
let omega: RunningOmega;
let smtp: SmtpPeer;
let lotus: Client;

beforeAll(async () => {
  smtp = await startSmtp();
  omega = await startOmega({
    carrierDeadlineMs: 3_000,
    log: pino({ level: 'trace' }, { write: (line: string) => logged.push(line) }),
  });
  lotus = await business(1001, [{ address: 'hello@lotus.example', name: 'Lotus „Yoga“, <Zürich> 🧘' }]);
});
afterAll(async () => {
  await omega.close();
  await smtp.close();
});
beforeEach(() => {
  smtp.refusals.length = 0;
  smtp.mails.length = 0;
});

/** A business that sends by the SMTP server. */
async function business(
  businessId: number,
  senders: { address: string; name?: string; provider?: string; reply_domain?: string }[],
  account: Record<string, unknown> = {},
): Promise<Client> {
  const { api } = await omega.business({
    business_id: businessId,
    staffs: [],
    locations: [],
    senders: senders.map((sender) => ({ channel: 'email', provider: 'smtp', ...sender }) as never),
    providers: { smtp: { url: smtp.url, ...account } },
  });
  return api;
}

let count = 0;
const someone = () => `client-${++count}@example.com`;
const hello = { subject: 'Your class', text: 'See you at 9!' };

interface Queued {
  message_id: string;
  conversation_id: string;
  client_id: number;
}

async function send(body: object, api = lotus): Promise<Queued> {
  const answer = await api.post('/email/queue', { ...hello, ...body });
  expect(answer.body).toMatchObject({ message_id: expect.any(String) });
  await omega.settled();
  return answer.body;
}

const messageOf = ({ message_id }: Queued) =>
  omega.omega.database.db
    .selectFrom('messages')
    .selectAll()
    .where('message_id', '=', message_id)
    .executeTakeFirstOrThrow();

async function timelineOf({ message_id }: Queued, kind: string) {
  const rows = await omega.omega.database.db
    .selectFrom('message_timeline')
    .select('data')
    .where('message_id', '=', message_id)
    .where('kind', '=', kind)
    .execute();
  return rows.map((row) => row.data);
}

const header = (name: string) => smtp.mails[0]!.parsed.headers.find(({ key }) => key === name)?.value;

describe('a mail by SMTP', () => {
  test('has exactly the recipients, headers, words and files that were given, and no more', async () => {
    const to = someone();
    const subject = `Ваш урок „завтра“ 🧘 ${'und noch viel mehr darüber '.repeat(8)}`.trim();
    const file = Buffer.from('BEGIN:VCALENDAR\n\r\n\0\xff'.repeat(2_000), 'latin1');
    const sent = await send({
      to,
      subject,
      text: 'Bis morgen!\n.\n..\nFrom here on: ü',
      html: '<p>Bis <b>morgen</b>!</p>',
      cc: ['mum@example.com', 'dad@example.org'],
      bcc: ['audit@lotus.example'],
      reply_to: 'desk@lotus.example',
      attachments: [
        {
          filename: 'Stundenplan – März „neu“.ics',
          content_type: 'text/calendar; method=REQUEST',
          content: file.toString('base64'),
        },
        {
          filename: 'a;b="c".txt',
          content_type: 'text/plain',
          content: Buffer.from('hi').toString('base64'),
        },
      ],
    });
    expect(smtp.mails).toHaveLength(1);
    const mail = smtp.mails[0]!;
    expect(mail.from).toBe('hello@lotus.example');
    expect(mail.to.sort()).toEqual([to, 'audit@lotus.example', 'dad@example.org', 'mum@example.com'].sort());
    expect(mail.parsed).toMatchObject({
      from: { name: 'Lotus „Yoga“, <Zürich> 🧘', address: 'hello@lotus.example' },
      to: [{ address: to }],
      cc: [{ address: 'mum@example.com' }, { address: 'dad@example.org' }],
      replyTo: [{ address: 'desk@lotus.example' }],
      subject,
      html: expect.stringContaining('<p>Bis <b>morgen</b>!</p>'),
    });
    expect(mail.parsed.text!.trimEnd()).toBe('Bis morgen!\n.\n..\nFrom here on: ü');
    expect(mail.parsed.bcc).toBeUndefined();
    expect(mail.raw).not.toMatch(/audit@lotus|^bcc:/im);
    expect(mail.parsed.attachments).toMatchObject([
      { filename: 'Stundenplan – März „neu“.ics', mimeType: 'text/calendar', disposition: 'attachment' },
      { filename: 'a;b=_c_.txt', mimeType: 'text/plain', disposition: 'attachment' },
    ]);
    const [part] = mail.raw.split('text/calendar').slice(1);
    expect(Buffer.from(part!.split('\r\n\r\n')[1]!, 'base64').equals(file)).toBe(true);
    expect([...new Set(mail.parsed.headers.map(({ key }) => key))].sort()).toEqual(
      [
        'cc',
        'content-type',
        'date',
        'from',
        'message-id',
        'mime-version',
        'reply-to',
        'subject',
        'to',
      ].sort(),
    );
    expect(new Date(mail.parsed.date!).getTime()).toBe(omega.clock.now());
    // Lines of other people's programs: RFC 5321, 4.5.3.1.6, and RFC 5322, 2.1.1.
    expect(Math.max(...mail.raw.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(998);

    const mailId = mail.parsed.messageId!;
    expect(mailId).toMatch(/^<[^<>\s]+@lotus\.example>$/);
    expect(readMailId(mailId, testSecrets)).toEqual({ messageId: sent.message_id });
    expect(await messageOf(sent)).toMatchObject({
      status: 'sent',
      provider: 'smtp',
      mail_id: mailId.slice(1, -1),
      provider_message_id: mailId.slice(1, -1),
      provider_status: '250 2.0.0 Ok: queued as 4BXyz',
    });
  });

  test('one after the other go over one connection', async () => {
    await send({ to: someone() });
    await send({ to: someone() });
    await send({ to: someone() });
    expect(new Set(smtp.mails.map((mail) => mail.connection)).size).toBe(1);
  });

  test('answers the last mail of the client under its subject, in its thread', async () => {
    const from = someone();
    const { db } = omega.omega.database;
    const inbound = async (subject: string, mailId: string) => {
      const { body } = await lotus.post('/email/record', {
        direction: 'inbound',
        to: from,
        subject,
        text: 'Hi',
      });
      await db
        .updateTable('messages')
        .set({ mail_id: mailId })
        .where('message_id', '=', body.message_id)
        .execute();
      await omega.tick(1_000);
    };
    await inbound('Can I move?', 'first@phone.example');
    const ours = await send({ to: from, subject: 'Re: Can I move?' });
    await omega.tick(1_000);
    await inbound('RE: Re: Can I move?', 'second@phone.example');
    await inbound('Another thing', 'other@phone.example');
    smtp.mails.length = 0;
    await send({ to: from, subject: 'AW: Can I move?' });
    const { mail_id } = await messageOf(ours);
    expect(smtp.mails[0]!.parsed.inReplyTo).toBe('<second@phone.example>');
    expect(smtp.mails[0]!.parsed.references).toBe(
      `<first@phone.example> <${mail_id}> <second@phone.example>`,
    );
    smtp.mails.length = 0;
    await send({ to: from, subject: 'A reminder of its own' });
    expect(smtp.mails[0]!.parsed.inReplyTo).toBeUndefined();
    expect(smtp.mails[0]!.parsed.references).toBeUndefined();
  });

  test('of a sender with a reply domain is answered to the conversation; what the caller asks for stands', async () => {
    const api = await business(
      1002,
      [{ address: 'hello@replies.example', reply_domain: 'Reply.Replies.example' }],
      { bounce_domain: 'bounce.replies.example', headers: { 'X-PM-Message-Stream': 'broadcast' } },
    );
    const sent = await send({ to: someone() }, api);
    const conversation = { businessId: 1002, conversationId: sent.conversation_id };
    const [mail] = smtp.mails;
    const replyTo = mail!.parsed.replyTo![0]!.address!;
    expect(replyTo).toMatch(/^reply\+[0-9a-v]{56}@reply\.replies\.example$/);
    expect(readReplyAddress(replyTo, testSecrets)).toEqual(conversation);
    expect(mail!.from).toMatch(/@bounce\.replies\.example$/);
    expect(readReplyAddress(mail!.from, testSecrets)).toEqual(conversation);
    expect(header('x-pm-message-stream')).toBe('broadcast');
    smtp.mails.length = 0;
    await send({ to: someone(), reply_to: 'desk@replies.example' }, api);
    expect(smtp.mails[0]!.parsed.replyTo).toMatchObject([{ address: 'desk@replies.example' }]);
  });

  test.each([
    [
      'mailgun',
      (m: string, b: string) => ({
        'x-mailgun-variables': `{"omega_message_id":"${m}","omega_business_id":"${b}"}`,
      }),
    ],
    [
      'postmark',
      (m: string, b: string) => ({
        'x-pm-metadata-omega_message_id': m,
        'x-pm-metadata-omega_business_id': b,
        'x-pm-keepid': 'true',
      }),
    ],
    [
      'ses',
      (m: string, b: string) => ({ 'x-ses-message-tags': `omega_message_id=${m}, omega_business_id=${b}` }),
    ],
    ['resend', (m: string) => ({ 'resend-idempotency-key': `omega/${m}` })],
  ])('through %s brings our ids in its own headers, and nothing of a person', async (provider, expected) => {
    const businessId = 1100 + provider.length;
    const api = await business(businessId, [{ address: `hello@${provider}.example`, provider }]);
    smtp.answer =
      provider === 'ses' ? 'Ok 0100018b5c3c0a4f-0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-000000' : '2.0.0 Ok';
    const sent = await send({ to: someone() }, api);
    const own = Object.fromEntries(
      smtp.mails[0]!.parsed.headers.filter(({ key }) => /^x-|^resend-/.test(key)).map(({ key, value }) => [
        key,
        value,
      ]),
    );
    expect(own).toEqual(expected(sent.message_id, String(businessId)));
    const { status, provider_message_id, mail_id } = await messageOf(sent);
    expect(status).toBe('sent');
    expect(provider_message_id).toBe(
      provider === 'ses' ? '0100018b5c3c0a4f-0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-000000' : mail_id,
    );
    smtp.answer = '2.0.0 Ok: queued as 4BXyz';
  });

  test('that somebody has sent again has a key of its own at Resend, or it would be swallowed there', async () => {
    const api = await business(1120, [{ address: 'hello@again.example', provider: 'resend' }]);
    const sent = await send({ to: someone() }, api);
    await api.post('/email/status', { message_id: sent.message_id, status: 'undelivered' });
    expect((await api.post(`/messages/${sent.message_id}/retry`, { force: true })).status).toBe(202);
    await omega.settled();
    const keys = smtp.mails.map(
      ({ parsed }) => parsed.headers.find(({ key }) => key === 'resend-idempotency-key')?.value,
    );
    expect(keys).toEqual([`omega/${sent.message_id}`, `omega/${sent.message_id}/1`]);
  });
});

describe('what the server refuses', () => {
  test.each([
    ['mail', 550, '5.7.60 You may not send as this address', 'sender_config', null],
    ['mail', 530, '5.7.0 Authentication required', 'account_config', '530'],
    ['rcpt', 550, '5.1.1 No such user', 'invalid_address', '5.1.1'],
    ['rcpt', 553, 'Mailbox name not allowed', 'invalid_address', '553'],
    ['rcpt', 550, '5.7.1 Listed at a blocklist', 'blocked', '5.7.1'],
    ['rcpt', 550, 'Go away', 'unknown', '550'],
    ['data', 554, '5.7.1 Message contains spam', 'blocked', '5.7.1'],
    ['data', 552, 'Message too large', 'invalid_request', '552'],
  ] as const)('at %s with %i %s is failed for good: %s', async (at, code, text, reason, errorCode) => {
    smtp.refusals.push({ at, code, text });
    const sent = await send({ to: someone() });
    expect(await messageOf(sent)).toMatchObject({
      status: 'failed',
      reason,
      error_code: errorCode,
      error_message: expect.stringContaining(text),
      attempts: 1,
    });
    expect(smtp.mails).toHaveLength(0);
  });

  test.each([
    ['mail', 451, '4.3.0 Try again later'],
    ['rcpt', 450, '4.2.0 Greylisted, come back in five minutes'],
    ['rcpt', 452, '4.2.2 Mailbox full'],
    ['data', 421, '4.3.2 Shutting down'],
  ] as const)('at %s with %i %s is sent again later, once', async (at, code, text) => {
    smtp.refusals.push({ at, code, text });
    const sent = await send({ to: someone() });
    expect(await messageOf(sent)).toMatchObject({ status: 'sending', attempts: 1 });
    smtp.refusals.length = 0;
    await omega.tick(15 * 60_000);
    expect(await messageOf(sent)).toMatchObject({ status: 'sent', attempts: 2 });
    expect(smtp.mails).toHaveLength(1);
  });

  test('of some copies is told, and the client still gets it', async () => {
    smtp.refusals.push({ at: 'rcpt', to: 'gone@example.org', code: 550, text: '5.1.1 No such user' });
    const to = someone();
    const sent = await send({ to, cc: ['gone@example.org', 'mum@example.com'] });
    expect(smtp.mails[0]!.to).toEqual([to, 'mum@example.com']);
    expect((await messageOf(sent)).status).toBe('sent');
    expect(await timelineOf(sent, 'attempt.accepted')).toMatchObject([
      {
        refusedCopies: [
          { address: 'gone@example.org', code: '5.1.1', message: expect.stringContaining('No such user') },
        ],
      },
    ]);
  });

  test('of the client alone is failed, tells who got copies, and is not sent to those again', async () => {
    const to = someone();
    smtp.refusals.push({ at: 'rcpt', to, code: 451, text: '4.3.0 Not now' });
    const sent = await send({ to, bcc: ['audit@lotus.example'] });
    expect(await messageOf(sent)).toMatchObject({
      status: 'failed',
      error_message: expect.stringMatching(/4\.3\.0 Not now.*audit@lotus\.example/),
    });
    await omega.tick(86_400_000);
    expect(smtp.mails).toHaveLength(1);
  });

  test('a wrong password is told at the onboarding, fails its mail, and holds what comes behind until it is right', async () => {
    const { api } = await omega.business({
      business_id: 1003,
      staffs: [],
      locations: [],
      senders: [{ channel: 'email', address: 'hello@wrong.example', provider: 'smtp' }],
      providers: { smtp: { url: smtp.url.replace(/:[^:@]+@/, ':wrong@') } },
    });
    const { steps } = (await api.get('/business/1003/onboarding')).body;
    expect(steps.find((step: { name: string }) => step.name === 'test_message')).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/refuses the user or the password: 535 5\.7\.8/),
      remedy: expect.stringContaining('app password'),
    });
    expect(await messageOf(await send({ to: someone() }, api))).toMatchObject({
      status: 'failed',
      reason: 'account_config',
    });
    // Those behind it wait for the right one: each would be refused as well.
    const waiting = await send({ to: someone() }, api);
    expect(await messageOf(waiting)).toMatchObject({ status: 'queued', attempts: 0 });
    await business(1003, [{ address: 'hello@wrong.example' }]);
    await omega.tick(10 * 60_000);
    expect(await messageOf(waiting)).toMatchObject({ status: 'sent', attempts: 1 });
  });

  test('a server that repeats the password in its answer: nobody is shown it', async () => {
    const inBase64 = (text: string) => Buffer.from(text).toString('base64');
    const told = await startSmtp({
      onAuth: ({ username, password }, _session, done) => {
        const line = inBase64(`\0${username}\0${password}`);
        const text = `5.5.1 Command unrecognized: "AUTH PLAIN ${line}", "${inBase64(password!)}", "${password}"`;
        done(Object.assign(new Error(text), { responseCode: 500 }));
      },
    });
    const api = await business(1005, [{ address: 'hello@told.example' }], { url: told.url });
    const message = await messageOf(await send({ to: someone() }, api));
    expect(message.error_message).toContain('Command unrecognized: "AUTH PLAIN [hidden]"');
    const shown = [
      message,
      (await api.get('/business/1005/onboarding')).body,
      (await api.get('/businesses/1005/senders')).body,
      (await api.get('/businesses/1005/changes')).body,
      (await api.get(`/messages/${message.message_id}/timeline`)).body,
    ];
    for (const secret of [smtpPassword, inBase64(smtpPassword), inBase64(`\0${smtpUser}\0${smtpPassword}`)])
      expect(JSON.stringify(shown)).not.toContain(JSON.stringify(secret).slice(1, -1));
    await told.close();
  });

  test('a provider that goes by SMTP, and no SMTP account: both say so', async () => {
    const { api } = await omega.business({
      business_id: 1004,
      staffs: [],
      locations: [],
      senders: [{ channel: 'email', address: 'hello@none.example', provider: 'mailgun' }],
    });
    const { steps } = (await api.get('/business/1004/onboarding')).body;
    expect(steps.find((step: { status: string }) => step.status === 'failed')).toMatchObject({
      error: expect.stringContaining('no credentials for smtp, with which mailgun sends'),
      remedy: expect.stringContaining('providers.smtp'),
    });
    expect(await messageOf(await send({ to: someone() }, api))).toMatchObject({
      status: 'failed',
      reason: 'account_config',
      error_message: expect.stringContaining('providers.smtp'),
    });
  });
});

describe('a server that breaks off', () => {
  const settleDelaysS = [2, 10, 30, 60, 300, 900];

  async function sendTo(businessId: number, url: string, then = () => {}): Promise<Queued> {
    const { body } = await omega.platform.post('/business/onboard', {
      business_id: businessId,
      name: 'Lotus Yoga',
      country: 'US',
      time_zone: 'America/New_York',
      senders: [{ channel: 'email', address: `hello@b${businessId}.example`, provider: 'smtp' }],
      providers: { smtp: { url } },
    });
    await omega.settled();
    then();
    return send({ to: someone() }, omega.as(body.api_key));
  }

  test.each([
    ['resets the connection after the final dot', (socket) => socket.resetAndDestroy()],
    ['closes it without a word', (socket) => socket.end()],
    [
      'answers the dot with one byte at a time',
      (socket) => {
        const drip = setInterval(() => socket.write('2'), 200);
        socket.on('close', () => clearInterval(drip));
      },
    ],
    ['answers the dot with what is no answer', (socket) => socket.write('<html>502 Bad Gateway</html>\r\n')],
  ] as [string, (socket: import('node:net').Socket) => void][])(
    'and %s: nobody knows, it is shown, and never sent again by itself',
    async (_, atDot) => {
      const peer = await startRawSmtp(usualTalk(atDot));
      const sent = await sendTo(2001 + count, peer.url);
      expect(await timelineOf(sent, 'attempt.unknown')).toHaveLength(1);
      expect((await messageOf(sent)).status).toBe('sending');
      for (const delayS of settleDelaysS) await omega.tick((delayS + 1) * 1000);
      expect(await messageOf(sent)).toMatchObject({ status: 'failed', reason: 'no_answer', attempts: 1 });
      expect(peer.dataSeen()).toBe(1);
      await peer.close();
    },
  );

  test.each([
    [
      'greets without end',
      (socket) => {
        const drip = setInterval(() => socket.write('220-welcome\r\n'), 50);
        socket.on('close', () => clearInterval(drip));
      },
    ],
    ['never greets', () => {}],
    ['resets at once', (socket) => socket.resetAndDestroy()],
  ] as [string, (socket: import('node:net').Socket) => void][])(
    'and %s: it has not got the mail, which is sent when it is well',
    async (_, greet) => {
      // While the account is checked.
      let isWell = true;
      const peer = await startRawSmtp(
        usualTalk((socket) => socket.write('250 taken\r\n')),
        (socket) => (isWell ? socket.write('220 well\r\n') : greet(socket)),
      );
      const sent = await sendTo(3001 + count, peer.url, () => {
        isWell = false;
      });
      expect(await timelineOf(sent, 'attempt.refused')).toMatchObject([{ reason: 'timeout' }]);
      isWell = true;
      await omega.tick(60_000);
      expect((await messageOf(sent)).status).toBe('sent');
      expect(peer.dataSeen()).toBe(1);
      await peer.close();
    },
  );
});

describe('an open line', () => {
  test('is never used unless told: STARTTLS must be there, and its certificate fit', async () => {
    const open = await startSmtp();
    const closed = await startSmtp({ disabledCommands: [] });
    const outcome = async (businessId: number, url: string) => {
      const api = await business(businessId, [{ address: `hello@tls${businessId}.example` }], { url });
      return messageOf(await send({ to: someone() }, api));
    };
    expect(await outcome(1201, `${open.url}?tls=required`)).toMatchObject({ reason: 'account_config' });
    expect(open.mails).toHaveLength(0);
    expect(await outcome(1202, `${closed.url}?tls=required`)).toMatchObject({ reason: 'account_config' });
    expect(closed.mails).toHaveLength(0);
    expect(await outcome(1203, `${closed.url}?tls=unverified`)).toMatchObject({ status: 'sent' });
    expect(await outcome(1204, `${open.url}?logger=true`)).toMatchObject({
      reason: 'account_config',
      error_message: expect.stringContaining('nothing else after the ?'),
    });
    await Promise.all([open.close(), closed.close()]);
  });
});

test('no password was logged', () => {
  const log = logged.join('');
  expect(log).toContain('/omega/email/queue');
  for (const secret of [
    smtpPassword,
    encodeURIComponent(smtpPassword),
    Buffer.from(smtpPassword).toString('base64'),
  ])
    expect(log).not.toContain(secret);
});
