import { sql } from 'kysely';
import { mostReplayed } from '../../contract/index.ts';
import type { Tx } from '../core/db/index.ts';
import { eventRetentionDays } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import { newId } from '../core/ids.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { type DeliveryRow, deliveryFor, lockWebhookFor, mustBeEnabled, type WebhookRow } from './access.ts';
import { firstSequenceBehind, firstSequenceFrom } from './events-by-time.ts';
import { eventsFor } from './fan-out.ts';
import { visitNow } from './wake.ts';

/** Numbers that one call looks through for events that its types name. */
const mostLookedAt = 10_000;

interface Wanted {
  delivery_ids?: string[];
  since?: string;
  until?: string;
  from_sequence?: number;
  to_sequence?: number;
  state?: 'delivered' | 'failed';
  types?: string[];
}

/** @returns how many events are to be posted again, and where the next call goes on */
export async function replay(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  { businessId, webhookId }: { businessId: number; webhookId: string },
  wanted: Wanted,
): Promise<{ replayed: number; next_sequence: number | null }> {
  mustSayWhich(wanted);
  const webhook = await lockWebhookFor(tx, businessId, webhookId);
  const found = wanted.delivery_ids
    ? { sequences: await sequencesOf(tx, webhook, wanted.delivery_ids), next_sequence: null }
    : await find(tx, webhook, wanted);
  mustBeEnabled(webhook);
  const replayed = await postAgain(tx, now, webhook, found.sequences);
  if (replayed > 0) await visitNow(tx, queue, now, webhook);
  return { replayed, next_sequence: found.next_sequence };
}

export async function retryDelivery(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  given: { businessId: number; webhookId: string; deliveryId: string },
): Promise<DeliveryRow> {
  const webhook = await lockWebhookFor(tx, given.businessId, given.webhookId);
  const delivery = await deliveryFor(tx, webhook, given.deliveryId);
  mustBeEnabled(webhook);
  if ((await postAgain(tx, now, webhook, [delivery.sequence])) === 0)
    throw new Fault(
      'conflict',
      `The event is older than ${eventRetentionDays} days and no longer kept. Read what it was about anew.`,
    );
  await visitNow(tx, queue, now, webhook);
  return deliveryFor(tx, webhook, given.deliveryId);
}

function mustSayWhich({ delivery_ids, ...range }: Wanted): void {
  const given = Object.keys(range).filter((name) => range[name as keyof typeof range] !== undefined);
  const ownName = given.find((name) => name !== 'request_id');
  if (delivery_ids !== undefined && ownName !== undefined)
    throw invalid(ownName, 'does not go together with delivery_ids');
  const isBounded = delivery_ids ?? range.since ?? range.from_sequence ?? range.state;
  if (isBounded === undefined)
    throw invalid('since', 'say which: by delivery_ids, since, from_sequence or state', 'required');
}

async function sequencesOf(tx: Tx, webhook: WebhookRow, deliveryIds: string[]): Promise<number[]> {
  const ids = [...new Set(deliveryIds)];
  const rows = await tx
    .selectFrom('webhook_deliveries')
    .select('sequence')
    .where('business_id', '=', webhook.business_id)
    .where('webhook_id', '=', webhook.webhook_id)
    .where('delivery_id', 'in', ids)
    .orderBy('sequence')
    .execute();
  if (rows.length < ids.length) throw notFound('delivery');
  return rows.map(({ sequence }) => sequence);
}

async function find(
  tx: Tx,
  webhook: WebhookRow,
  { since, until, from_sequence = 1, to_sequence = Number.MAX_SAFE_INTEGER, state, types }: Wanted,
): Promise<{ sequences: number[]; next_sequence: number | null }> {
  const { business_id, webhook_id } = webhook;
  const from = Math.max(
    from_sequence,
    since === undefined ? 1 : await firstSequenceFrom(tx, business_id, new Date(since)),
  );
  const { event_sequence } = await tx
    .selectFrom('businesses')
    .select('event_sequence')
    .where('business_id', '=', business_id)
    .executeTakeFirstOrThrow();
  const last = Math.min(
    to_sequence,
    event_sequence,
    until === undefined ? event_sequence : await firstSequenceBehind(tx, business_id, new Date(until)),
  );
  // Of deliveries in a state the index has just those.
  const upTo = state === undefined ? Math.min(last, from + mostLookedAt - 1) : last;
  const inTime = sql`${since === undefined ? sql`true` : sql`e.created_at >= ${new Date(since)}`}
    and ${until === undefined ? sql`true` : sql`e.created_at < ${new Date(until)}`}`;
  const { rows } =
    state === undefined
      ? await sql<{ sequence: number }>`
          select e.sequence from events e
          where e.business_id = ${business_id} and e.sequence between ${from} and ${upTo} and ${inTime}
            and ${eventsFor(webhook, types ?? webhook.types)}
          order by e.sequence limit ${mostReplayed + 1}`.execute(tx)
      : await sql<{ sequence: number }>`
          select d.sequence from webhook_deliveries d join events e using (business_id, sequence)
          where d.business_id = ${business_id} and d.webhook_id = ${webhook_id} and d.state = ${state}
            and d.sequence between ${from} and ${upTo} and ${inTime}
            and ${types ? sql`(d.type = any(${types}::text[]) or split_part(d.type, '.', 1) || '.*' = any(${types}::text[]))` : sql`true`}
          order by d.sequence limit ${mostReplayed + 1}`.execute(tx);
  const sequences = rows.slice(0, mostReplayed).map(({ sequence }) => sequence);
  const next = rows[mostReplayed]?.sequence ?? (upTo < last ? upTo + 1 : null);
  return { sequences, next_sequence: next };
}

/**
 * To be posted at once, from the beginning of the schedule; those that never were for this webhook too.
 *
 * @returns how many: an event that is no longer kept cannot be posted
 */
async function postAgain(
  tx: Tx,
  now: Date,
  webhook: WebhookRow,
  sequences: readonly number[],
): Promise<number> {
  if (sequences.length === 0) return 0;
  const { business_id, webhook_id } = webhook;
  const again = sequences.map((sequence) => ({ sequence, delivery_id: newId() }));
  const { numAffectedRows } = await sql`
    insert into webhook_deliveries
      (business_id, webhook_id, sequence, delivery_id, event_id, type, state, next_attempt_at, created_at)
    select e.business_id, ${webhook_id}::uuid, e.sequence, a.delivery_id, e.event_id, e.type, 'pending', ${now}::timestamptz, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(again)}::jsonb) as a(sequence bigint, delivery_id uuid)
    join events e on e.business_id = ${business_id} and e.sequence = a.sequence
    on conflict (business_id, webhook_id, sequence) do update
    set state = 'pending', tries = 0, next_attempt_at = excluded.next_attempt_at, settled_at = null`.execute(
    tx,
  );
  return Number(numAffectedRows ?? 0);
}
