import { sql } from 'kysely';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { invalid } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { furthestSendAtDays } from './decide.ts';
import { lockConversationsOf } from './lock-conversations.ts';
import { isRecorded } from './retry-messages.ts';
import {
  betweenAttempts,
  cancelAll,
  isTooFar,
  type Move,
  moveAll,
  type WaitingMessage,
  waitingColumns,
} from './waiting-messages.ts';

export interface ExternalRefChange {
  type: string;
  id: string;
  action: 'moved' | 'canceled';
  startsAt: Date | null;
  shift: boolean;
}

export interface ExternalRefOutcome {
  messageId: string;
  outcome: 'moved' | 'canceled' | 'kept';
  status: MessageStatus;
  sendAt: Date | null;
}

const mostAtOnce = 1_000;

/**
 * An appointment moved or was cancelled: so do the messages that wait for it. Each moves by as much
 * as its own `starts_at` differs from the new one, so a call that is repeated moves nothing twice.
 */
export async function updateExternalRef(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  change: ExternalRefChange,
  by: Origin,
): Promise<{ outcomes: ExternalRefOutcome[]; hasMore: boolean }> {
  const startsAt = change.startsAt?.toISOString() ?? null;
  const isOff = change.action === 'canceled' || change.startsAt! <= now;
  const waiting = sql`from messages m
    where m.business_id = ${businessId} and m.external_ref is not null
      and m.external_ref ->> 'type' = ${change.type} and m.external_ref ->> 'id' = ${change.id}
      and (m.status in ('scheduled', 'queued') ${isOff ? sql`or ${betweenAttempts}` : sql``}) and m.direction = 'outbound' and not ${isRecorded('m')}
      ${change.action === 'moved' ? sql`and m.external_ref ->> 'starts_at' is distinct from ${startsAt}::text` : sql``}
    order by m.message_id limit ${mostAtOnce + 1}`;
  if (isOff) {
    const found = await sql<{ message_id: string }>`select m.message_id ${waiting}`.execute(tx);
    await lockConversationsOf(
      tx,
      found.rows.map((row) => ({ businessId, messageId: row.message_id, as: 'called_off' })),
    );
  }
  const { rows } = await sql<WaitingMessage>`select ${waitingColumns} ${waiting} for update of m`.execute(tx);
  const hasMore = rows.length > mostAtOnce;
  const messages = rows.slice(0, mostAtOnce);
  const moves: Move[] = [];
  const cancels: WaitingMessage[] = [];
  const outcomes = messages.map((message): ExternalRefOutcome => {
    const about = { messageId: message.message_id, status: message.status, sendAt: message.send_at };
    if (isOff) {
      cancels.push(message);
      return { ...about, outcome: 'canceled', status: 'canceled' };
    }
    const sendAt = change.shift ? shifted(message, change.startsAt!) : null;
    if (!sendAt) return { ...about, outcome: 'kept' };
    if (isTooFar(sendAt, now)) {
      const days = `${furthestSendAtDays} days ahead`;
      throw invalid('starts_at', `moves message ${message.message_id} to more than ${days}`, 'too_large');
    }
    moves.push({ message, sendAt });
    return { ...about, outcome: 'moved' };
  });

  if (startsAt !== null) await noteStart(tx, businessId, messages, startsAt);
  if (cancels.length > 0) await cancelAll(tx, now, businessId, cancels, by);
  const moved = new Map(
    (await moveAll(tx, now, queue, businessId, moves, by)).map((one) => [one.messageId, one]),
  );
  return { outcomes: outcomes.map((one) => ({ ...one, ...moved.get(one.messageId) })), hasMore };
}

/** Where the appointment was and is; null where there is nothing to reckon from, or no difference. */
function shifted(message: WaitingMessage, startsAt: Date): Date | null {
  const before = Date.parse(message.external_ref?.starts_at ?? '');
  if (!message.send_at || Number.isNaN(before) || before === startsAt.getTime()) return null;
  return new Date(message.send_at.getTime() + startsAt.getTime() - before);
}

async function noteStart(
  tx: Tx,
  businessId: number,
  messages: WaitingMessage[],
  startsAt: string,
): Promise<void> {
  if (messages.length === 0) return;
  const ids = messages.map((message) => message.message_id);
  await sql`
    update messages set external_ref = jsonb_set(external_ref, '{starts_at}', to_jsonb(${startsAt}::text))
    where business_id = ${businessId} and message_id = any(${ids}::uuid[])`.execute(tx);
}
