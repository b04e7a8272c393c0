import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import type { Log } from '../core/log.ts';
import type { JobHandler, JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { DeliveryRow, WebhookRow } from './access.ts';
import { fanOut } from './fan-out.ts';
import { payloadsOf } from './payload.ts';
import { postDelivery } from './post-delivery.ts';
import type { Postman } from './postman.ts';
import { type Visit, visitSlowWebhookQueue, visitWebhookQueue } from './queues.ts';
import { type Attempted, bySchedule, isSlow, writeAttempts, writeHealth } from './settle.ts';
import { queueVisits, visitNow } from './wake.ts';

/** Posts to one webhook at once. */
const postsAtOnce = 8;
/** A visit begins no more posts after this: others wait for their turn. */
const visitMs = 3_000;
/** Rows that a webhook which is no more gives up in one transaction. */
const clearedAtOnce = 1_000;

export interface VisitParts {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  log: Log;
  secrets: Secrets;
  postman: Postman;
  leaseS?: number;
}

export function visitJobs(parts: VisitParts & { concurrency: number }): JobHandler<never>[] {
  const { concurrency } = parts;
  const run: JobHandler<Visit>['run'] = async (jobs) => {
    const results = await Promise.allSettled(jobs.map(({ id, data }) => visit(parts, id, data)));
    return new Map(
      results.flatMap((result, i) =>
        result.status === 'rejected' ? [[jobs[i]!.id, result.reason as Error] as const] : [],
      ),
    );
  };
  const handlers: JobHandler<Visit>[] = [
    // A business with twenty webhooks that all begin to hang at once leaves places to the others.
    { queue: visitWebhookQueue, batchSize: 4, concurrency, perGroup: Math.min(3, concurrency), run },
    {
      queue: visitSlowWebhookQueue,
      batchSize: 4,
      concurrency: Math.ceil(concurrency / 2),
      perGroup: Math.min(2, Math.ceil(concurrency / 2)),
      run,
    },
  ];
  return handlers as unknown as JobHandler<never>[];
}

/** One webhook, by one visitor at a time: writes its deliveries and posts those that are due, until the others' turn. */
async function visit(parts: VisitParts, jobId: string, { business_id, webhook_id }: Visit): Promise<void> {
  const { db, clock } = parts;
  const now = () => new Date(clock.now());
  const key = { business_id, webhook_id };
  if (!(await begin(parts, key, jobId, now()))) return;
  const startedAt = performance.now();
  for (;;) {
    const step = await inTransaction(db, (tx) => prepare(parts, tx, key, now()));
    if (step.due.length === 0) {
      if (!step.again) break;
    } else {
      const attempted = await postAll(parts, step.webhook, step.due, now);
      const reason = await inTransaction(db, async (tx) => {
        const webhook = await lock(tx, key);
        if (!webhook) return null;
        const at = now();
        await writeAttempts(tx, at, attempted, (one) => bySchedule(one, at));
        return writeHealth(tx, at, webhook, attempted);
      });
      if (reason !== null)
        parts.log.warn(
          { business_id, webhook_id, reason },
          'a webhook was disabled: nothing is posted to it',
        );
      // It goes on among its like.
      if (isSlow(attempted)) break;
    }
    if (performance.now() - startedAt > visitMs) break;
  }
  await end(parts, key, now());
}

type Key = Visit;

const lock = (tx: Tx, { business_id, webhook_id }: Key): Promise<WebhookRow | undefined> =>
  tx
    .selectFrom('webhooks')
    .selectAll()
    .where('business_id', '=', business_id)
    .where('webhook_id', '=', webhook_id)
    .forUpdate()
    .executeTakeFirst();

const change = (tx: Tx, { business_id, webhook_id }: Key) =>
  tx.updateTable('webhooks').where('business_id', '=', business_id).where('webhook_id', '=', webhook_id);

/** @returns whether it is ours to visit: another visitor looks once more before leaving, so nothing is missed */
function begin({ db, leaseS }: VisitParts, key: Key, jobId: string, now: Date): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const webhook = await lock(tx, key);
    if (!webhook) return false;
    const isTaken = webhook.busy_until !== null && webhook.busy_until > now && webhook.busy_with !== jobId;
    await change(tx, key)
      .set({
        queued_at: null,
        ...(!isTaken && { busy_with: jobId, busy_until: leaseUntil(now, leaseS) }),
      })
      .execute();
    return !isTaken;
  });
}

const leaseUntil = (now: Date, leaseS: number = visitWebhookQueue.leaseS) =>
  new Date(now.getTime() + leaseS * 1000);

