import { type RawBuilder, sql } from 'kysely';
import { readPhoneBeginning } from '../core/addresses.ts';
import type { AddressKind } from '../core/db/index.ts';

/**
 * How clients are found by name, phone or mail: every word of the name and every address stands in
 * the client's row as a lexeme `<business_id>/<word>`, and a search is for prefixes of them. One GIN
 * index serves all three, and a tenant's search never walks another's words.
 */

/** Letters that Unicode does not take apart into a base and an accent. */
const alsoFolded: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  ł: 'l',
  ı: 'i',
  þ: 'th',
};

/** Without case, accents and compatibility forms: `Łukasz`, `ŁUKASZ` and `lukasz` are one. */
export function fold(text: string): string {
  return text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[ßæœøđðłıþ]/g, (letter) => alsoFolded[letter]!);
}

const mostWords = 40;
const longestWord = 100;

/** The words of a name, folded; `O'Brien` is also found as `obrien`. */
export function wordsOf(text: string): string[] {
  const folded = fold(text);
  const words = new Set(folded.split(/[^\p{L}\p{N}]+/u));
  for (const chunk of folded.split(/\s+/)) words.add(chunk.replaceAll(/[^\p{L}\p{N}]+/gu, ''));
  words.delete('');
  // A name may be a smiley: where there is neither letter nor digit, what there is counts.
  return (words.size > 0 ? [...words] : chunksOf(folded)).slice(0, mostWords).map(cut);
}

const chunksOf = (folded: string) => folded.split(/\s+/).filter(Boolean);
const cut = (word: string) => word.slice(0, longestWord).toWellFormed();

/** What the list is sorted by: names alike but for case and accents stand together, and no name last. */
export function sortNameOf(name: string | null): string {
  const folded = name === null ? '' : [...fold(name).trim()].slice(0, 60).join('');
  return folded === '' ? '\u{10FFFF}' : folded;
}

/** The lexemes of a client: of the name's words and of each address. */
export function lexemesOf(
  businessId: number,
  client: { name: string | null; addresses: { kind: AddressKind; address: string }[] },
): string[] {
  const words = new Set(client.name === null ? [] : wordsOf(client.name));
  for (const { kind, address } of client.addresses) {
    words.add(address.toLowerCase().slice(0, 320));
    // Without the plus sign a number is found by what people type: from its start, or the digits at its
    // end that a front desk asks for, the last seven or four.
    if (kind === 'phone') for (const from of [1, -7, -4]) words.add(address.slice(from));
  }
  words.delete('');
  return [...words].map((word) => `${businessId}/${word}`);
}

/** Lexemes as a `tsvector`, taken as they are: no parser and no dictionary cuts them. */
export function wordsSql(lexemes: string[]): RawBuilder<string> {
  return sql<string>`array_to_tsvector(array(select jsonb_array_elements_text(${JSON.stringify(lexemes)}::jsonb)))`;
}

/**
 * What was typed, as a `tsquery`: all its words as prefixes; a phone (with its country code, or as the
 * business's `country` writes it) or a mail address as a prefix of the address.
 *
 * @returns null where nothing can be searched for
 */
export function queryOf(businessId: number, typed: string, country: string): string | null {
  const text = typed.trim();
  const prefix = (word: string) => {
    const lexeme = `${businessId}/${word}`.replaceAll('\\', '\\\\').replaceAll("'", "''");
    return `'${lexeme}':*`;
  };
  if (/^[+(]?[0-9][0-9 ().+-]*$/.test(text)) {
    const digits = text.replaceAll(/[^0-9]/g, '');
    const inCountry = readPhoneBeginning(text, country);
    const forms = new Set([digits, ...(inCountry === null ? [] : [inCountry])]);
    return [...forms].map(prefix).join(' | ');
  }
  const folded = fold(text);
  const words = [...new Set(folded.split(/[^\p{L}\p{N}]+/u).filter(Boolean))];
  const all = (words.length > 0 ? words : chunksOf(folded))
    .slice(0, mostWords)
    .map(cut)
    .map(prefix)
    .join(' & ');
  // A mail address; a name can have an @ too.
  const forms = text.includes('@') ? [prefix(text.toLowerCase()), all && `(${all})`] : [all];
  return forms.filter(Boolean).join(' | ') || null;
}
