import type { Selectable } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';

export type RetentionRow = Selectable<Tables['retention']>;

/** How soon after one run the next is due. */
export const runEveryMs = 3_600_000;

export async function readRetention(db: Db | Tx, businessId: number): Promise<RetentionRow | null> {
  const row = await db
    .selectFrom('retention')
    .selectAll()
    .where('business_id', '=', businessId)
    .executeTakeFirst();
  return row ?? null;
}

/**
 * Sets how long the content of messages is kept; null: for ever. A run that is under way goes on by what
 * is set now. Locks the policy's row, which a run holds before it takes messages: so nothing may be locked
 * before it but the request's id, and only events come after.
 */
export async function setRetention(
  tx: Tx,
  now: Date,
  { businessId, messageDays, by }: { businessId: number; messageDays: number | null; by: Origin },
): Promise<void> {
  await tx
    .insertInto('retention')
    .values({ business_id: businessId, message_days: null, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { message_days: was } = await tx
    .selectFrom('retention')
    .select('message_days')
    .where('business_id', '=', businessId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  await tx
    .updateTable('retention')
    .set({
      message_days: messageDays,
      due_at: messageDays === null ? null : new Date(now.getTime() + runEveryMs),
      ...(messageDays === null && noRun),
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .execute();
  if (was === messageDays) return;
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'retention.changed',
      by,
      changed: { message_days: { from: was, to: messageDays } },
      data: { message_days: messageDays },
    },
  ]);
}

/** The columns of the run under way, where there is none. */
export const noRun = { run_started_at: null, run_purged: 0, run_at: null, run_message_id: null };

/** A policy as the API shows it, also where none was ever set. */
export function presentRetention(businessId: number, row: RetentionRow | null) {
  const iso = (at: Date | null | undefined) => at?.toISOString() ?? null;
  return {
    business_id: businessId,
    message_days: row?.message_days ?? null,
    last_run_at: iso(row?.last_run_at),
    last_run_purged: row?.last_run_purged ?? null,
    messages_purged: row?.messages_purged ?? 0,
    running_since: iso(row?.run_started_at),
    next_run_at: iso(row?.due_at),
    updated_at: iso(row?.updated_at),
  };
}
