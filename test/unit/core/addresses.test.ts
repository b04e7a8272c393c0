import fc from 'fast-check';
import { getCountries } from 'libphonenumber-js';
import { describe, expect, test } from 'vitest';
import { readEmail, readPhone, readSenderAddress } from '../../../server/core/addresses.ts';

const refused = { ok: false, message: expect.stringMatching(/^must /) };

/** What people and attackers put in fields: any Unicode, and what looks almost like an address. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(...'0123456789+-() .;ext,#*\u202e\u0000'), maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(...'ab@.,<>"\'\\()[]:; \r\n\tK。%0x'), maxLength: 80 }),
  fc.emailAddress(),
  fc.anything(),
);

describe('a phone number', () => {
  test.each([
    ['+15005550006', 'US', '+15005550006'],
    ['(212) 555-0123', 'US', '+12125550123'],
    [' 212.555.0123 ', 'US', '+12125550123'],
    ['212 555 0123', 'us', '+12125550123'],
    ['1-212-555-0123', 'US', '+12125550123'],
    ['020 7946 0958', 'GB', '+442079460958'],
    ['+44 (0)20 7946 0958', 'US', '+442079460958'],
    ['06 12 34 56 78', 'FR', '+33612345678'],
    ['0044 20 7946 0958', 'FR', '+442079460958'],
    ['011 44 20 7946 0958', 'US', '+442079460958'],
    ['+33612345678', 'a country that is not', '+33612345678'],
    ['２１２５５５０１２３', 'US', '+12125550123'],
  ])("%s in %s is read in the business's country as %s", (input, country, e164) => {
    expect(readPhone(input, country)).toEqual({ ok: true, e164 });
  });

  test.each([
    ['', 'US'],
    ['+', 'US'],
    ['555-0123', 'US'],
    ['2589809', 'CA'],
    ['12345', 'US'],
    ['212 555 0123', 'a country that is not'],
    ['+999 123456789', 'US'],
    ['212-555-0123 ext 5', 'US'],
    ['1-800-FLOWERS', 'US'],
    ['call 212 555 0123', 'US'],
    ['212 555 0123, 212 555 0124', 'US'],
    ['2125550123\u202e', 'US'],
    ['+1 212\r\n5550123', 'US'],
    ['whatsapp:+12125550123', 'US'],
    ['00041175685', 'DE'],
    ['+620040000000000000', 'ID'],
    [12125550123, 'US'],
    [null, 'US'],
    [['+12125550123'], 'US'],
  ])('%j in %s is refused with advice', (input, country) => {
    expect(readPhone(input, country)).toEqual(refused);
  });

  test("of the right length passes though nobody has it yet, as carriers' test numbers do", () => {
    for (let last = 1; last <= 18; last++) {
      const magic = `+150055500${String(last).padStart(2, '0')}`;
      expect(readPhone(magic, 'GB')).toEqual({ ok: true, e164: magic });
    }
  });

  test('in E.164 reads as itself, in every country', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 3, maxLength: 16 });
    const plus = fc.constantFrom('', '+', '00', '0', '(0) ');
    fc.assert(
      fc.property(plus, digits, fc.constantFrom(...getCountries()), (prefix, number, country) => {
        const read = readPhone(prefix + number, country);
        if (!read.ok) return;
        expect(read.e164).toMatch(/^\+[1-9][0-9]{4,14}$/);
        expect(readPhone(read.e164, country)).toEqual(read);
        expect(readPhone(read.e164, 'none')).toEqual(read);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('what a business sends from', () => {
  test.each([
    ['sms', '+1 500 555 0006', 'US', 'phone', '+15005550006'],
    ['sms', '(212) 555-0123', 'US', 'phone', '+12125550123'],
    ['sms', ' 80809 ', 'DE', 'short_code', '80809'],
    ['sms', '911', 'US', 'short_code', '911'],
    ['sms', '5550123', 'US', 'short_code', '5550123'],
    ['sms', '20123456', 'DK', 'phone', '+4520123456'],
    ['sms', 'Lotus Yoga', 'US', 'alphanumeric', 'Lotus Yoga'],
    ['sms', '7ELEVEN', 'US', 'alphanumeric', '7ELEVEN'],
    ['sms', 'A', 'US', 'alphanumeric', 'A'],
    ['voice', '212 555 0123', 'US', 'phone', '+12125550123'],
    ['whatsapp', '+12125550123', 'GB', 'phone', '+12125550123'],
    ['email', 'Hello@Lotus.Example', 'US', 'email', 'hello@lotus.example'],
  ])('%s %j in %s is a %s', (channel, input, country, kind, address) => {
    expect(readSenderAddress(channel, input, country)).toEqual({ ok: true, kind, address });
  });

  test.each([
    ['sms', 'Lotus Yoga Studio', 'US'],
    ['sms', 'Café', 'US'],
    ['sms', 'a@b.com', 'US'],
    ['sms', 'Lotus\nYoga', 'US'],
    ['sms', '12', 'US'],
    ['sms', '        ', 'US'],
    ['sms', '', 'US'],
    ['sms', null, 'US'],
    ['voice', '80809', 'US'],
    ['voice', 'Lotus Yoga', 'US'],
    ['email', '+12125550123', 'US'],
  ])('%s %j in %s is refused with advice', (channel, input, country) => {
    expect(readSenderAddress(channel, input, country)).toEqual(refused);
  });
});

describe('an email address', () => {
  test.each([
    [' Mia.Chen@Lotus.Example ', 'mia.chen@lotus.example', 'Mia.Chen@Lotus.Example'],
    ["o'brien+spa@mail.example.co.uk", "o'brien+spa@mail.example.co.uk", "o'brien+spa@mail.example.co.uk"],
    ['mia@Bücher.example', 'mia@xn--bcher-kva.example', 'mia@Bücher.example'],
    ['mia@пример.рф', 'mia@xn--e1afmkfd.xn--p1ai', 'mia@пример.рф'],
    ['success@simulator.test', 'success@simulator.test', 'success@simulator.test'],
  ])('%j is compared as %j and shown as it was written', (input, email, display) => {
    expect(readEmail(input)).toEqual({ ok: true, email, display });
  });

  test.each([
    'a@b.com,c@d.com',
    'a@b.com;c@d.com',
    'a@b.com c@d.com',
    'a,b@c.com',
    'Mia <mia@b.com>',
    '<mia@b.com>',
    '"mia"@b.com',
    '"a@b.com"@c.com',
    'a@b@c.com',
    'mia(comment)@b.com',
    'a@b.com\r\nBcc: c@d.com',
    'a\u0000@b.com',
    'a@b\u0000.com',
    'a@b.com\u2028x',
    'a\u202e@b.com',
    'a@ex\u00adample.com',
    'a@ex%61mple.com',
    'a@b.com/c',
    'a@b.com:25',
    'a@[127.0.0.1]',
    'a@127.0.0.1',
    'a@0x7f.1',
    'a@localhost',
    'a@b..com',
    'a@b.com.',
    'a@-b.com',
    'a@b_c.com',
    `a@${'b'.repeat(64)}.com`,
    '.a@b.com',
    'a.@b.com',
    'a..b@c.com',
    '\u212a@b.com',
    'mailto:a@b.com',
    '@b.com',
    'a@',
    '@',
    '',
    null,
    42,
    ['a@b.com'],
    { email: 'a@b.com' },
  ])('%j is refused with advice', (input) => {
    expect(readEmail(input)).toEqual(refused);
  });

  test('has at most 64 characters before the @ and 254 in all, counted in the ASCII form', () => {
    const domain = (length: number) => `${`${'d'.repeat(60)}.`.repeat(5).slice(0, length - 4)}.com`;
    expect(readEmail(`${'a'.repeat(64)}@b.com`).ok).toBe(true);
    expect(readEmail(`${'a'.repeat(65)}@b.com`)).toEqual(refused);
    expect(readEmail(`${'a'.repeat(50)}@${domain(203)}`).ok).toBe(true);
    expect(readEmail(`${'a'.repeat(50)}@${domain(204)}`)).toEqual(refused);
    expect(readEmail(`a@${'ü.'.repeat(40)}com`)).toEqual(refused);
  });

  test('reads as itself, and is never more than one plain address', () => {
    fc.assert(
      fc.property(hostile, (input) => {
        const read = readEmail(input);
        if (!read.ok) return;
        expect(read.email).toMatch(/^[^\s,;:<>"()[\]\\@\p{C}A-Z]+@[a-z0-9.-]+$/u);
        expect(read.display).toBe(String(input).trim());
        expect(readEmail(read.email)).toEqual({ ok: true, email: read.email, display: read.email });
        expect(readEmail(read.display)).toEqual(read);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('hostile input', () => {
  test('never throws, and a refusal does not repeat it', () => {
    fc.assert(
      fc.property(hostile, fc.string(), (input, country) => {
        for (const read of [
          readPhone(input, country),
          readEmail(input),
          ...['sms', 'email', 'voice'].map((channel) => readSenderAddress(channel, input, country)),
        ]) {
          if (!read.ok) expect(read.message).toMatch(/^must [ -~]{1,90}$/);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('of a megabyte and more is refused before it is parsed', () => {
    const bombs = ['1', '+1', 'a@', '@', '.', ' ', '((', 'a.', '\u0301', '\ud83d', 'ext1', ';ext=1'].map(
      (unit) => unit.repeat(1_000_000),
    );
    for (const bomb of [...bombs, `a@${'b.'.repeat(1e6)}com`, `${'a'.repeat(1e6)}@b.com`]) {
      expect(readPhone(bomb, 'US')).toEqual(refused);
      expect(readEmail(bomb)).toEqual(refused);
      expect(readSenderAddress('sms', bomb, 'US')).toEqual(refused);
    }
  });
});
