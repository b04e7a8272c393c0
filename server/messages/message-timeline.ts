import type { Db } from '../core/db/index.ts';
import { type MessageRow, messageFor } from './queries.ts';

const mostEntries = 500;
const mostAttempts = 100;

/** Everything that is known of a message's way, in order. @throws 404 */
export async function readTimeline(db: Db, businessId: number, messageId: string) {
  const message = await messageFor(db, businessId, messageId);
  const entries = await db
    .selectFrom('message_timeline')
    .select(['at', 'kind', 'data'])
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    // Within a millisecond, the ids tell the order in which they were written.
    .orderBy('at')
    .orderBy('entry_id')
    .limit(mostEntries + 1)
    .execute();
  const attempts = await db
    .selectFrom('attempts')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .orderBy('attempt_no')
    .limit(mostAttempts)
    .execute();
  return {
    message,
    request: await requestOf(db, message),
    attempts,
    entries: entries.slice(0, mostEntries),
    hasMore: entries.length > mostEntries,
  };
}

/** Null for what no request wrote, and for a request that is no longer kept. */
async function requestOf(db: Db, message: MessageRow) {
  if (message.request_id === null) return null;
  const row = await db
    .selectFrom('requests')
    .select(['request_id', 'operation', 'created_at'])
    .where('business_id', '=', message.business_id)
    .where('request_id', '=', message.request_id)
    .executeTakeFirst();
  return row ?? null;
}
