import type { SearchTerm } from './search-query.ts';
import { type Word, wordsIn } from './words.ts';

/** A piece of a text around what was found. Plain text, as it was written: never HTML. */
export interface Fragment {
  text: string;
  /** Where the piece begins in the whole text, in UTF-16 code units, as everything here. */
  offset: number;
  /** What was found, within the piece. */
  matches: { start: number; end: number }[];
}

const fragmentChars = 160;
const charsBefore = 60;
const mostFragments = 3;

/** The pieces of a text where the terms stand; none where they do not. */
export function highlight(text: string, terms: SearchTerm[]): Fragment[] {
  const ranges = rangesOf(
    wordsIn(text),
    terms.filter((term) => !term.excluded),
  );
  const fragments: Fragment[] = [];
  for (let i = 0; i < ranges.length && fragments.length < mostFragments; ) {
    const from = text.length <= fragmentChars ? 0 : startNear(text, ranges[i]!.start);
    const reach = text.length <= fragmentChars ? text.length : from + fragmentChars;
    const together = [ranges[i++]!];
    while (i < ranges.length && ranges[i]!.end <= reach) together.push(ranges[i++]!);
    const to = endNear(text, reach, together.at(-1)!.end);
    fragments.push({
      text: text.slice(from, to),
      offset: from,
      matches: together.map(({ start, end }) => ({ start: start - from, end: end - from })),
    });
  }
  return fragments;
}

/** Where any of the terms stands, each place once. */
function rangesOf(words: Word[], terms: SearchTerm[]): { start: number; end: number }[] {
  const ranges: { start: number; end: number }[] = [];
  for (let i = 0; i < words.length; i++) {
    const longest = Math.max(
      0,
      ...terms.filter((term) => standsAt(words, i, term)).map((t) => t.words.length),
    );
    if (longest === 0) continue;
    const range = { start: words[i]!.start, end: words[i + longest - 1]!.end };
    const last = ranges.at(-1);
    if (last && range.start < last.end) last.end = Math.max(last.end, range.end);
    else ranges.push(range);
  }
  return ranges;
}

function standsAt(words: Word[], at: number, { words: asked, prefix }: SearchTerm): boolean {
  return asked.every((word, i) => {
    const there = words[at + i]?.word;
    return prefix && i === asked.length - 1 ? there?.startsWith(word) : there === word;
  });
}

/** Some words before the match, from the beginning of one. */
function startNear(text: string, match: number): number {
  const from = Math.max(0, match - charsBefore);
  if (from === 0) return 0;
  const space = text.slice(from, match).search(/\s/);
  return space === -1 ? wholeCharacter(text, from) : from + space + 1;
}

/** To the end of a word where there is one, never before the match's. */
function endNear(text: string, reach: number, matchEnd: number): number {
  if (reach >= text.length) return text.length;
  const space = text.slice(matchEnd, reach + 1).search(/\s\S*$/);
  return wholeCharacter(text, space === -1 ? Math.max(matchEnd, reach) : matchEnd + space);
}

/** Never between the two halves of a character. */
function wholeCharacter(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;
}
