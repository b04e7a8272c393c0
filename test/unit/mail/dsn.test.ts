import { simpleParser } from 'mailparser';
import { createTransport } from 'nodemailer';
import { describe, expect, test } from 'vitest';
import { dsnParserOptions, readDsn } from '../../../server/mail/dsn.ts';

const crlf = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'));

/** As RFC 3464, appendix E.1 has it, in our words: one recipient failed, one delayed, headers alone returned. */
const report = (parts: { status: string; returned?: string; type?: string }) =>
  crlf(`From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: hello@lotus.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: ${parts.type ?? 'multipart/report; report-type=delivery-status; boundary="b/1"'}

--b/1
Content-Type: text/plain; charset=us-ascii

I could not deliver your mail.

--b/1
Content-Type: message/delivery-status

${parts.status}
--b/1
${parts.returned ?? 'Content-Type: text/rfc822-headers\n\nFrom: hello@lotus.example\nMessage-ID:\n <abc.def@lotus.example>\nSubject: Your class\n'}
--b/1--
`);

const status = `Reporting-MTA: dns; mx.example
Original-Envelope-Id: abc.def@lotus.example
Arrival-Date: Tue, 10 Mar 2026 15:00:00 +0000

Original-Recipient: rfc822;Ana@Example.com
Final-Recipient: rfc822; inner-ana@mx.example
Action: failed
Status: 5.1.1 (no such user)
Remote-MTA: dns; inner.example
Diagnostic-Code: smtp; 550 5.1.1 <inner-ana@mx.example>: Recipient
 address rejected: User unknown

Final-Recipient: RFC822; Mum@example.org
ACTION: Delayed
Status: 4.4.7
`;

describe('a delivery status notification', () => {
  test('tells of each recipient, and names the mail by envelope id and Message-ID', async () => {
    const expected = {
      envelopeId: 'abc.def@lotus.example',
      mailId: 'abc.def@lotus.example',
      reportingMta: 'mx.example',
      recipients: [
        {
          address: 'ana@example.com',
          action: 'failed',
          status: '5.1.1',
          diagnostic: '550 5.1.1 <inner-ana@mx.example>: Recipient address rejected: User unknown',
        },
        { address: 'mum@example.org', action: 'delayed', status: '4.4.7', diagnostic: null },
      ],
    };
    expect(await readDsn(report({ status }))).toEqual(expected);
    expect(await readDsn(await simpleParser(report({ status }), dsnParserOptions))).toEqual(expected);
  });

  test('that returns the whole mail names it as well, and not what that mail quotes', async () => {
    const composed = await createTransport({ streamTransport: true, buffer: true }).sendMail({
      from: 'hello@lotus.example',
      to: 'ana@example.com',
      messageId: '<whole@lotus.example>',
      subject: 'Your class',
      text: 'Message-ID: <quoted@lotus.example>',
      attachments: [{ filename: 'a.txt', content: 'Message-ID: <file@lotus.example>' }],
    });
    const whole = (composed.message as Buffer).toString('latin1').replaceAll('\r\n', '\n');
    const dsn = await readDsn(report({ status, returned: `Content-Type: message/rfc822\n\n${whole}` }));
    expect(dsn?.mailId).toBe('whole@lotus.example');
  });

  test.each([
    ['a mail that is no report', { status, type: 'multipart/mixed; boundary="b/1"' }],
    ['a report on nobody', { status: 'Reporting-MTA: dns; mx.example\n' }],
    [
      'a report with an action that there is not',
      { status: status.replaceAll(/action: \w+/gi, 'Action: exploded') },
    ],
  ])('is not taken for one: %s', async (_, parts) => {
    expect(await readDsn(report(parts))).toBeNull();
  });

  test('that somebody made to keep us busy is cut, and read to an end', async () => {
    const many = `${'Final-Recipient: rfc822; a@example.com\nAction: failed\nStatus: 5.0.0\n\n'.repeat(10_000)}`;
    const dsn = await readDsn(report({ status: `Reporting-MTA: dns; mx.example\n\n${many}` }));
    expect(dsn!.recipients.length).toBeLessThanOrEqual(200);
    expect(await readDsn(report({ status: `X: ${'y'.repeat(500_000)}` }))).toBeNull();
    expect(await readDsn(Buffer.from(''))).toBeNull();
    expect(await readDsn(Buffer.from([0, 255, 13, 10, 13, 10, 128]))).toBeNull();
  });
});
