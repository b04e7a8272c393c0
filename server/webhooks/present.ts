import type { Selectable } from 'kysely';
import type { Webhook, WebhookAttempt, WebhookDelivery } from '../../contract/index.ts';
import type { Tables } from '../core/db/index.ts';
import type { DeliveryRow, WebhookRow } from './access.ts';

export function presentWebhook(row: WebhookRow, now: Date): Webhook {
  return {
    webhook_id: row.webhook_id,
    business_id: row.business_id,
    url: row.url,
    description: row.description,
    types: row.types,
    exclude_own: row.exclude_own,
    state: row.state === 'enabled' ? 'enabled' : 'disabled',
    disabled_reason: row.disabled_reason,
    disabled_at: row.disabled_at?.toISOString() ?? null,
    failing_since: row.failing_since?.toISOString() ?? null,
    old_secret_until:
      row.old_secret_until && row.old_secret_until > now ? row.old_secret_until.toISOString() : null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

export function presentDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    delivery_id: row.delivery_id,
    webhook_id: row.webhook_id,
    event_id: row.event_id,
    sequence: row.sequence,
    type: row.type,
    state: row.state,
    attempts: row.attempts,
    status_code: row.status_code,
    error: row.error,
    next_attempt_at: row.state === 'pending' ? (row.next_attempt_at?.toISOString() ?? null) : null,
    created_at: row.created_at.toISOString(),
    settled_at: row.settled_at?.toISOString() ?? null,
  };
}

export function presentAttempt(row: Selectable<Tables['webhook_attempts']>): WebhookAttempt {
  return {
    attempt_no: row.attempt_no,
    status_code: row.status_code,
    error: row.error,
    duration_ms: row.duration_ms,
    attempted_at: row.attempted_at.toISOString(),
  };
}
