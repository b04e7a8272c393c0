import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import type { WebhookRow } from './access.ts';

/** Events looked at in one transaction. */
const eventsAtOnce = 500;

/**
 * Which events `e` a webhook gets. A test event goes to the webhook that it tests, by `test-webhook.ts` alone.
 *
 * @param types in place of the webhook's own
 */
export function eventsFor(webhook: WebhookRow, types: readonly string[] | null = webhook.types) {
  const ofTypes = types
    ? sql`(e.type = any(${types}::text[]) or split_part(e.type, '.', 1) || '.*' = any(${types}::text[]))`
    : sql`true`;
  const notOwn =
    webhook.exclude_own && webhook.key_id !== null
      ? sql`not (e.origin ->> 'key_id' = ${webhook.key_id} and e.origin ->> 'session_id' is null) is true`
      : sql`true`;
  return sql<boolean>`e.type <> 'webhook.test' and ${ofTypes} and ${notOwn}`;
}

/**
 * Writes the deliveries of the events that came since the webhook's last. Its row is locked, so each event is written
 * once, whoever works on it; and numbers have no gaps, so none is passed over that is still to be committed.
 */
export async function fanOut(tx: Tx, now: Date, webhook: WebhookRow): Promise<void> {
  const { business_id, webhook_id, sequence } = webhook;
  const { event_sequence } = await tx
    .selectFrom('businesses')
    .select('event_sequence')
    .where('business_id', '=', business_id)
    .executeTakeFirstOrThrow();
  if (event_sequence <= sequence) return;
  const upTo = Math.min(sequence + eventsAtOnce, event_sequence);
  const { rows } = await sql<{ sequence: number; event_id: string; type: string }>`
    select e.sequence, e.event_id, e.type from events e
    where e.business_id = ${business_id} and e.sequence > ${sequence} and e.sequence <= ${upTo}
      and ${eventsFor(webhook)} order by e.sequence`.execute(tx);
  if (rows.length > 0) {
    await tx
      .insertInto('webhook_deliveries')
      .values(
        rows.map((event) => ({
          business_id,
          webhook_id,
          sequence: event.sequence,
          delivery_id: newId(),
          event_id: event.event_id,
          type: event.type,
          state: 'pending' as const,
          next_attempt_at: now,
          status_code: null,
          error: null,
          created_at: now,
          settled_at: null,
        })),
      )
      // A replay may have been ahead of this.
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  await tx
    .updateTable('webhooks')
    .set({ sequence: upTo })
    .where('business_id', '=', business_id)
    .where('webhook_id', '=', webhook_id)
    .execute();
}
