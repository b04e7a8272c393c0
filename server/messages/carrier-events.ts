import { sql } from 'kysely';
import { type Attachment, type Keyword, receiveMail, type SenderAuthentication } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type CallFacts, type Db, inTransaction, type MessageStatus, type Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { storable } from '../core/storable.ts';
import type { Written } from './draft.ts';
import { fetchLater } from './media.ts';
import { type CallStart, type NotedCall, noteCall } from './note-call.ts';
import { type Fact, noteFact } from './note-fact.ts';
import { applyReports } from './report.ts';
import { clientAnswered } from './thread-of-mail.ts';
import { writeTimeline } from './timeline.ts';
import { writeMessages } from './write-messages.ts';

/** What a carrier told us, in our words; `raw` is what it posted, as it was. */
export type CarrierEvent = {
  provider: string;
  businessId: number;
  /** What the carrier posted, where it is not kept as a receipt. */
  raw: Record<string, unknown>;
  /** The receipt that it was read from. */
  receiptId?: string;
  /** The carrier's own id of the event, unique for the business and carrier: told again, it is nothing new. */
  eventKey?: string;
} & (
  | {
      kind: 'status';
      /** Ours, where the callback's URL names it; else the message is found by the carrier's id. */
      messageId: string | null;
      /** Which attempt of ours, where the callback's URL names it. */
      attemptNo?: number;
      providerMessageId: string;
      status: MessageStatus;
      providerStatus: string;
      errorCode: string | null;
      errorMessage: string | null;
      occurredAt: string | null;
    }
  | {
      kind: 'inbound';
      providerMessageId: string;
      channel: string;
      from: string;
      to: string;
      /** `to` need not be one of the business's senders: a carrier's pool has numbers that we were not told. */
      anyOwnAddress?: boolean;
      content: string;
      subject: string | null;
      /** A mail's, as it came. */
      html?: string | null;
      /** What the carrier took it for, where it says so; else it is read from the words. */
      keyword?: Keyword;
      /** What else a mail brings. Its files' bytes go beside the event: they stay in the receipt. */
      mail?: InboundMail;
      /** A machine wrote it. */
      autoReply?: boolean;
      mediaUrls: string[];
      occurredAt: string | null;
      requestId: string | null;
    }
  | {
      kind: 'call';
      providerMessageId: string;
      start: CallStart | null;
      told: Partial<CallFacts>;
      providerStatus: string | null;
      occurredAt: string | null;
    }
  /** Something beside the status. */
  | {
      kind: 'fact';
      messageId: string | null;
      providerMessageId: string;
      fact: Fact;
      occurredAt: string | null;
      /** Who did it, where that is not the message's client. */
      address?: string;
      byMachine?: boolean;
    }
);

/** A mail that somebody sent us, beside its words. */
export interface InboundMail {
  /** What the sender calls themselves; null where they do not. */
  fromName: string | null;
  /** Its Message-ID without brackets. */
  mailId: string | null;
  cc: string[];
  replyTo: string | null;
  /** The Message-IDs that it answers, the nearest first. */
  references: string[];
  /** The conversation of the reply address that it was sent to. */
  conversationId: string | null;
  authentication: SenderAuthentication | null;
  files: number;
  /** Beyond what is kept of one mail. */
  filesLeftOut: number;
}

export type Applied =
  | { state: 'applied'; written: Written | null; call?: NotedCall }
  | { state: 'parked' }
  | { state: 'refused'; fault: Fault };

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

/** What is being applied right now must not be taken for left behind. */
const resumeAfterMs = 30_000;
const mostTries = 5;

async function applyEvent(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  secrets: Secrets,
  event: CarrierEvent,
  files: readonly Attachment[],
): Promise<Applied> {
  const by: Origin = { actor: { type: 'carrier', id: event.provider }, origin: { provider: event.provider } };
  if (event.kind === 'inbound') {
    const mail = event.channel === 'email' ? mailOf(event, files) : null;
    const answered = event.mail ? await clientAnswered(tx, secrets, event.businessId, event.mail) : null;
    const [written] = await writeMessages(
      tx,
      now,
      queue,
      [
        {
          businessId: event.businessId,
          act: 'receive',
          channel: event.channel,
          direction: 'inbound',
          ...(answered !== null && { clientId: answered, fromGuest: true }),
          clientAddress: event.from,
          clientName: event.mail?.fromName ?? undefined,
          // A reply address is nobody's sender: the answer comes to the one that is usual.
          ownAddress: event.to === '' ? undefined : event.to,
          anyOwnAddress: event.anyOwnAddress,
          keyword: event.keyword,
          content: mail?.content ?? event.content,
          subject: (mail ? mail.subject : event.subject) ?? undefined,
          mail: mail?.mail,
          autoReply: event.autoReply,
          mediaUrls: event.mediaUrls,
          metadata: event.mail?.filesLeftOut ? { files_left_out: event.mail.filesLeftOut } : {},
          provider: event.provider,
          providerMessageId: event.providerMessageId,
          occurredAt: event.occurredAt ? new Date(event.occurredAt) : now,
          requestId: event.requestId,
          by: { ...by, actor: { type: 'client', id: null } },
        },
      ],
      secrets,
    );
    if (written && !(written instanceof Fault) && !written.duplicate)
      await fetchLater(tx, queue, {
        businessId: event.businessId,
        messageId: written.messageId,
        provider: event.provider,
        mediaUrls: event.mediaUrls,
      });
    return written instanceof Fault
      ? { state: 'refused', fault: written }
      : { state: 'applied', written: written! };
  }

  if (event.kind === 'call') {
    const call = await noteCall(tx, now, queue, secrets, event);
    if (call instanceof Fault) return { state: 'refused', fault: call };
    return call ? { state: 'applied', written: null, call } : { state: 'parked' };
  }

  const about = await findMessage(tx, event);
  if (!about) return { state: 'parked' };
  if (event.kind === 'fact') {
    await noteFact(tx, now, { ...event, messageId: about.messageId, by });
    return { state: 'applied', written: null };
  }
  const settled = await settleByCallback(tx, now, event, about);
  await applyReports(tx, now, [
    {
      businessId: event.businessId,
      messageId: about.messageId,
      source: 'carrier',
      status: event.status,
      provider: event.provider,
      providerMessageId: event.providerMessageId,
      providerStatus: event.providerStatus,
      errorCode: event.errorCode,
      errorMessage: event.errorMessage,
      attemptNo: about.attemptNo ?? event.attemptNo,
      occurredAt: event.occurredAt ? new Date(event.occurredAt) : null,
      by,
    },
  ]);
  // Conversations are locked before messages, and the report has locked both by now.
  if (settled) await nameByCarrier(tx, event, about.messageId);
  return { state: 'applied', written: null };
}

