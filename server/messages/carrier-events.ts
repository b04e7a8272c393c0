import { sql } from 'kysely';
import type { Attachment } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { storable } from '../core/storable.ts';
import { applyEvent } from './apply-carrier-event.ts';
import type { Applied, CarrierEvent } from './carrier-event.ts';

/** What is being applied right now must not be taken for left behind. */
const resumeAfterMs = 30_000;
const mostTries = 5;

/** Where every carrier's callbacks come in, once their sender is believed. */
export interface CarrierEvents {
  /**
   * Keeps the event as it came, then applies it. What is kept is never lost: see {@link resume}.
   *
   * @param files of an inbound mail; the receipt that it names has them, and goes on with it after a crash
   */
  receive(event: CarrierEvent, files?: readonly Attachment[]): Promise<Applied>;
  /** Applies what was kept but, for a crash, not applied; and what was parked, if its message is there now. */
  resume(): Promise<number>;
}

export function createCarrierEvents(options: {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  log: Log;
  secrets: Secrets;
}): CarrierEvents {
  const { db, queue, clock, log, secrets } = options;
  const now = () => new Date(clock.now());

  async function apply(
    carrierEventId: string,
    event: CarrierEvent,
    files: readonly Attachment[] = [],
  ): Promise<Applied> {
    const applied = await inTransaction(db, async (tx) => {
      const row = await tx
        .selectFrom('carrier_events')
        .select('state')
        .where('carrier_event_id', '=', carrierEventId)
        .forUpdate()
        .executeTakeFirst();
      if (row?.state === 'applied') return { state: 'applied' as const, written: null };
      const result = await applyEvent(tx, now(), queue, secrets, event, files);
      await tx
        .updateTable('carrier_events')
        .set({
          state: result.state,
          note:
            result.state === 'refused'
              ? result.fault.message
              : result.state === 'parked'
                ? 'no message has this id yet'
                : null,
          settled_at: now(),
        })
        .where('carrier_event_id', '=', carrierEventId)
        .execute();
      return result;
    });
    if (applied.state === 'refused')
      log.warn(
        { carrier_event_id: carrierEventId, provider: event.provider },
        `carrier event refused: ${applied.fault.message}`,
      );
    return applied;
  }

  /** One event that cannot be applied holds up no other; after a few tries it is for people to see. */
  async function applyOrCount(carrierEventId: string, event: CarrierEvent): Promise<void> {
    try {
      await apply(carrierEventId, event);
    } catch (error) {
      log.error(
        { err: error, carrier_event_id: carrierEventId },
        'a kept carrier event could not be applied',
      );
      const note = error instanceof Error ? error.message : String(error);
      await sql`
        update carrier_events set tries = tries + 1, note = ${note},
          state = case when tries + 1 >= ${mostTries} then 'refused' else state end
        where carrier_event_id = ${carrierEventId}`.execute(db);
    }
  }

  return {
    async receive(told, files) {
      // A carrier that is answered 500 for a NUL sends it for ever, and then never again.
      const event = storable(told);
      const carrierEventId = await keep(db, now(), event);
      return apply(carrierEventId, event, files);
    },

    async resume() {
      const before = new Date(now().getTime() - resumeAfterMs);
      const { rows } = await sql<{ carrier_event_id: string; payload: CarrierEvent }>`
        with left_behind as (
          select carrier_event_id, payload, tries, received_at from carrier_events
          where state = 'kept' and received_at < ${before} and coalesce((payload -> 'mail' ->> 'files')::int, 0) = 0
          union all
          -- Looked up one by one: as an \`exists\` it would read every attempt there is into a hash.
          select e.carrier_event_id, e.payload, e.tries, e.received_at from carrier_events e
          cross join lateral (
            select 1 from attempts a where a.provider = e.provider
              and a.provider_message_id = e.provider_message_id and a.business_id = e.business_id
            union all
            select 1 from messages m where m.business_id = e.business_id and m.provider = e.provider
              and m.provider_message_id = e.provider_message_id
            limit 1
          ) its_message
          where e.state = 'parked'
        )
        select carrier_event_id, payload from left_behind order by tries, received_at limit 200`.execute(db);
      for (const row of rows) await applyOrCount(row.carrier_event_id, row.payload);
      return rows.length;
    },
  };
}

/**
 * Writes an event down. One that is told again is that of the first time; the receipt that it came with this time
 * is written down too, so that erasing a client erases every copy of what was told.
 *
 * @returns the event to apply
 */
async function keep(db: Db, now: Date, event: CarrierEvent): Promise<string> {
  const row = {
    carrier_event_id: newId(),
    provider: event.provider,
    kind: event.kind,
    business_id: event.businessId,
    provider_message_id: event.providerMessageId,
    message_id: 'messageId' in event ? event.messageId : null,
    receipt_id: event.receiptId ?? null,
    received_at: now,
  };
  const fresh = await db
    .insertInto('carrier_events')
    .values({
      ...row,
      payload: JSON.stringify(event),
      event_key: event.eventKey ?? null,
      state: 'kept',
    })
    .onConflict((conflict) =>
      conflict
        .columns(['business_id', 'provider', 'event_key'])
        .where('event_key', 'is not', null)
        .doNothing(),
    )
    .returning('carrier_event_id')
    .executeTakeFirst();
  if (fresh) return fresh.carrier_event_id;
  if (event.receiptId !== undefined) {
    await db
      .insertInto('carrier_events')
      .values({ ...row, payload: '{}', state: 'applied', note: 'told again', settled_at: now })
      .execute();
  }
  const first = await db
    .selectFrom('carrier_events')
    .select('carrier_event_id')
    .where('business_id', '=', event.businessId)
    .where('provider', '=', event.provider)
    .where('event_key', '=', event.eventKey!)
    .executeTakeFirstOrThrow();
  return first.carrier_event_id;
}
