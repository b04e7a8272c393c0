import { createHash } from 'node:crypto';
import { invalid } from '../fault.ts';
import type { Secrets } from '../secrets.ts';

/** Opaque, tamper-evident places in a list, each bound to the filters it was given with. */
export interface Cursors {
  /** @param about what the list is: the operation, the business, every filter */
  encode(about: unknown, place: readonly (string | number | null)[]): string;
  /** @throws 422 for one that was made up, changed, or belongs to other filters */
  decode(about: unknown, cursor: string): (string | number | null)[];
}

export function createCursors(secrets: Secrets): Cursors {
  const digest = (about: unknown) =>
    createHash('sha256').update(JSON.stringify(about)).digest('base64url').slice(0, 16);
  return {
    encode(about, place) {
      const text = Buffer.from(JSON.stringify([digest(about), ...place])).toString('base64url');
      return `${text}.${secrets.sign('cursor', text)}`;
    },
    decode(about, cursor) {
      const [text = '', signature = ''] = cursor.split('.');
      if (!secrets.isSigned('cursor', text, signature)) {
        throw invalid('cursor', 'is not one that this server gave; take next_cursor of the page before');
      }
      const [filters, ...place] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
      if (filters !== digest(about))
        throw invalid('cursor', 'belongs to other filters; start again without it');
      return place;
    },
  };
}

/**
 * A page of rows of which one more than `limit` was read.
 *
 * @param place the keyset values of a row, in the order of the sort
 */
export function pageOf<Row>(
  rows: Row[],
  limit: number,
  encode: (place: readonly (string | number | null)[]) => string,
  place: (row: Row) => readonly (string | number | null)[],
): { rows: Row[]; next_cursor: string | null; has_more: boolean } {
  const hasMore = rows.length > limit;
  const page = hasMore ? rows.slice(0, limit) : rows;
  const last = page.at(-1);
  return { rows: page, next_cursor: hasMore && last ? encode(place(last)) : null, has_more: hasMore };
}

/** Counts stop here: nobody acts on the difference between 100 and 4,000, and each row costs. */
export const mostCounted = 99;

/** A count of at most {@link mostCounted} + 1 rows as the API shows it: `0` to `99`, or `99+`. */
export const cappedCount = (count: number) => (count > mostCounted ? `${mostCounted}+` : String(count));
