import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countSegments } from '../../../../server/channels/sms/segments.ts';
import table from '../../../vectors/gsm7_tables.json' with { type: 'json' };

const gsm7 = new Map(
  Object.entries(table.unicode_codepoint_to_gsm7_codes).map(([code, septets]) => [
    Number(code),
    septets.length,
  ]),
);
const counts = (content: string) => {
  const { encoding, segments, units } = countSegments(content);
  return [encoding, segments, units];
};

describe('the alphabet', () => {
  test("is Twilio's own table: the same characters, with the same number of septets, and no others", () => {
    expect(gsm7.size).toBe(137);
    const codes = Array.from({ length: 0x10000 }, (_, code) => code);
    const counted = codes.map((code) => {
      const { encoding, units } = countSegments(String.fromCharCode(code));
      return encoding === 'GSM-7' ? units : undefined;
    });
    expect(counted).toEqual(codes.map((code) => gsm7.get(code)));
  });

  test('has no backtick, no curly quote and no ç: one of them makes the whole message UCS-2', () => {
    for (const character of ['`', '’', 'ç', 'ê', '–', '\u200b', '\t']) {
      expect(countSegments(`abc ${character} def`)).toMatchObject({
        encoding: 'UCS-2',
        offending: [{ character, index: 4 }],
      });
    }
  });
});

describe('the borders', () => {
  test.each([
    ['an empty text', '', 'GSM-7', 1, 0],
    ['160 letters', 'a'.repeat(160), 'GSM-7', 1, 160],
    ['161 letters', 'a'.repeat(161), 'GSM-7', 2, 161],
    ['306 letters', 'a'.repeat(306), 'GSM-7', 2, 306],
    ['307 letters', 'a'.repeat(307), 'GSM-7', 3, 307],
    ['80 euro signs', '€'.repeat(80), 'GSM-7', 1, 160],
    ['81 euro signs: 76 a part, the 153rd septet stays empty', '€'.repeat(81), 'GSM-7', 2, 162],
    ['153 euro signs fill two parts and one more', '€'.repeat(153), 'GSM-7', 3, 306],
    ['an extension character at the end of a part', `${'a'.repeat(152)}€${'a'.repeat(152)}`, 'GSM-7', 3, 306],
    ['the same one letter earlier', `${'a'.repeat(151)}€${'a'.repeat(152)}`, 'GSM-7', 2, 305],
    ['a line break of two characters', 'a\r\nb', 'GSM-7', 1, 4],
    ['70 Cyrillic letters', 'ж'.repeat(70), 'UCS-2', 1, 70],
    ['71 Cyrillic letters', 'ж'.repeat(71), 'UCS-2', 2, 71],
    ['134 Cyrillic letters', 'ж'.repeat(134), 'UCS-2', 2, 134],
    ['135 Cyrillic letters', 'ж'.repeat(135), 'UCS-2', 3, 135],
    ['35 emoji', '😀'.repeat(35), 'UCS-2', 1, 70],
    ['36 emoji', '😀'.repeat(36), 'UCS-2', 2, 72],
    ['67 emoji: 33 a part, a pair is not split', '😀'.repeat(67), 'UCS-2', 3, 134],
    ['an emoji at the end of a part', `${'ж'.repeat(66)}😀${'ж'.repeat(66)}`, 'UCS-2', 3, 134],
    ['in UCS-2 an extension character is one unit', `ж${'€'.repeat(69)}`, 'UCS-2', 1, 70],
    ['half a pair', '\ud83d', 'UCS-2', 1, 1],
    ['two halves in the wrong order', '\ude00\ud83d', 'UCS-2', 1, 2],
  ])('%s', (_name, content, encoding, segments, units) => {
    expect(counts(content)).toEqual([encoding, segments, units]);
  });
});

describe('for any text', () => {
  const anyText = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'aà€[]\n'), maxLength: 700 }),
    fc.string({ unit: fc.constantFrom('a', '€', 'ж', '😀', '\ud83d', '\ude00'), maxLength: 400 }),
    fc.string({ unit: 'binary', maxLength: 300 }),
  );

  test('the parts are those that filling one after the other with whole characters gives', () => {
    fc.assert(
      fc.property(anyText, (content) => {
        const { encoding, segments, units, offending } = countSegments(content);
        const costs = Array.from(content, (character) =>
          encoding === 'GSM-7' ? gsm7.get(character.charCodeAt(0))! : character.length,
        );
        const parts = [0];
        for (const cost of costs) {
          if (parts.at(-1)! + cost > (encoding === 'GSM-7' ? 153 : 67)) parts.push(0);
          parts[parts.length - 1]! += cost;
        }
        expect(units).toBe(costs.reduce((sum, cost) => sum + cost, 0));
        expect(segments).toBe(units <= (encoding === 'GSM-7' ? 160 : 70) ? 1 : parts.length);
        const foreign = Array.from(content).filter(
          (character) => character.length > 1 || !gsm7.has(character.charCodeAt(0)),
        );
        expect(offending.map(({ character }) => character)).toEqual([...new Set(foreign)].slice(0, 100));
        expect(offending.length === 0).toBe(encoding === 'GSM-7');
      }),
      { numRuns: 1_000 },
    );
  });

  test('each offending character is named once, where it first stands', () => {
    expect(countSegments('a😀b’c😀’').offending).toEqual([
      { character: '😀', index: 1 },
      { character: '’', index: 4 },
    ]);
  });

  test('10 million characters are counted: the time grows with the length and no faster (the square of it would run out of time)', () => {
    expect(countSegments('a'.repeat(10_000_000)).segments).toBe(Math.ceil(10_000_000 / 153));
    expect(countSegments('😀'.repeat(5_000_000)).segments).toBe(Math.ceil(5_000_000 / 33));
  });

  test('at most 100 offending characters are named', () => {
    const everything = Array.from({ length: 5_000 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('');
    expect(countSegments(everything).offending).toHaveLength(100);
  });
});
