import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { messagesById, type ShownMessage } from './queries.ts';

export interface BusinessMessageFilters {
  status?: string;
  channel?: string;
  direction?: string;
  since?: Date;
  until?: Date;
}

/** A message's place in the list. */
export interface Place {
  at: string;
  messageId: string;
}

export interface BusinessMessages {
  rows: ShownMessage[];
  /** Where the list goes on; null at its end. */
  next: Place | null;
}

type TimeColumn = 'send_at' | 'failed_at' | 'occurred_at';

/** The time that messages of a status are listed by: each has an index, and none changes with the status. */
export function timeColumnOf(status: string | undefined): TimeColumn {
  if (status === 'scheduled') return 'send_at';
  return status === 'failed' || status === 'undelivered' ? 'failed_at' : 'occurred_at';
}

/** Rows of the index looked at for one page: a filter that hardly any row meets must not read them all. */
const mostScanned = 2_000;
const chunk = 500;

/** A page over all clients of a business: at most `limit` rows, and fewer where few of those looked at fit. */
export async function listBusinessMessages(
  db: Db,
  businessId: number,
  filters: BusinessMessageFilters,
  order: 'newest' | 'oldest',
  limit: number,
  after: Place | null,
): Promise<BusinessMessages> {
  const fits: Place[] = [];
  let place = after;
  let ended = false;
  const step = filters.status || filters.channel || filters.direction ? chunk : limit + 1;
  for (let scanned = 0; scanned < mostScanned && fits.length <= limit && !ended; scanned += step) {
    const rows = await scan(db, businessId, filters, order, step, place);
    fits.push(...rows.filter((row) => row.fits));
    ended = rows.length < step;
    place = rows.at(-1) ?? place;
  }
  const shown = fits.slice(0, limit);
  const messages = await messagesById(
    db,
    businessId,
    shown.map(({ messageId }) => messageId),
  );
  return {
    rows: shown.flatMap(({ messageId }) => messages.get(messageId) ?? []),
    next: fits.length > limit ? shown.at(-1)! : ended ? null : place,
  };
}

async function scan(
  db: Db,
  businessId: number,
  { status, channel, direction, since, until }: BusinessMessageFilters,
  order: 'newest' | 'oldest',
  limit: number,
  after: Place | null,
): Promise<(Place & { fits: boolean })[]> {
  const at = sql.ref(timeColumnOf(status));
  const where = [sql`business_id = ${businessId} and ${at} is not null`];
  if (since) where.push(sql`${at} >= ${since}`);
  if (until) where.push(sql`${at} < ${until}`);
  if (after) {
    const beyond = order === 'newest' ? sql`<` : sql`>`;
    where.push(sql`(${at}, message_id) ${beyond} (${after.at}::timestamptz, ${after.messageId}::uuid)`);
  }
  const fits = [sql`true`];
  if (status) fits.push(sql`status = ${status}`);
  if (channel) fits.push(sql`channel = ${channel}`);
  if (direction) fits.push(sql`direction = ${direction}`);
  const direct = order === 'newest' ? sql`desc` : sql`asc`;
  const { rows } = await sql<{ message_id: string; at: Date; fits: boolean }>`
    select message_id, ${at} as at, ${sql.join(fits, sql` and `)} as fits from messages
    where ${sql.join(where, sql` and `)}
    order by ${at} ${direct}, message_id ${direct} limit ${limit}`.execute(db);
  return rows.map((row) => ({ messageId: row.message_id, at: row.at.toISOString(), fits: row.fits }));
}
