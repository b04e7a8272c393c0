import { businessFor } from '../businesses/index.ts';
import { eventTypes } from '../core/events/index.ts';
import { answer, type Binding, type Cursors, own, pageOf, read, write } from '../core/http/index.ts';
import { deliveryFor, webhookFor } from './access.ts';
import {
  type ChangeParts,
  createWebhook,
  deleteWebhook,
  rotateSecret,
  updateWebhook,
} from './change-webhook.ts';
import { payloadsOf } from './payload.ts';
import { presentAttempt, presentDelivery, presentWebhook } from './present.ts';
import { attemptsOf, listDeliveries, listWebhooks } from './queries.ts';
import { replay, retryDelivery } from './replay.ts';
import type { Webhooks } from './webhooks.ts';

/** Of one delivery: it may have been replayed for years. */
const mostAttempts = 100;

export function webhookRoutes({
  webhooks,
  cursors,
  ...parts
}: Omit<ChangeParts, 'allowed'> & { webhooks: Webhooks; cursors: Cursors }): Binding[] {
  const { queue } = parts;
  const changing: ChangeParts = { ...parts, allowed: webhooks.allowed };
  return [
    write('createWebhook', async (tx, { businessId, body, now, caller }) => {
      const { webhook, secret } = await createWebhook(tx, now, changing, eventTypes, {
        ...body,
        businessId,
        keyId: caller.keyId,
      });
      return answer(201, { ...presentWebhook(webhook, now), secret });
    }),

    read('listWebhooks', async (db, { businessId, query, now }) => {
      await businessFor(db, businessId);
      const { cursor, limit = 25 } = query;
      const about = ['listWebhooks', businessId];
      const place = cursor === undefined ? null : String(cursors.decode(about, cursor)[0]);
      const page = pageOf(
        await listWebhooks(db, businessId, limit + 1, place),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.webhook_id],
      );
      const { rows, ...more } = page;
      return answer(200, { data: rows.map((row) => presentWebhook(row, now)), ...more });
    }),

    read('getWebhook', async (db, { businessId, params, now }) =>
      answer(200, presentWebhook(await webhookFor(db, businessId, params.webhook_id), now)),
    ),

    write('updateWebhook', async (tx, { businessId, params, body, now, caller }) => {
      const webhook = await updateWebhook(tx, now, changing, eventTypes, {
        ...body,
        businessId,
        webhookId: params.webhook_id,
        keyId: caller.keyId,
      });
      return answer(200, presentWebhook(webhook, now));
    }),

    write('deleteWebhook', async (tx, { businessId, params, now }) => {
      await deleteWebhook(tx, now, changing, businessId, params.webhook_id);
      return answer(200, { webhook_id: params.webhook_id, deleted: true });
    }),

    write('rotateWebhookSecret', async (tx, { businessId, params, body, now }) => {
      const { secret, oldSecretUntil } = await rotateSecret(tx, now, changing, {
        businessId,
        webhookId: params.webhook_id,
        secret: body.secret,
        expireNow: body.expire_now ?? false,
      });
      return answer(200, {
        webhook_id: params.webhook_id,
        secret,
        old_secret_until: oldSecretUntil?.toISOString() ?? null,
      });
    }),

    own('testWebhook', async ({ businessId, params, origin }) => {
      // Not pinned to its request: its answer is of now, and one event more does no harm.
      const { delivery, posted } = await webhooks.test(businessId, params.webhook_id, origin);
      return answer(200, {
        delivered: posted.error === null,
        delivery_id: delivery.delivery_id,
        event_id: delivery.event_id,
        status_code: posted.statusCode,
        error: posted.error,
        duration_ms: posted.durationMs,
      });
    }),

    read('listWebhookDeliveries', async (db, { businessId, params, query }) => {
      const webhook = await webhookFor(db, businessId, params.webhook_id);
      const { cursor, limit = 25, ...filters } = query;
      const about = ['listWebhookDeliveries', businessId, webhook.webhook_id, filters];
      const place = cursor === undefined ? null : Number(cursors.decode(about, cursor)[0]);
      const { rows, ...more } = pageOf(
        await listDeliveries(db, webhook, filters, limit + 1, place),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.sequence],
      );
      return answer(200, { data: rows.map(presentDelivery), ...more });
    }),

    read('getWebhookDelivery', async (db, { businessId, params }) => {
      const webhook = await webhookFor(db, businessId, params.webhook_id);
      const delivery = await deliveryFor(db, webhook, params.delivery_id);
      const events = await payloadsOf(db, businessId, [delivery.sequence]);
      return answer(200, {
        ...presentDelivery(delivery),
        log: (await attemptsOf(db, delivery, mostAttempts)).map(presentAttempt),
        event: events.get(delivery.sequence) ?? null,
      });
    }),

    write('retryWebhookDelivery', async (tx, { businessId, params, now }) => {
      const delivery = await retryDelivery(tx, now, queue, {
        businessId,
        webhookId: params.webhook_id,
        deliveryId: params.delivery_id,
      });
      return answer(202, presentDelivery(delivery));
    }),

    write('replayWebhookDeliveries', async (tx, { businessId, params, body, now }) => {
      const { request_id: _, ...wanted } = body;
      return answer(202, await replay(tx, now, queue, { businessId, webhookId: params.webhook_id }, wanted));
    }),
  ];
}
