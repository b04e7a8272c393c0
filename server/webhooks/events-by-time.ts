import type { Db, Tx } from '../core/db/index.ts';

/** Events are numbered as they are committed and dated as their request begins: so far apart the two orders may be. */
const disorderMs = 60_000;

/**
 * A number before which every event is older than `time`; found by halving, since events are numbered without gaps:
 * a few rows are read, and no index by time is written with each event. Who asks compares the times behind it.
 */
export async function firstSequenceFrom(db: Db | Tx, businessId: number, time: Date): Promise<number> {
  const from = new Date(time.getTime() - disorderMs);
  const { event_sequence } = await db
    .selectFrom('businesses')
    .select('event_sequence')
    .where('business_id', '=', businessId)
    .executeTakeFirstOrThrow();
  let [low, high] = [1, event_sequence + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const event = await db
      .selectFrom('events')
      .select('created_at')
      .where('business_id', '=', businessId)
      .where('sequence', '>=', middle)
      .orderBy('sequence')
      .limit(1)
      .executeTakeFirst();
    if (!event || event.created_at >= from) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A number from which on every event is of `time` or later. */
export const firstSequenceBehind = (db: Db | Tx, businessId: number, time: Date): Promise<number> =>
  firstSequenceFrom(db, businessId, new Date(time.getTime() + 2 * disorderMs));
