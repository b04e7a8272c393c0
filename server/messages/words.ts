import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';

/** A word of a text, folded, and where it stands in the text as written (UTF-16 code units). */
export interface Word {
  word: string;
  start: number;
  end: number;
}

/** Longer words are known by their beginning; both sides are cut alike. */
const longestWord = 64;
/** A tsvector takes positions up to 16,383 and 255 of one lexeme; what comes after is not searched. */
const mostWords = 16_000;
const mostPositions = 255;
/** A tsvector takes 1 MiB in all. */
const mostLexemeChars = 200_000;

/** Letters that no decomposition takes apart. */
const plain: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ı: 'i',
  ħ: 'h',
  ς: 'σ',
};

const letterDigitOrMark = /[\p{L}\p{N}\p{M}]/u;
/** Accents of Latin, Greek and Cyrillic, vowel points of Arabic and Hebrew. Elsewhere a mark is a letter's part. */
const accents = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]/g;
/** Written without spaces: each character is a word, and what is written together is a phrase. */
const spaceless =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;
/** Joins and soft hyphens: invisible, inside words. */
const invisible = /[\u00ad\u200b-\u200d\u2060\ufeff]/;

interface Folded {
  kind: 'part' | 'alone' | 'skip' | 'break';
  text: string;
}

const nothing: Folded = { kind: 'break', text: '' };
const known = new Map<number, Folded>();

/** One character as it is compared: without case, width or accent. The same for what is kept and what is asked. */
function fold(codePoint: number): Folded {
  const kept = known.get(codePoint);
  if (kept) return kept;
  const character = String.fromCodePoint(codePoint);
  let folded = nothing;
  if (invisible.test(character)) folded = { kind: 'skip', text: '' };
  else if (letterDigitOrMark.test(character)) {
    const text = [...character.toLowerCase().normalize('NFKD').toLowerCase().replace(accents, '')]
      .map((part) => plain[part] ?? (letterDigitOrMark.test(part) ? part : ''))
      .join('');
    folded =
      text === ''
        ? { kind: 'skip', text }
        : { kind: spaceless.test(character) && !/\p{M}/u.test(character) ? 'alone' : 'part', text };
  }
  if (known.size > 20_000) known.clear();
  known.set(codePoint, folded);
  return folded;
}

/** The words of a text, in order: runs of letters, digits and their marks. */
export function wordsIn(text: string, most = mostWords): Word[] {
  const words: Word[] = [];
  let word = '';
  let start = 0;
  let end = 0;
  let isAlone = false;
  const finish = () => {
    if (word !== '') words.push({ word, start, end });
    word = '';
    isAlone = false;
  };
  for (let at = 0; at < text.length && words.length < most; ) {
    const codePoint = text.codePointAt(at)!;
    const next = at + (codePoint > 0xffff ? 2 : 1);
    const { kind, text: folded } = fold(codePoint);
    if (kind === 'break') finish();
    else if (kind === 'alone' || (kind === 'part' && isAlone && !isMark(codePoint))) {
      finish();
      word = folded;
      start = at;
      end = next;
      isAlone = kind === 'alone';
    } else if (kind === 'part') {
      if (word === '') start = at;
      if (word.length + folded.length <= longestWord) word += folded;
      end = next;
    } else if (word !== '') end = next;
    at = next;
  }
  if (words.length < most) finish();
  return words;
}

function isMark(codePoint: number): boolean {
  return /\p{M}/u.test(String.fromCodePoint(codePoint));
}

/** A lexeme as it stands in the index: with its business. Words hold letters, digits and marks, so nothing needs escaping. */
export function lexeme(businessId: number, word: string): string {
  return `'${businessId}:${word}'`;
}

/** The text of a tsvector. The subject's words weigh more; no phrase runs from it into the content. */
export function tsvectorOf(businessId: number, subject: string | null, content: string): string {
  const places = new Map<string, string[]>();
  let chars = 0;
  let place = 0;
  const add = (words: Word[], weight: string) => {
    for (const { word } of words) {
      place++;
      if (place > mostWords) return;
      let list = places.get(word);
      if (!list) {
        chars += word.length;
        if (chars > mostLexemeChars) return;
        list = [];
        places.set(word, list);
      }
      if (list.length < mostPositions) list.push(`${place}${weight}`);
    }
  };
  if (subject) add(wordsIn(subject), 'A');
  place++;
  add(wordsIn(content), '');
  return [...places].map(([word, list]) => `${lexeme(businessId, word)}:${list.join(',')}`).join(' ');
}

export interface Searchable {
  businessId: number;
  messageId: string;
  occurredAt: Date;
  channel: string;
  direction: 'inbound' | 'outbound' | 'internal';
  subject: string | null;
  content: string;
}

/** Makes messages findable, in the transaction that writes them. */
export async function writeWords(tx: Tx, messages: Searchable[]): Promise<void> {
  if (messages.length === 0) return;
  const rows = messages.map((message) => ({
    b: message.businessId,
    m: message.messageId,
    at: message.occurredAt,
    ch: message.channel,
    d: message.direction,
    w: tsvectorOf(message.businessId, message.subject, message.content),
  }));
  await sql`
    insert into message_words (business_id, message_id, occurred_at, channel, direction, words)
    select b, m, at, ch, d, w::tsvector
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, m uuid, at timestamptz, ch text, d text, w text)`.execute(
    tx,
  );
}

/** Takes what was erased out of every search. */
export async function forgetWords(tx: Tx, businessId: number, messageIds: string[]): Promise<void> {
  if (messageIds.length === 0) return;
  await tx
    .deleteFrom('message_words')
    .where('business_id', '=', businessId)
    .where('message_id', 'in', messageIds)
    .execute();
}
