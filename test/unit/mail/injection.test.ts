import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mailIdOf, type OutgoingMail } from '../../../server/channels/index.ts';
import { createMailCarriers } from '../../../server/mail/index.ts';
import { expectOnlyIntended, nasty } from '../../support/hostile-mail.ts';
import { testSecrets } from '../../support/omega.ts';
import { type SmtpPeer, startSmtp } from '../../support/smtp.ts';

let smtp: SmtpPeer;
const carriers = createMailCarriers({
  clock: { now: () => Date.parse('2026-03-10T15:00:00Z') },
  secrets: testSecrets,
  apiUrl: 'https://omega.example/omega',
});
beforeAll(async () => {
  smtp = await startSmtp();
});
afterAll(async () => {
  for (const carrier of carriers) carrier.close?.();
  await smtp.close();
});

test('whatever stands in a name, subject, text or file name: exactly those recipients and those headers', async () => {
  const smtpCarrier = carriers.find(({ provider }) => provider === 'smtp')!;
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
          supersededAttempts: 0,
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
      const taken = expectOnlyIntended(smtp);
      expect(taken.parsed.from!.address).toBe('hello@lotus.example');
      expect(taken.parsed.attachments).toHaveLength(1);
    }),
    { numRuns: 60 },
  );
});
