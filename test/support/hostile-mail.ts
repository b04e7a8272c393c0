import { domainToASCII } from 'node:url';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { SmtpPeer, TakenMail } from './smtp.ts';

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
export const nasty = fc
  .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 6 })
  .map((some) => some.join(''));

/** Of a mail with text, HTML, a file and a copy. */
export const usualHeaders = [
  'cc',
  'content-type',
  'date',
  'from',
  'message-id',
  'mime-version',
  'subject',
  'to',
];

/** The server and the parser show international domains in their own letters. */
const ascii = (address: string) => address.replace(/[^@]+$/, (domain) => domainToASCII(domain));

/** Whom a mail is meant for. */
export const usualPeople = { to: 'ana@example.com', cc: 'mum@example.com', bcc: 'audit@lotus.example' };

/** One mail from hello@lotus.example to exactly these, the last of them blind; no header beside those, none twice. */
export function expectOnlyIntended(
  smtp: SmtpPeer,
  headers: readonly string[] = usualHeaders,
  people = usualPeople,
): TakenMail {
  const [taken, ...more] = smtp.mails;
  expect(more).toEqual([]);
  expect(taken!.from).toBe('hello@lotus.example');
  expect(taken!.to.map(ascii)).toEqual([people.to, people.cc, people.bcc]);
  // A subject of blanks alone is none, and has no line.
  const keys = taken!.parsed.headers.map(({ key }) => key);
  expect([...new Set(['subject', ...keys])].sort()).toEqual([...headers].sort());
  expect(new Set(keys).size).toBe(keys.length);
  expect(taken!.parsed.to!.map(({ address }) => ascii(address!))).toEqual([people.to]);
  expect(taken!.parsed.cc!.map(({ address }) => ascii(address!))).toEqual([people.cc]);
  const head = taken!.raw.split('\r\n\r\n')[0]!;
  expect(head).not.toMatch(/^(?:b|resent-)cc:/im);
  expect(head).not.toContain(people.bcc);
  return taken!;
}
