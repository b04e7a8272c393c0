import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readKeyword } from '../../../../server/channels/sms/keywords.ts';
import lists from '../../../vectors/sms_keywords.json' with { type: 'json' };

const optOut = [
  ...lists.twilio_default_opt_out,
  ...lists.twilio_toll_free.opt_out,
  ...lists.twilio_french_seen_in_proxy_docs,
  ...lists.aws_required_opt_out,
  ...lists.telnyx_opt_out,
];
const optIn = [...lists.twilio_default_opt_in, ...lists.twilio_toll_free.opt_in];
const yesOptsIn = { yesOptsIn: true };

test.each(lists.our_cases_from_the_lists)(
  '$body reads as $twilio_default, as the carriers read it',
  (row) => {
    const expected = row.twilio_default.split(' ')[0];
    expect(readKeyword(row.body, yesOptsIn)).toBe(expected === 'none' ? null : expected);
  },
);

test.each([...new Set(optOut)])('%s opts out: a carrier that we use takes it so', (word) => {
  expect(readKeyword(word)).toBe('opt_out');
});

test.each([...new Set(optIn)])('%s opts in', (word) => {
  expect(readKeyword(word, yesOptsIn)).toBe('opt_in');
});

test.each(lists.twilio_help)('%s asks for help', (word) => {
  expect(readKeyword(word)).toBe('help');
});

test('every way the FCC names of opting out is honoured', () => {
  for (const word of ['stop', 'quit', 'end', 'revoke', 'opt out', 'cancel', 'unsubscribe'])
    expect(readKeyword(word)).toBe('opt_out');
});

test('YES confirms an appointment, unless the caller asked for consent', () => {
  expect(readKeyword('YES')).toBeNull();
  expect(readKeyword('Yes!')).toBeNull();
  expect(readKeyword('Yes!', yesOptsIn)).toBe('opt_in');
});

test.each([
  'STOP.',
  'Stop!',
  'stop!!!',
  '"STOP"',
  '“Stop”',
  '« Stop »',
  "'stop'",
  '*STOP*',
  '(stop)',
  'Stop?',
  'STOP 🛑',
  'S\u200bTO\u00adP',
  '\u2066STOP\u2069',
  '\u200bstop\ufeff',
  '\r\n\tStop\n',
  'ＳＴＯＰ',
  '𝐒𝐓𝐎𝐏',
  'Stop  all',
  'STOP\nALL',
  'Opt-out',
  'opt‑out',
  'Opt – Out',
  'arrêt',
  'ARRÊTE',
  'arre\u0302t.',
])('%j opts out: a sign around the word, its case, its accents do not matter', (content) => {
  expect(readKeyword(content)).toBe('opt_out');
});

test.each([
  '',
  ' ',
  '!!!',
  '🛑',
  'STOPP',
  'nonstop',
  'bus stop',
  'stop it',
  'stop 2',
  '1 stop',
  'st op',
  's.t.o.p',
  'cancel my appointment',
  'the end',
  'start now',
  'help me',
  'infos',
  'constructor',
  '__proto__',
  'СТОР',
  '\ud83dSTOP\ude00x',
])('%j is for the staff to read', (content) => {
  expect(readKeyword(content, yesOptsIn)).toBeNull();
});

test('a question never opts in, though a sign of another kind does no harm', () => {
  for (const question of ['Start?', 'YES ?!', 'unstop？'])
    expect(readKeyword(question, yesOptsIn)).toBeNull();
  for (const answer of ['Start!', '"YES"', 'UNSTOP.']) expect(readKeyword(answer, yesOptsIn)).toBe('opt_in');
});

describe('for any text', () => {
  const sign = fc.constantFrom(...' \t\n.,;:!"\'«»“”()[]*_-–—~…🛑😀\u200b\ufe0f\ud83d');
  const signs = fc.array(sign, { maxLength: 8 }).map((list) => list.join(''));

  test('signs around a keyword, and its case, change nothing', () => {
    const word = fc.constantFrom(...optOut, ...optIn, ...lists.twilio_help);
    fc.assert(
      fc.property(signs, word, signs, fc.func(fc.boolean()), (before, keyword, after, lower) => {
        const cased = Array.from(keyword, (c, i) => (lower(i) ? c.toLowerCase() : c)).join('');
        expect(readKeyword(before + cased + after, yesOptsIn)).toBe(readKeyword(keyword, yesOptsIn));
      }),
    );
  });

  test('a letter or digit more, at either end, makes it an ordinary message', () => {
    const word = fc.constantFrom(...optOut, ...optIn, ...lists.twilio_help);
    fc.assert(
      fc.property(
        word,
        signs,
        fc.constantFrom('z', '7', 'ж', '語'),
        fc.boolean(),
        (keyword, gap, more, atEnd) => {
          expect(readKeyword(atEnd ? keyword + gap + more : more + gap + keyword, yesOptsIn)).toBeNull();
        },
      ),
    );
  });

  test('whatever the bytes, it answers', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (content) => {
        expect([null, 'opt_out', 'opt_in', 'help']).toContain(readKeyword(content, yesOptsIn));
      }),
    );
  });

  test('a million characters are read, however they are made', () => {
    expect(readKeyword('stop '.repeat(200_000))).toBeNull();
    expect(readKeyword(`a${' '.repeat(1_000_000)}b`)).toBeNull();
    expect(readKeyword(`${' '.repeat(500_000)}stop${'!'.repeat(500_000)}`)).toBe('opt_out');
  });
});
