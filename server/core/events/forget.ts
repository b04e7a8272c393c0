import { sql } from 'kysely';
import { type Db, inTransaction } from '../db/index.ts';

/** Long enough for a reader that was away over a holiday. Who comes later is told so, and reads everything anew. */
export const eventRetentionDays = 30;

const batch = 1_000;
/** A look takes a moment; what is left then waits for the next one. */
const mostBatches = 10;

/**
 * Deletes events that are older than {@link eventRetentionDays}; of each business from its lowest number upward, so
 * that what is left has no gap. An old event after a younger one (clocks differ) waits for that.
 *
 * Who hands events on (webhooks) has done so within seconds, and is long past these.
 *
 * @returns how many were deleted
 */
export async function forgetOldEvents(db: Db, now: Date): Promise<number> {
  const before = new Date(now.getTime() - eventRetentionDays * 86_400_000);
  let forgotten = 0;
  for (let no = 0; no < mostBatches; no++) {
    const { rows } = await sql<{ business_id: number }>`
      select distinct business_id from (
        select business_id from events where created_at < ${before} order by created_at limit ${batch}) old
      order by business_id`.execute(db);
    let deleted = 0;
    for (const { business_id } of rows) deleted += await forgetOfBusiness(db, business_id, before);
    forgotten += deleted;
    if (deleted < batch) break;
  }
  return forgotten;
}

function forgetOfBusiness(db: Db, businessId: number, before: Date): Promise<number> {
  return inTransaction(db, async (tx) => {
    const { numAffectedRows } = await sql`
      with lowest as (
        select sequence, created_at from events where business_id = ${businessId} order by sequence limit ${batch})
      delete from events where business_id = ${businessId}
        and sequence <= (select max(sequence) from lowest)
        and sequence < coalesce((select min(sequence) from lowest where created_at >= ${before}), 9223372036854775807)`.execute(
      tx,
    );
    return Number(numAffectedRows ?? 0);
  });
}
