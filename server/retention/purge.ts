import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import {
  contentGone,
  eraseCarrierEvents,
  forgetBeside,
  forgetTold,
  forgetWordsAndFiles,
  onlyHarmless,
} from '../messages/index.ts';
import { forgetReceiptsOf } from '../receipts/index.ts';
import { noRun, runEveryMs } from './policy.ts';

/** Rows of each kind that one transaction looks at: some tenths of a second, files of megabytes aside. */
const batchSize = 200;

interface Policy {
  message_days: number | null;
  run_started_at: Date | null;
  run_purged: number;
  /** As text: a `Date` has no microseconds, and the run would not get past them. */
  run_at: string | null;
  run_message_id: string | null;
}

/**
 * One step of a business's run: takes the content of the next messages that are old enough, and at the
 * end what carriers posted that became no message. The run's place is kept with the policy, so whoever
 * comes next goes on there; its row is locked, so two never work on one business at once.
 *
 * A message that has content has a row in `message_words`, and loses it here: so that table's index by
 * age is the list of what is left to do, without a mark or an index of its own (docs/adr/0016-retention.md).
 *
 * @returns whether there is more to do
 */
export async function purgeBatch(tx: Tx, now: Date, businessId: number): Promise<boolean> {
  const policy = await lockPolicy(tx, businessId);
  if (!policy || policy.message_days === null) return false;
  const before = new Date(now.getTime() - policy.message_days * 86_400_000);
  const looked = await nextMessages(tx, businessId, before, policy);
  const purged = await purgeMessages(
    tx,
    now,
    businessId,
    before,
    looked.map((row) => row.message_id),
  );
  const last = looked.at(-1);
  // Messages first: what carriers told of them leads to its receipts too.
  const isMore =
    looked.length === batchSize ||
    (await purgeUnapplied(tx, now, businessId, before)) === batchSize ||
    (await forgetReceiptsOf(tx, businessId, before, batchSize)) === batchSize;
  const progress = {
    run_started_at: policy.run_started_at ?? now,
    run_purged: policy.run_purged + purged,
    ...(last && { run_at: sql<Date>`${last.at}::timestamptz`, run_message_id: last.message_id }),
  };
  const end = { ...noRun, last_run_at: now, last_run_purged: policy.run_purged + purged };
  await tx
    .updateTable('retention')
    .set({
      ...(isMore ? progress : end),
      messages_purged: sql`messages_purged + ${purged}`,
      // While it goes on, nobody need begin it anew.
      due_at: new Date(now.getTime() + runEveryMs),
    })
    .where('business_id', '=', businessId)
    .execute();
  return isMore;
}

async function lockPolicy(tx: Tx, businessId: number): Promise<Policy | undefined> {
  const { rows } = await sql<Policy>`
    select message_days, run_started_at, run_purged, run_at::text as run_at, run_message_id
    from retention where business_id = ${businessId} for update`.execute(tx);
  return rows[0];
}

/** The next messages that happened before then and have content, oldest first. */
async function nextMessages(
  tx: Tx,
  businessId: number,
  before: Date,
  { run_at, run_message_id }: Policy,
): Promise<{ message_id: string; at: string }[]> {
  const after =
    run_at === null
      ? sql``
      : sql`and (occurred_at, message_id) > (${run_at}::timestamptz, ${run_message_id}::uuid)`;
  const { rows } = await sql<{ message_id: string; at: string }>`
    select message_id, occurred_at::text as at from message_words
    where business_id = ${businessId} and occurred_at < ${before} ${after}
    order by occurred_at, message_id limit ${batchSize}`.execute(tx);
  return rows;
}

/** Not what waits to be sent, nor what was due, sent or failed since. */
const mayGo = (before: Date) => sql`status not in ('scheduled', 'queued', 'sending')
  and greatest(occurred_at, send_at, sent_at, failed_at) < ${before}`;

/** Locks carrier events, then messages, as everyone does. @returns how many */
async function purgeMessages(
  tx: Tx,
  now: Date,
  businessId: number,
  before: Date,
  candidates: string[],
): Promise<number> {
  if (candidates.length === 0) return 0;
  const old = await sql<{ message_id: string }>`
    select message_id from messages
    where business_id = ${businessId} and message_id = any(${candidates}::uuid[]) and ${mayGo(before)}`.execute(
    tx,
  );
  const ids = old.rows.map((row) => row.message_id);
  if (ids.length === 0) return 0;
  await forgetTold(tx, now, businessId, listOf(ids));
  const { rows } = await sql<{ message_id: string; client_id: number }>`
    with these as (
      select message_id from messages
      where business_id = ${businessId} and message_id = any(${ids}::uuid[]) and ${mayGo(before)}
      order by message_id for update
    )
    update messages set ${contentGone} from these
    where messages.business_id = ${businessId} and messages.message_id = these.message_id
    returning messages.message_id, messages.client_id`.execute(tx);
  const gone = rows.map((row) => row.message_id);
  await forgetWordsAndFiles(tx, businessId, gone);
  await forgetBeside(tx, businessId, listOf(gone));
  await forgetEvents(tx, businessId, gone, [...new Set(rows.map((row) => row.client_id))]);
  return gone.length;
}

const listOf = (ids: string[]) => sql`(select unnest(${ids}::uuid[]))`;

/** The few events of messages that say more than ids. By their client, for that is how they are found. */
async function forgetEvents(
  tx: Tx,
  businessId: number,
  messageIds: string[],
  clientIds: number[],
): Promise<void> {
  await sql`
    update events set data = ${onlyHarmless('data')}
    where business_id = ${businessId} and data ->> 'client_id' = any(${clientIds.map(String)}::text[])
      and type in ('message.failed', 'message.undelivered', 'appointment.possible_cancellation')
      and data ->> 'message_id' = any(${messageIds}::text[])`.execute(tx);
}

/** What carriers told and became no message. @returns how many */
async function purgeUnapplied(tx: Tx, now: Date, businessId: number, before: Date): Promise<number> {
  return eraseCarrierEvents(
    tx,
    now,
    businessId,
    sql`carrier_event_id in (
      select carrier_event_id from carrier_events
      where business_id = ${businessId} and state in ('parked', 'refused') and payload ->> 'erased' is null
        and received_at < ${before}
      order by received_at limit ${batchSize})`,
  );
}
