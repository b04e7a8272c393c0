import type { Db, Tx } from '../core/db/index.ts';
import { inTransaction } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import { type DeliveryRow, type WebhookRow, webhookFor } from './access.ts';
import { payloadsOf } from './payload.ts';
import { postDelivery } from './post-delivery.ts';
import type { Postman } from './postman.ts';
import { type Attempted, writeAttempts } from './settle.ts';

/** Of one business: each waits for its receiver, up to 15 s. */
const testsAtOnce = 8;

/** Posts test events; it counts those of each business that are under way in this process. */
export function createTester(parts: { db: Db; secrets: Secrets; postman: Postman; now: () => Date }) {
  const { db } = parts;
  const running = new Map<number, number>();

  async function post(businessId: number, webhookId: string, by: Origin): Promise<Attempted> {
    const { webhook, delivery } = await inTransaction(db, async (tx) => {
      const webhook = await webhookFor(tx, businessId, webhookId);
      return { webhook, delivery: await writeTest(tx, parts.now(), webhook, by) };
    });
    const event = (await payloadsOf(db, businessId, [delivery.sequence])).get(delivery.sequence)!;
    const attempted = await postDelivery(parts, parts.now(), webhook, delivery, event);
    await inTransaction(db, (tx) =>
      writeAttempts(tx, parts.now(), [attempted], ({ posted }) => ({
        state: posted.error === null ? 'delivered' : 'failed',
        next_attempt_at: null,
      })),
    );
    return attempted;
  }

  return async (businessId: number, webhookId: string, by: Origin): Promise<Attempted> => {
    const before = running.get(businessId) ?? 0;
    if (before >= testsAtOnce)
      throw new Fault('rate_limited', 'Other tests of this business still wait for their answer.', {
        retryAfterS: 15,
      });
    running.set(businessId, before + 1);
    try {
      return await post(businessId, webhookId, by);
    } finally {
      const left = running.get(businessId)! - 1;
      if (left > 0) running.set(businessId, left);
      else running.delete(businessId);
    }
  };
}

/** The event and its delivery, which counts as failed until its answer is there: a crash leaves no test that waits. */
async function writeTest(tx: Tx, now: Date, webhook: WebhookRow, by: Origin): Promise<DeliveryRow> {
  const { business_id, webhook_id } = webhook;
  const [event] = await recordEvents(tx, now, [
    { businessId: business_id, type: 'webhook.test', by, data: { webhook_id } },
  ]);
  return tx
    .insertInto('webhook_deliveries')
    .values({
      business_id,
      webhook_id,
      ...event!,
      delivery_id: newId(),
      type: 'webhook.test',
      state: 'failed',
      next_attempt_at: null,
      status_code: null,
      error: null,
      created_at: now,
      settled_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
