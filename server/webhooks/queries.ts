import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import type { DeliveryRow, WebhookRow } from './access.ts';
import { firstSequenceFrom } from './events-by-time.ts';

/** Days that deliveries and their attempts are kept. */
const keptDays = 30;
const deletedAtOnce = 1_000;

/** Oldest first. @param after the last webhook of the page before */
export function listWebhooks(
  db: Db,
  businessId: number,
  limit: number,
  after: string | null,
): Promise<WebhookRow[]> {
  return db
    .selectFrom('webhooks')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('state', '<>', 'deleted')
    .$if(after !== null, (query) => query.where('webhook_id', '>', after))
    .orderBy('webhook_id')
    .limit(limit)
    .execute();
}

/** The newest event first. @param before the number of the last delivery of the page before */
export async function listDeliveries(
  db: Db,
  webhook: WebhookRow,
  filters: { state?: DeliveryRow['state']; type?: string; since?: string },
  limit: number,
  before: number | null,
): Promise<DeliveryRow[]> {
  const { business_id, webhook_id } = webhook;
  const { state, type } = filters;
  const since = filters.since === undefined ? null : new Date(filters.since);
  const from = since && (await firstSequenceFrom(db, business_id, since));
  const { rows } = await sql<DeliveryRow>`
    select d.* from webhook_deliveries d
    where d.business_id = ${business_id} and d.webhook_id = ${webhook_id}
      ${state ? sql`and d.state = ${state}` : sql``}
      ${type ? sql`and d.type = ${type}` : sql``}
      ${before === null ? sql`` : sql`and d.sequence < ${before}`}
      ${
        since === null
          ? sql``
          : sql`and d.sequence >= ${from} and exists (
              select from events e
              where e.business_id = d.business_id and e.sequence = d.sequence and e.created_at >= ${since})`
      }
    order by d.sequence desc limit ${limit}`.execute(db);
  return rows;
}

/** The newest `limit` attempts of a delivery, oldest first. */
export async function attemptsOf(db: Db, delivery: DeliveryRow, limit: number) {
  const rows = await db
    .selectFrom('webhook_attempts')
    .selectAll()
    .where('business_id', '=', delivery.business_id)
    .where('webhook_id', '=', delivery.webhook_id)
    .where('sequence', '=', delivery.sequence)
    .orderBy('attempt_no', 'desc')
    .limit(limit)
    .execute();
  return rows.reverse();
}

/** Throws away what is old; a part of it in each call. Secrets that sign no more go with it. */
export async function forgetDeliveries(db: Db, now: Date): Promise<void> {
  const old = new Date(now.getTime() - keptDays * 86_400_000);
  await sql`
    delete from webhook_deliveries where (business_id, webhook_id, sequence) in (
      select business_id, webhook_id, sequence from webhook_deliveries
      where created_at < ${old} and state <> 'pending' order by created_at limit ${deletedAtOnce})`.execute(
    db,
  );
  await db
    .updateTable('webhooks')
    .set({ sealed_old_secret: null, old_secret_until: null })
    .where('old_secret_until', '<', now)
    .execute();
}
