import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { mailIdOf, type OutgoingMail } from '../../server/channels/index.ts';
import { createMailCarriers } from '../../server/mail/index.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import { type SmtpPeer, startSmtp } from '../support/smtp.ts';

let smtp: SmtpPeer;
let omega: RunningOmega;
let lotus: Client;
const mail = createMailCarriers({
  clock: { now: () => Date.parse('2026-03-10T15:00:00Z') },
  secrets: testSecrets,
  apiUrl: 'https://omega.example/omega',
});

beforeAll(async () => {
  smtp = await startSmtp();
  omega = await startOmega({ carrierDeadlineMs: 5_000 });
  const { api } = await omega.business({
    business_id: 1001,
    senders: [{ channel: 'email', address: 'hello@lotus.example', provider: 'smtp' }],
    providers: { smtp: { url: smtp.url } },
  });
  lotus = api;
});
afterAll(async () => {
  mail.close();
  await omega.close();
  await smtp.close();
});
beforeEach(() => {
  smtp.mails.length = 0;
});

/** What an attacker writes into a field: ends of lines, other headers, other people, in clear and encoded. */
const pieces = [
  '\r\n',
  '\n',
  '\r',
  '\u0085',
  '\u2028',
  '\u2029',
  '\0',
  '\t',
  '\v',
  '\r\n\r\n',
  '\n.\r\n',
  '\r\n ',
  'Bcc: evil@example.org',
  'To: evil@example.org',
  'RCPT TO:<evil@example.org>',
  'evil@example.org',
  ',',
  ';',
  ':',
  '<evil@example.org>',
  '"',
  '\\',
  '(',
  ')',
  '<',
  '>',
  '@',
  '=?utf-8?q?=0D=0ABcc:_evil@example.org?=',
  '=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=',
  '%0d%0aBcc:evil@example.org',
  'é',
  '🧘',
  ' ',
  '--',
  'a'.repeat(80),
];
const nasty = fc
  .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 6 })
  .map((some) => some.join(''));

/** Of a mail with text, HTML, a file and a copy. */
const usualHeaders = ['cc', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject', 'to'];

function expectOnlyIntended(headers: readonly string[] = usualHeaders) {
  const [taken, ...more] = smtp.mails;
  expect(more).toEqual([]);
  expect(taken!.from).toBe('hello@lotus.example');
  expect(taken!.to).toEqual(['ana@example.com', 'mum@example.com', 'audit@lotus.example']);
  // A subject of blanks alone is none, and has no line.
  const keys = taken!.parsed.headers.map(({ key }) => key);
  expect([...new Set(['subject', ...keys])].sort()).toEqual([...headers].sort());
  expect(new Set(keys).size).toBe(keys.length);
  expect(taken!.parsed.to!.map(({ address }) => address)).toEqual(['ana@example.com']);
  expect(taken!.parsed.cc!.map(({ address }) => address)).toEqual(['mum@example.com']);
  expect(taken!.raw.split('\r\n\r\n')[0]).not.toMatch(/^(?:b|resent-)cc:|audit@/im);
  return taken!;
}

test('whatever stands in a name, subject, text or file name: exactly those recipients and those headers', async () => {
  const smtpCarrier = mail.carriers.find(({ provider }) => provider === 'smtp')!;
  await fc.assert(
    fc.asyncProperty(nasty, nasty, nasty, nasty, async (fromName, subject, text, filename) => {
      smtp.mails.length = 0;
      const messageId = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
      const content: OutgoingMail = {
        fromName,
        html: `<p>${text}</p>`,
        cc: ['mum@example.com'],
        bcc: ['audit@lotus.example'],
        replyTo: null,
        attachments: [{ filename, contentType: 'text/plain', size: 2, read: async () => Buffer.from('hi') }],
        mailId: mailIdOf(messageId, 'hello@lotus.example', testSecrets),
        inReplyTo: null,
        references: [],
        conversationId: messageId,
        category: 'transactional',
      };
      const outcome = await smtpCarrier.send(
        {
          businessId: 1001,
          messageId,
          attemptNo: 1,
          channel: 'email',
          from: 'hello@lotus.example',
          to: 'ana@example.com',
          content: text,
          subject,
          mediaUrls: [],
          mail: content,
        },
        { url: smtp.url },
        AbortSignal.timeout(10_000),
      );
      expect(outcome).toMatchObject({ kind: 'accepted' });
      const taken = expectOnlyIntended();
      expect(taken.parsed.from!.address).toBe('hello@lotus.example');
      expect(taken.parsed.attachments).toHaveLength(1);
    }),
    { numRuns: 60 },
  );
});

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
      smtp.mails.length = 0;
      const good = { to: 'ana@example.com', cc: 'mum@example.com', bcc: 'audit@lotus.example' };
      const put = (own: string, usual: string) =>
        own === name ? (isAppended ? usual + value : value) : usual;
      const body = {
        to: put('to', good.to),
        cc: [put('cc', good.cc)],
        bcc: [put('bcc', good.bcc)],
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
      const answer = await lotus.post('/email/queue', body);
      await omega.settled();
      if (answer.status === 202) {
        const taken = expectOnlyIntended(name === 'reply_to' ? [...usualHeaders, 'reply-to'] : usualHeaders);
        expect(taken.parsed.subject ?? '').toBe(body.subject.replaceAll(/\s+/g, ' ').trim());
      } else {
        expect(answer.status).toBe(422);
        expect(smtp.mails).toEqual([]);
      }
    }),
    { numRuns: 80 },
  );
});