function mailOf(event: CarrierEvent & { kind: 'inbound' }, files: readonly Attachment[]) {
  const read = receiveMail({ subject: event.subject, text: event.content, html: event.html ?? null });
  if (!event.mail) return read;
  const { cc, replyTo, mailId, authentication } = event.mail;
  const received = { ...read.mail.received!, mailId, authentication };
  return { ...read, mail: { ...read.mail, cc, replyTo, attachments: [...files], received } };
}

/** The message of a callback: named by our id, or known by the carrier's. Both within the business. */
async function findMessage(
  tx: Tx,
  event: CarrierEvent & { kind: 'status' | 'fact' },
): Promise<{ messageId: string; attemptNo: number | null } | null> {
  const { rows } = await sql<{ message_id: string; attempt_no: number | null }>`
    select m.message_id, (select a.attempt_no from attempts a where a.business_id = m.business_id and a.message_id = m.message_id
        and a.provider = ${event.provider} and a.provider_message_id = ${event.providerMessageId}) as attempt_no
    from messages m where m.business_id = ${event.businessId} and m.message_id = ${event.messageId}::uuid
    union all
    select message_id, attempt_no from attempts
    where provider = ${event.provider} and provider_message_id = ${event.providerMessageId} and business_id = ${event.businessId}
    union all
    select message_id, null from messages where business_id = ${event.businessId} and provider = ${event.provider}
      and provider_message_id = ${event.providerMessageId}
    limit 1`.execute(tx);
  return rows[0] ? { messageId: rows[0].message_id, attemptNo: rows[0].attempt_no } : null;
}

/**
 * A callback proves that the carrier has the message: an attempt whose outcome was open, or not
 * known, is accepted by that (a callback may well come before the answer to our call).
 */
async function settleByCallback(
  tx: Tx,
  now: Date,
  event: CarrierEvent & { kind: 'status' },
  about: { messageId: string; attemptNo: number | null },
): Promise<boolean> {
  if (about.attemptNo !== null) return false;
  const { rows } = await sql<{ attempt_no: number }>`
    update attempts a set state = 'accepted', provider_message_id = ${event.providerMessageId}, settled_at = ${now}
    where a.business_id = ${event.businessId} and a.message_id = ${about.messageId}::uuid and (a.provider = ${event.provider} or ${event.messageId}::uuid is not null)
      and a.provider_message_id is null
      ${
        event.attemptNo === undefined
          ? sql`and a.state in ('claimed', 'unknown') and a.attempt_no =
              (select attempts from messages m where m.business_id = a.business_id and m.message_id = a.message_id)`
          : // Where the carrier seemed not to have it, it had it after all.
            sql`and a.state in ('claimed', 'unknown', 'absent') and a.attempt_no = ${event.attemptNo}`
      }
    returning a.attempt_no`.execute(tx);
  if (rows.length === 0) return false;
  await writeTimeline(tx, [
    {
      businessId: event.businessId,
      messageId: about.messageId,
      kind: 'attempt.accepted',
      at: now,
      data: {
        attempt_no: rows[0]!.attempt_no,
        provider: event.provider,
        provider_message_id: event.providerMessageId,
        by: 'callback',
      },
    },
  ]);
  return true;
}

async function nameByCarrier(
  tx: Tx,
  event: CarrierEvent & { kind: 'status' },
  messageId: string,
): Promise<void> {
  await tx
    .updateTable('messages')
    .set({ provider_message_id: event.providerMessageId })
    .where('business_id', '=', event.businessId)
    .where('message_id', '=', messageId)
    .where('provider_message_id', 'is', null)
    .execute();
}