/** What is to be posted now; `again` where there is none and more to look at. */
async function prepare(
  { leaseS }: VisitParts,
  tx: Tx,
  key: Key,
  now: Date,
): Promise<{ webhook: WebhookRow; due: DeliveryRow[]; again: boolean }> {
  const webhook = await lock(tx, key);
  if (!webhook) return { webhook: webhook!, due: [], again: false };
  if (webhook.state !== 'enabled') return { webhook, due: [], again: await clearAway(tx, now, webhook) };
  await change(tx, key)
    .set({ busy_until: leaseUntil(now, leaseS) })
    .execute();
  await fanOut(tx, now, webhook);
  const due = await tx
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('business_id', '=', key.business_id)
    .where('webhook_id', '=', key.webhook_id)
    .where('state', '=', 'pending')
    .where('next_attempt_at', '<=', now)
    .orderBy('next_attempt_at')
    .orderBy('sequence')
    .limit(postsAtOnce)
    .execute();
  return { webhook, due, again: due.length === 0 && (await hasMoreEvents(tx, key)) };
}

async function hasMoreEvents(tx: Tx, key: Key): Promise<boolean> {
  const { rows } = await sql<{ more: boolean }>`
    select w.state = 'enabled' and w.sequence < b.event_sequence as more
    from webhooks w join businesses b using (business_id)
    where w.business_id = ${key.business_id} and w.webhook_id = ${key.webhook_id}`.execute(tx);
  return rows[0]?.more ?? false;
}

/**
 * What waits for a disabled webhook is given up, where people see it and may replay it; of one that is removed all is
 * deleted. A part of it in each transaction.
 *
 * @returns whether there may be more of it
 */
async function clearAway(tx: Tx, now: Date, webhook: WebhookRow): Promise<boolean> {
  const { business_id, webhook_id, state } = webhook;
  const some = sql`
    select sequence from webhook_deliveries
    where business_id = ${business_id} and webhook_id = ${webhook_id}
      ${state === 'deleted' ? sql`` : sql`and state = 'pending'`} limit ${clearedAtOnce}`;
  const ofThem = sql`business_id = ${business_id} and webhook_id = ${webhook_id} and sequence in (${some})`;
  const { numAffectedRows } =
    state === 'deleted'
      ? await sql`delete from webhook_deliveries where ${ofThem}`.execute(tx)
      : await sql`
          update webhook_deliveries
          set state = 'failed', error = 'webhook_disabled', next_attempt_at = null, settled_at = ${now}
          where ${ofThem}`.execute(tx);
  if (Number(numAffectedRows ?? 0) > 0) return true;
  if (state === 'deleted')
    await tx
      .deleteFrom('webhooks')
      .where('business_id', '=', business_id)
      .where('webhook_id', '=', webhook_id)
      .execute();
  return false;
}

async function postAll(
  parts: VisitParts,
  webhook: WebhookRow,
  due: DeliveryRow[],
  now: () => Date,
): Promise<Attempted[]> {
  const events = await payloadsOf(
    parts.db,
    webhook.business_id,
    due.map(({ sequence }) => sequence),
  );
  return Promise.all(
    due.map((delivery) => {
      const event = events.get(delivery.sequence);
      return event ? postDelivery(parts, now(), webhook, delivery, event) : expired(delivery, now());
    }),
  );
}

/** A replay of long ago: events are forgotten by their own age, deliveries by theirs. */
const expired = (delivery: DeliveryRow, at: Date): Attempted => ({
  delivery,
  posted: { statusCode: null, error: 'event_expired', retryAfterMs: null, durationMs: 0 },
  at,
});

/** Leaves, and sees to the next visit: at once where there is more to do, else when the next attempt is due. */
function end({ db, queue }: VisitParts, key: Key, now: Date): Promise<void> {
  return inTransaction(db, async (tx) => {
    const webhook = await lock(tx, key);
    if (!webhook) return;
    await change(tx, key).set({ busy_with: null, busy_until: null }).execute();
    const { rows } = await sql<{ next: Date | null }>`
      select min(next_attempt_at) as next from webhook_deliveries
      where business_id = ${key.business_id} and webhook_id = ${key.webhook_id} and state = 'pending'`.execute(
      tx,
    );
    const next = rows[0]!.next;
    const hasDue = next !== null && (next <= now || webhook.state !== 'enabled');
    if (hasDue || webhook.state === 'deleted' || (await hasMoreEvents(tx, key)))
      return visitNow(tx, queue, now, webhook);
    const isForeseen =
      next === null || (webhook.later_at !== null && webhook.later_at > now && webhook.later_at <= next);
    if (isForeseen) return;
    await change(tx, key).set({ later_at: next }).execute();
    await queueVisits(tx, queue, [webhook], (next.getTime() - now.getTime()) / 1000);
  });
}
