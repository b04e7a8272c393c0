import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { highlight } from '../../../server/messages/highlight.ts';
import { readSearch, tsqueryOf } from '../../../server/messages/search-query.ts';
import { tsvectorOf, wordsIn } from '../../../server/messages/words.ts';

const words = (text: string) => wordsIn(text).map(({ word }) => word);

describe('words', () => {
  test('case, accents and width are folded, in every form of Unicode', () => {
    expect(words('Crème BRÛLÉE')).toEqual(['creme', 'brulee']);
    expect(words('Crème'.normalize('NFD'))).toEqual(['creme']);
    expect(words('ΟΔΟΣ οδός Straße STRASSE Łódź ＡＢＣ')).toEqual(
      'οδοσ οδοσ strasse strasse lodz abc'.split(' '),
    );
  });

  test('words are runs of letters and digits; scripts without spaces are read by the character', () => {
    expect(words("don't 9:30 a_b ana@lotus.example")).toEqual('don t 9 30 a b ana lotus example'.split(' '));
    expect(words('予約 ok')).toEqual(['予', '約', 'ok']);
    expect(words('हिन्दी में')).toEqual(['हिन्दी', 'में'].map((word) => word.normalize('NFKD')));
    expect(words('co\u00adop\u200bera')).toEqual(['coopera']);
  });

  test('each word stands where it says, and folding a folded word changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        let before = 0;
        for (const { word, start, end } of wordsIn(text)) {
          expect(start).toBeGreaterThanOrEqual(before);
          expect(end).toBeGreaterThan(start);
          expect(words(text.slice(start, end)).join('')).toBe(word);
          expect(word).not.toMatch(/['\\\s:]/);
          before = end;
        }
      }),
    );
  });

  test('a long text has a bounded vector', () => {
    const vector = tsvectorOf(1001, null, Array.from({ length: 100_000 }, (_, i) => `word${i}`).join(' '));
    expect(vector.length).toBeLessThan(1_000_000);
  });
});

describe('a search', () => {
  test('is read as people type it', () => {
    expect(readSearch('Move appoint* "to 9:30" -full tomor')).toEqual([
      { words: ['move'], prefix: false, excluded: false },
      { words: ['appoint'], prefix: true, excluded: false },
      { words: ['to', '9', '30'], prefix: false, excluded: false },
      { words: ['full'], prefix: false, excluded: true },
      { words: ['tomor'], prefix: true, excluded: false },
    ]);
    expect(readSearch('done ')).toEqual([{ words: ['done'], prefix: false, excluded: false }]);
    expect(readSearch('“curly quotes” well-known')).toEqual([
      { words: ['curly', 'quotes'], prefix: false, excluded: false },
      { words: ['well', 'known'], prefix: true, excluded: false },
    ]);
    expect(readSearch('a')).toEqual([{ words: ['a'], prefix: false, excluded: false }]);
  });

  test('stays within its business', () => {
    expect(tsqueryOf(1001, readSearch('"my day" -not appo'))).toBe(
      "('1001:my' <-> '1001:day') & !('1001:not') & ('1001:appo':*)",
    );
  });

  test('whatever is typed is understood or refused, and never breaks out of its quotes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }), (q) => {
        let query: string;
        try {
          query = tsqueryOf(7, readSearch(q));
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_parameters', errors: [{ path: 'q' }] });
          return;
        }
        expect(query).toMatch(/^(?:(?:^| & )!?\('7:[^'\\\s]+'(?::\*)?(?: <-> '7:[^'\\\s]+'(?::\*)?)*\))+$/u);
      }),
    );
  });
});

describe('highlights', () => {
  test('a short text is shown whole, with every match in it', () => {
    expect(highlight('Ñandú and nandu', readSearch('nandu '))).toEqual([
      {
        text: 'Ñandú and nandu',
        offset: 0,
        matches: [
          { start: 0, end: 5 },
          { start: 10, end: 15 },
        ],
      },
    ]);
    expect(highlight('nothing here', readSearch('absent'))).toEqual([]);
    expect(highlight('to be or not', readSearch('"be or" -not'))[0]!.matches).toEqual([{ start: 3, end: 8 }]);
  });

  test('the pieces of a long text are its own, hold what they mark, and are few', () => {
    const filler = fc.array(fc.constantFrom('lorem', 'é', '😀😀', 'needle', 'x'.repeat(80), '\n'), {
      maxLength: 120,
    });
    fc.assert(
      fc.property(filler, (parts) => {
        const text = parts.join(' ');
        const fragments = highlight(text, readSearch('needle '));
        expect(fragments.length).toBeLessThanOrEqual(3);
        expect(fragments.length > 0).toBe(parts.includes('needle'));
        let before = 0;
        for (const { text: piece, offset, matches } of fragments) {
          expect(text.slice(offset, offset + piece.length)).toBe(piece);
          expect(piece.isWellFormed()).toBe(true);
          expect(piece.length).toBeLessThanOrEqual(230);
          expect(offset).toBeGreaterThanOrEqual(before);
          for (const { start, end } of matches) expect(piece.slice(start, end)).toBe('needle');
          before = offset + matches.at(-1)!.end;
        }
      }),
    );
  });
});
