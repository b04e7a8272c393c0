import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { DeliveryRow, WebhookRow } from './access.ts';
import type { Posted } from './postman.ts';
import { pauseAfter } from './schedule.ts';

/** So long without one success, and a webhook is disabled. */
export const givenUpAfterMs = 5 * 24 * 3_600_000;
/** Failures further apart than this are no row of failures: nothing was attempted in between. */
const longestSilenceMs = 24 * 3_600_000;

/** A post that takes longer holds up the next webhook: so long, or failed, and it is visited among its like. */
const slowMs = 2_000;

export interface Attempted {
  delivery: DeliveryRow;
  posted: Posted;
  at: Date;
}

export const isSlow = (attempted: readonly Attempted[]): boolean =>
  attempted.some(({ posted }) => posted.error !== null || posted.durationMs > slowMs);

/** What becomes of a delivery after an attempt. */
export interface Settled {
  state: DeliveryRow['state'];
  next_attempt_at: Date | null;
}

/** Where it goes by the schedule. */
export function bySchedule({ delivery, posted }: Attempted, now: Date): Settled {
  if (posted.error === null) return { state: 'delivered', next_attempt_at: null };
  if (posted.error === 'gone' || posted.error === 'event_expired')
    return { state: 'failed', next_attempt_at: null };
  const pauseMs = pauseAfter(delivery.tries + 1, posted.retryAfterMs, Math.random());
  if (pauseMs === null) return { state: 'failed', next_attempt_at: null };
  return { state: 'pending', next_attempt_at: new Date(now.getTime() + pauseMs) };
}

/** Writes down what came of attempts. One that another visit has written down meanwhile stays as it is. */
export async function writeAttempts(
  tx: Tx,
  now: Date,
  attempted: readonly Attempted[],
  settle: (one: Attempted) => Settled,
): Promise<void> {
  const rows = attempted.map((one) => {
    const { state, next_attempt_at } = settle(one);
    const { business_id, webhook_id, sequence, attempts, tries } = one.delivery;
    const { statusCode: status_code, error, durationMs: duration_ms } = one.posted;
    return {
      ...{ business_id, webhook_id, sequence, attempts, tries, state, next_attempt_at },
      ...{ status_code, error, duration_ms, attempted_at: one.at },
      settled_at: state === 'pending' ? null : now,
    };
  });
  await sql`
    with attempted as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as a(
        business_id bigint, webhook_id uuid, sequence bigint, attempts integer, tries integer, state text,
        next_attempt_at timestamptz, status_code integer, error text, duration_ms integer,
        attempted_at timestamptz, settled_at timestamptz)
    ), settled as (
      update webhook_deliveries d
      set state = a.state, attempts = a.attempts + 1, tries = a.tries + 1, next_attempt_at = a.next_attempt_at,
        status_code = a.status_code, error = a.error, settled_at = a.settled_at
      from attempted a
      where d.business_id = a.business_id and d.webhook_id = a.webhook_id and d.sequence = a.sequence
        and d.attempts = a.attempts
      returning d.business_id, d.webhook_id, d.sequence
    )
    insert into webhook_attempts
      (business_id, webhook_id, sequence, attempt_no, status_code, error, duration_ms, attempted_at)
    select business_id, webhook_id, sequence, a.attempts + 1, a.status_code, a.error, a.duration_ms, a.attempted_at
    from attempted a join settled using (business_id, webhook_id, sequence)`.execute(tx);
}

/**
 * Writes down how the webhook does, and disables one that asks for it or never answers. The row must be locked.
 *
 * @returns why it was disabled, or null
 */
export async function writeHealth(
  tx: Tx,
  now: Date,
  webhook: WebhookRow,
  all: readonly Attempted[],
): Promise<'gone' | 'failing' | null> {
  // Where nothing was posted, the receiver is not to blame.
  const attempted = all.filter(({ posted }) => posted.error !== 'event_expired');
  if (attempted.length === 0) return null;
  const failed = attempted.some(({ posted }) => posted.error !== null);
  const delivered = attempted.some(({ posted }) => posted.error === null);
  const isOneRow =
    webhook.failing_since !== null &&
    webhook.failed_at !== null &&
    now.getTime() - webhook.failed_at.getTime() <= longestSilenceMs;
  const failingSince = delivered ? null : isOneRow ? webhook.failing_since : now;
  const reason = attempted.some(({ posted }) => posted.error === 'gone')
    ? 'gone'
    : failingSince !== null && now.getTime() - failingSince.getTime() >= givenUpAfterMs
      ? 'failing'
      : null;
  const disables = reason !== null && webhook.state === 'enabled';
  const slow = isSlow(attempted);
  const isAsBefore = !failed && slow === webhook.slow && webhook.failed_at === null;
  if (isAsBefore) return null;
  await tx
    .updateTable('webhooks')
    .set({
      failing_since: failingSince,
      failed_at: failed ? now : null,
      slow,
      ...(disables && { state: 'disabled', disabled_reason: reason, disabled_at: now, updated_at: now }),
    })
    .where('business_id', '=', webhook.business_id)
    .where('webhook_id', '=', webhook.webhook_id)
    .execute();
  if (!disables) return null;
  await recordEvents(tx, now, [
    {
      businessId: webhook.business_id,
      type: 'webhook.disabled',
      by: { actor: { type: 'system', id: null }, origin: {} },
      changed: { state: { from: 'enabled', to: 'disabled' } },
      data: { webhook_id: webhook.webhook_id, url: webhook.url, reason },
    },
  ]);
  return reason;
}
