import { sql } from 'kysely';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { WebhookRow } from './access.ts';
import { type Visit, visitSlowWebhookQueue, visitWebhookQueue } from './queues.ts';

type Wakened = Pick<WebhookRow, 'business_id' | 'webhook_id' | 'slow'>;

/** A job that takes longer than this to begin is taken for lost. */
const lostAfterMs = 120_000;
/** Webhooks that one look wakes at most; the next one goes on. */
const mostAtOnce = 500;

/**
 * Puts visits into the queue. One that failed last, or took long, goes where it holds up none that are quick; a business
 * has no more than its share of either queue (`visit.ts`).
 */
export async function queueVisits(
  tx: Tx,
  queue: JobQueue,
  webhooks: readonly Wakened[],
  delayS = 0,
): Promise<void> {
  for (const slow of [false, true]) {
    const jobs = webhooks
      .filter((webhook) => webhook.slow === slow)
      .map(({ business_id, webhook_id }): { data: Visit; delayS: number; group: string } => ({
        data: { business_id, webhook_id },
        delayS,
        group: String(business_id),
      }));
    await queue.insert(tx, slow ? visitSlowWebhookQueue : visitWebhookQueue, jobs);
  }
}

/** A visit now, where none waits yet. The webhook's row must be locked. */
export async function visitNow(tx: Tx, queue: JobQueue, now: Date, webhook: WebhookRow): Promise<void> {
  if (webhook.queued_at !== null) return;
  await tx
    .updateTable('webhooks')
    .set({ queued_at: now })
    .where('business_id', '=', webhook.business_id)
    .where('webhook_id', '=', webhook.webhook_id)
    .execute();
  await queueVisits(tx, queue, [webhook]);
}

/** Wakes the webhooks of these businesses that have not seen their last event. */
export async function wakeForEvents(
  db: Db,
  queue: JobQueue,
  now: Date,
  businessIds: readonly number[],
): Promise<void> {
  const { rows } = await sql<Wakened>`
    select w.business_id, w.webhook_id, w.slow from webhooks w join businesses b using (business_id)
    where w.business_id = any(${businessIds}::bigint[]) and w.state = 'enabled' and w.queued_at is null
      and w.sequence < b.event_sequence`.execute(db);
  await wake(db, queue, now, rows, sql`w.queued_at is null`);
}

/**
 * Wakes whatever has something to do and no job for it: a wake-up was missed, or a process died. Runs now and then.
 */
export async function wakeForgotten(db: Db, queue: JobQueue, now: Date): Promise<void> {
  const lost = new Date(now.getTime() - lostAfterMs);
  const idle = sql`(w.queued_at is null or w.queued_at < ${lost}) and (w.busy_until is null or w.busy_until < ${now})`;
  const { rows } = await sql<Wakened>`
    select w.business_id, w.webhook_id, w.slow from webhooks w join businesses b using (business_id)
    where ${idle}
      and (w.state = 'deleted' or (w.state = 'enabled' and w.sequence < b.event_sequence)
        or exists (
          select from webhook_deliveries d where d.business_id = w.business_id and d.webhook_id = w.webhook_id
            and d.state = 'pending' and (d.next_attempt_at <= ${now} or w.state = 'disabled')))
    limit ${mostAtOnce}`.execute(db);
  await wake(db, queue, now, rows, idle);
}

async function wake(
  db: Db,
  queue: JobQueue,
  now: Date,
  found: Wakened[],
  still: ReturnType<typeof sql>,
): Promise<void> {
  if (found.length === 0) return;
  const keys = sql.join(
    found.map(({ business_id, webhook_id }) => sql`(${business_id}::bigint, ${webhook_id}::uuid)`),
  );
  await inTransaction(db, async (tx) => {
    // In the order of their keys; another process may have woken some of them by now.
    const { rows } = await sql<Wakened>`
      update webhooks set queued_at = ${now} from (
        select business_id, webhook_id from webhooks w
        where (business_id, webhook_id) in (${keys}) and ${still}
        order by business_id, webhook_id for update
      ) chosen
      where webhooks.business_id = chosen.business_id and webhooks.webhook_id = chosen.webhook_id
      returning webhooks.business_id, webhooks.webhook_id, webhooks.slow`.execute(tx);
    await queueVisits(tx, queue, rows);
  });
}
