import { sql } from 'kysely';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { furthestSendAtDays } from './decide.ts';
import { quietUntil } from './hours.ts';
import { lockConversationsOf } from './lock-conversations.ts';
import { sendMessageQueue } from './queues.ts';
import { applyReports } from './report.ts';
import { isRecorded } from './retry-messages.ts';
import { writeTimeline } from './timeline.ts';

/** A message that nobody has taken for sending yet, locked. */
export interface WaitingMessage {
  message_id: string;
  conversation_id: string;
  client_id: number;
  channel: string;
  category: 'transactional' | 'marketing' | null;
  location_id: number | null;
  status: MessageStatus;
  send_at: Date | null;
  external_ref: { type: string; id: string; starts_at?: string } | null;
  recorded: boolean;
  between_attempts: boolean;
}

/**
 * The carrier refused it, and it is to be tried again: for minutes or hours it waits as it did before its
 * first attempt, though it shows as `sending`. Of the table under the name `m`. Whoever waited for the
 * message's lock sees the attempts of before: a newer one is missing then, and never taken for a refused one.
 */
export const betweenAttempts = sql`(m.status = 'sending' and exists (select 1 from attempts a
  where a.business_id = m.business_id and a.message_id = m.message_id and a.attempt_no = m.attempts
    and a.state in ('refused', 'absent')))`;

/** Of the table under the name `m`. */
export const waitingColumns = sql`m.message_id, m.conversation_id, m.client_id, m.channel, m.category, m.location_id, m.status, m.send_at,
  m.external_ref, ${isRecorded('m')} as recorded, ${betweenAttempts} as between_attempts`;

async function lockMessage(tx: Tx, businessId: number, messageId: string): Promise<WaitingMessage> {
  const { rows } = await sql<WaitingMessage>`
    select ${waitingColumns} from messages m where m.business_id = ${businessId} and m.message_id = ${messageId}
    for update of m`.execute(tx);
  if (!rows[0]) throw notFound('message');
  if (rows[0].recorded)
    throw new Fault('conflict', 'Another system sends this message, Omega only recorded it.');
  return rows[0];
}

/** @throws 404, or 409 once it was handed over or is over */
export async function cancelMessage(
  tx: Tx,
  now: Date,
  businessId: number,
  messageId: string,
  by: Origin,
): Promise<void> {
  await lockConversationsOf(tx, [{ businessId, messageId, as: 'called_off' }]);
  const message = await lockMessage(tx, businessId, messageId);
  if (message.status !== 'scheduled' && message.status !== 'queued' && !message.between_attempts) {
    throw new Fault(
      'conflict',
      `Only a message that still waits to be sent can be canceled; this one is ${message.status}.`,
    );
  }
  await cancelAll(tx, now, businessId, [message], by);
}

export async function cancelAll(
  tx: Tx,
  now: Date,
  businessId: number,
  messages: WaitingMessage[],
  by: Origin,
  why?: { source: string; reason: string },
): Promise<void> {
  await applyReports(
    tx,
    now,
    messages.map(({ message_id, between_attempts }) => ({
      businessId,
      messageId: message_id,
      betweenAttempts: between_attempts,
      source: why?.source ?? 'api',
      reason: why?.reason,
      status: 'canceled',
      provider: null,
      providerMessageId: null,
      providerStatus: null,
      errorCode: null,
      errorMessage: null,
      occurredAt: null,
      by,
    })),
  );
}

/** @throws 404, 422 `send_at`, or 409 where it is not scheduled */
export async function rescheduleMessage(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  messageId: string,
  sendAt: Date,
  by: Origin,
): Promise<Moved> {
  if (isTooFar(sendAt, now))
    throw invalid('send_at', `is more than ${furthestSendAtDays} days ahead`, 'too_large');
  const message = await lockMessage(tx, businessId, messageId);
  if (message.status !== 'scheduled')
    throw new Fault('conflict', `Only a scheduled message can be moved; this one is ${message.status}.`);
  const [moved] = await moveAll(tx, now, queue, businessId, [{ message, sendAt }], by);
  return moved!;
}

export const isTooFar = (at: Date, now: Date) =>
  at.getTime() > now.getTime() + furthestSendAtDays * 86_400_000;

export interface Move {
  message: WaitingMessage;
  sendAt: Date;
}

export interface Moved {
  messageId: string;
  status: 'scheduled' | 'queued';
  /** Later than asked for, where that is in the client's quiet hours. */
  sendAt: Date;
}

/** Gives each its new time and a job for then; the job of the old time will find nothing due. */
export async function moveAll(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  asked: Move[],
  by: Origin,
): Promise<Moved[]> {
  if (asked.length === 0) return [];
  const quiet = await quietUntil(
    tx,
    asked.map(({ message, sendAt }) => ({
      businessId,
      clientId: message.client_id,
      locationId: message.location_id,
      channel: message.channel,
      category: message.category,
      at: sendAt > now ? sendAt : now,
    })),
  );
  const moves = asked.map(({ message, sendAt }, i) => ({ message, sendAt: quiet[i] ?? sendAt }));
  const rows = moves.map(({ message, sendAt }, i) => ({
    m: message.message_id,
    at: sendAt,
    status: sendAt > now ? ('scheduled' as const) : ('queued' as const),
    reason: quiet[i] ? 'window' : null,
  }));
  await sql`
    update messages set send_at = w.at, status = w.status, reason = w.reason
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(m uuid, at timestamptz, status text, reason text)
    where messages.business_id = ${businessId} and messages.message_id = w.m`.execute(tx);
  await writeTimeline(
    tx,
    moves.map(({ message, sendAt }) => ({
      businessId,
      messageId: message.message_id,
      kind: 'rescheduled',
      at: now,
      data: { ...by, from: message.send_at?.toISOString() ?? null, to: sendAt.toISOString() },
    })),
  );
  await queue.insert(
    tx,
    sendMessageQueue,
    moves.map(({ message, sendAt }) => ({
      data: { business_id: businessId, message_id: message.message_id },
      delayS: Math.max(0, Math.ceil((sendAt.getTime() - now.getTime()) / 1000)),
      priority: message.category === 'marketing' ? 0 : 10,
    })),
  );
  await recordEvents(
    tx,
    now,
    moves.map(({ message, sendAt }, i) => ({
      businessId,
      type: 'message.rescheduled' as const,
      by,
      changed: {
        send_at: { from: message.send_at?.toISOString() ?? null, to: sendAt.toISOString() },
        ...(rows[i]!.status !== message.status && {
          status: { from: message.status, to: rows[i]!.status },
        }),
      },
      data: {
        message_id: message.message_id,
        conversation_id: message.conversation_id,
        client_id: message.client_id,
        channel: message.channel,
        status: rows[i]!.status,
      },
    })),
  );
  return rows.map(({ m, status, at }) => ({ messageId: m, status, sendAt: at }));
}
