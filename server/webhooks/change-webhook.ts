import { sql } from 'kysely';
import { businessFor } from '../businesses/index.ts';
import type { Tx } from '../core/db/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import { newId } from '../core/ids.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { lockWebhookFor, type WebhookRow } from './access.ts';
import type { AllowedHosts } from './hosts.ts';
import { sealedAbout } from './post-delivery.ts';
import { readUrl } from './read-url.ts';
import { newSecret, readSecret } from './secret.ts';
import { visitNow } from './wake.ts';

/** Webhooks of a business. */
const mostWebhooks = 20;
/** How long the secret before a rotation signs too. */
const oldSecretMs = 24 * 3_600_000;

export interface ChangeParts {
  queue: JobQueue;
  secrets: Secrets;
  allowed: AllowedHosts;
}

interface Fields {
  url?: string;
  description?: string | null;
  types?: string[] | null;
  exclude_own?: boolean;
}

/** A type that is none is refused: nothing would ever come, and nobody would know why. */
function typesMustBe(types: readonly string[] | null | undefined, known: readonly string[]): void {
  for (const [i, type] of (types ?? []).entries()) {
    const kind = type.endsWith('.*') ? type.slice(0, -1) : null;
    if (known.includes(type) || (kind !== null && known.some((one) => one.startsWith(kind)))) continue;
    throw invalid(
      `types.${i}`,
      `is no type of event; there are ${known.join(', ')}, and message.* and the like`,
    );
  }
}

/** It begins with the next event. */
export async function createWebhook(
  tx: Tx,
  now: Date,
  { secrets, allowed }: ChangeParts,
  known: readonly string[],
  given: { businessId: number; keyId: string | null; secret?: string } & Fields & { url: string },
): Promise<{ webhook: WebhookRow; secret: string }> {
  const { businessId } = given;
  const business = await businessFor(tx, businessId);
  typesMustBe(given.types, known);
  const url = readUrl(given.url, allowed);
  const secret = given.secret === undefined ? newSecret() : readSecret(given.secret);
  // Two at once must not both be the twentieth.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`webhooks ${businessId}`}, 0))`.execute(tx);
  const { count } = await tx
    .selectFrom('webhooks')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('business_id', '=', businessId)
    .where('state', '<>', 'deleted')
    .executeTakeFirstOrThrow();
  if (Number(count) >= mostWebhooks)
    throw new Fault(
      'conflict',
      `A business has at most ${mostWebhooks} webhooks. Delete one that is not needed.`,
    );
  const webhookId = newId();
  const webhook = await tx
    .insertInto('webhooks')
    .values({
      business_id: businessId,
      webhook_id: webhookId,
      url,
      description: given.description ?? null,
      types: given.types ?? null,
      exclude_own: given.exclude_own ?? false,
      key_id: given.keyId,
      state: 'enabled',
      disabled_reason: null,
      disabled_at: null,
      sealed_secret: secrets.seal(secret, sealedAbout(businessId, webhookId)),
      sealed_old_secret: null,
      old_secret_until: null,
      sequence: business.event_sequence,
      failing_since: null,
      failed_at: null,
      queued_at: null,
      later_at: null,
      busy_with: null,
      busy_until: null,
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { webhook, secret };
}

export async function updateWebhook(
  tx: Tx,
  now: Date,
  { queue, allowed }: ChangeParts,
  known: readonly string[],
  given: {
    businessId: number;
    webhookId: string;
    keyId: string | null;
    state?: 'enabled' | 'disabled';
  } & Fields,
): Promise<WebhookRow> {
  const { businessId, webhookId, state } = given;
  const before = await lockWebhookFor(tx, businessId, webhookId);
  typesMustBe(given.types, known);
  const becomes = state !== undefined && state !== before.state ? state : null;
  // Another receiver has no past, and one that is enabled has another chance.
  const isNew = becomes === 'enabled' || given.url !== undefined;
  const webhook = await tx
    .updateTable('webhooks')
    .set({
      ...(given.url !== undefined && { url: readUrl(given.url, allowed) }),
      ...(given.description !== undefined && { description: given.description }),
      ...(given.types !== undefined && { types: given.types }),
      ...(given.exclude_own !== undefined && { exclude_own: given.exclude_own, key_id: given.keyId }),
      ...(isNew && { failing_since: null, failed_at: null, slow: false }),
      ...(becomes === 'enabled' && {
        state: 'enabled' as const,
        disabled_reason: null,
        disabled_at: null,
        sequence: (await businessFor(tx, businessId)).event_sequence,
      }),
      ...(becomes === 'disabled' && {
        state: 'disabled' as const,
        disabled_reason: 'by_request' as const,
        disabled_at: now,
      }),
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .where('webhook_id', '=', webhookId)
    .returningAll()
    .executeTakeFirstOrThrow();
  // What waits is given up by the visitor.
  if (becomes === 'disabled') await visitNow(tx, queue, now, webhook);
  return webhook;
}

/** For its callers it is gone; the visitor deletes its deliveries, of which there may be many, and then it. */
export async function deleteWebhook(
  tx: Tx,
  now: Date,
  { queue }: ChangeParts,
  businessId: number,
  webhookId: string,
): Promise<void> {
  const webhook = await lockWebhookFor(tx, businessId, webhookId);
  await tx
    .updateTable('webhooks')
    .set({ state: 'deleted', updated_at: now })
    .where('business_id', '=', businessId)
    .where('webhook_id', '=', webhookId)
    .execute();
  await visitNow(tx, queue, now, webhook);
}

export async function rotateSecret(
  tx: Tx,
  now: Date,
  { secrets }: ChangeParts,
  given: { businessId: number; webhookId: string; secret?: string; expireNow: boolean },
): Promise<{ secret: string; oldSecretUntil: Date | null }> {
  const { businessId, webhookId, expireNow } = given;
  const webhook = await lockWebhookFor(tx, businessId, webhookId);
  const secret = given.secret === undefined ? newSecret() : readSecret(given.secret);
  const oldSecretUntil = expireNow ? null : new Date(now.getTime() + oldSecretMs);
  await tx
    .updateTable('webhooks')
    .set({
      sealed_secret: secrets.seal(secret, sealedAbout(businessId, webhookId)),
      sealed_old_secret: expireNow ? null : webhook.sealed_secret,
      old_secret_until: oldSecretUntil,
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .where('webhook_id', '=', webhookId)
    .execute();
  return { secret, oldSecretUntil };
}
