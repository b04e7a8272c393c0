import { invalid } from '../core/fault.ts';
import { lexeme, wordsIn } from './words.ts';

/** One condition of a search: words that stand together, in order. */
export interface SearchTerm {
  words: string[];
  /** The last word may go on. */
  prefix: boolean;
  excluded: boolean;
}

/** A prefix shorter than this would match half of everything. */
const shortestPrefix = 2;
const mostWordsAsked = 32;

/**
 * Reads what people type: words (all must be there), `appoint*`, `"quoted phrases"`, and a minus
 * before what must not be there. The last word counts as a prefix, since it may still be being
 * typed; a space after it ends it. What is written together (`9:30`, `ana@lotus.example`) is a phrase.
 *
 * @throws 422 `q` where nothing is left to look for
 */
export function readSearch(q: string): SearchTerm[] {
  const terms: SearchTerm[] = [];
  for (const part of q.matchAll(
    /(?<minus>(?<=^|\s)-)?(?:["“”](?<phrase>[^"“”]*)["“”]?|(?<bare>[^\s"“”]+))/g,
  )) {
    const { minus, phrase, bare } = part.groups as Record<string, string | undefined>;
    const words = wordsIn(phrase ?? bare ?? '').map(({ word }) => word);
    if (words.length === 0) continue;
    const isLast = part.index + part[0].length === q.length;
    const asked = bare?.endsWith('*') ?? false;
    const long = words.at(-1)!.length >= shortestPrefix;
    if (asked && !long) throw invalid('q', `needs ${shortestPrefix} letters or more before *`, 'too_short');
    const excluded = minus !== undefined;
    terms.push({ words, prefix: asked || (bare !== undefined && isLast && !excluded && long), excluded });
  }
  if (!terms.some((term) => !term.excluded))
    throw invalid('q', 'needs at least one word to look for', 'invalid_value');
  if (terms.reduce((count, term) => count + term.words.length, 0) > mostWordsAsked)
    throw invalid('q', `takes ${mostWordsAsked} words at most`, 'too_many');
  return terms;
}

/** The text of a tsquery, within one business. */
export function tsqueryOf(businessId: number, terms: SearchTerm[]): string {
  return terms
    .map(({ words, prefix, excluded }) => {
      const sequence = words
        .map((word, i) => lexeme(businessId, word) + (prefix && i === words.length - 1 ? ':*' : ''))
        .join(' <-> ');
      return `${excluded ? '!' : ''}(${sequence})`;
    })
    .join(' & ');
}
