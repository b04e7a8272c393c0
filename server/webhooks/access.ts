import type { Selectable } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { Fault, notFound } from '../core/fault.ts';

export type WebhookRow = Selectable<Tables['webhooks']>;
export type DeliveryRow = Selectable<Tables['webhook_deliveries']>;

/** The business's webhook, or not found. */
export async function webhookFor(db: Db | Tx, businessId: number, webhookId: string): Promise<WebhookRow> {
  const row = await webhooksOf(db, businessId).where('webhook_id', '=', webhookId).executeTakeFirst();
  if (!row) throw notFound('webhook');
  return row;
}

/** Locked until the transaction's end. */
export async function lockWebhookFor(tx: Tx, businessId: number, webhookId: string): Promise<WebhookRow> {
  const row = await webhooksOf(tx, businessId)
    .where('webhook_id', '=', webhookId)
    .forUpdate()
    .executeTakeFirst();
  if (!row) throw notFound('webhook');
  return row;
}

/** One that is removed is gone for its callers, while its deliveries are still being cleared away. */
const webhooksOf = (db: Db | Tx, businessId: number) =>
  db.selectFrom('webhooks').selectAll().where('business_id', '=', businessId).where('state', '<>', 'deleted');

/** A delivery of this webhook, or not found. */
export async function deliveryFor(
  db: Db | Tx,
  webhook: WebhookRow,
  deliveryId: string,
): Promise<DeliveryRow> {
  const row = await db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('business_id', '=', webhook.business_id)
    .where('delivery_id', '=', deliveryId)
    .where('webhook_id', '=', webhook.webhook_id)
    .executeTakeFirst();
  if (!row) throw notFound('delivery');
  return row;
}

export function mustBeEnabled(webhook: WebhookRow): void {
  if (webhook.state !== 'enabled')
    throw new Fault('conflict', 'The webhook is disabled. Enable it first: PATCH it with state enabled.');
}
