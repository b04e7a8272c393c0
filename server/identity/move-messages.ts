import { type RawBuilder, sql } from 'kysely';
import type { LockedConversation } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';

/** Rows of one statement: a thread of any length is moved in statements that each end well within their time-out. */
const chunk = 5_000;

/**
 * Changes messages of a conversation, a bounded number a statement, locking them in the order that
 * everyone locks messages in. `which` must be false of a message that was changed.
 *
 * @param also what is to be done beside, of the messages of each statement
 * @returns how many
 */
export async function changeMessages(
  tx: Tx,
  businessId: number,
  conversationId: string,
  which: RawBuilder<unknown>,
  set: RawBuilder<unknown>,
  also?: (messageIds: string[]) => Promise<void>,
): Promise<number> {
  let changed = 0;
  for await (const rows of changedRows(tx, businessId, conversationId, which, set)) {
    changed += rows.length;
    if (also) await also(rows.map((row) => row.message_id));
  }
  return changed;
}

/** What came of moving messages, as far as the conversation that has them now must know. */
export interface Moved {
  messages: number;
  /** One of them is of the client's own hand (no automatic reply) and not read yet. */
  asks: boolean;
  /** Of those that nobody has answered, when the first came. */
  waits: Date | null;
}

export const nothingMoved: Moved = { messages: 0, asks: false, waits: null };

/**
 * Moves messages between two locked conversations, whose counts are to be brought up to date by `recount`. Files,
 * words of search and timeline belong to the message and go along.
 *
 * @param set what else is said of each
 */
export async function moveBetween(
  tx: Tx,
  source: LockedConversation,
  target: LockedConversation,
  which: RawBuilder<unknown>,
  set?: RawBuilder<unknown>,
): Promise<Moved> {
  const place = sql`conversation_id = ${target.conversation_id}, client_id = ${target.client_id}`;
  const changes = set ? sql`${place}, ${set}` : place;
  const { business_id: businessId, conversation_id: conversationId, waiting_since: since } = source;
  let messages = 0;
  let asks = false;
  let answeredAt = 0;
  // Who waited in the one thread waits in the other, from their own first message that no answer moves along with.
  const waiting: number[] = [];
  for await (const rows of changedRows(tx, businessId, conversationId, which, changes)) {
    messages += rows.length;
    for (const row of rows) {
      const at = row.occurred_at.getTime();
      if (row.answers) answeredAt = Math.max(answeredAt, at);
      if (row.direction !== 'inbound' || row.auto_reply) continue;
      asks ||= row.unread;
      if (since && at >= since.getTime()) waiting.push(at);
    }
  }
  const first = waiting.filter((at) => at > answeredAt).reduce((a, b) => Math.min(a, b), Infinity);
  return { messages, asks, waits: first === Infinity ? null : new Date(first) };
}

/** An answer of the staff that went out and was not lost, as `waitAnew` has it. */
export const isAnswer = sql`(direction = 'outbound' and sender_type = 'staff'
  and status not in ('failed', 'undelivered', 'canceled', 'suppressed'))`;

/** Staff, or an unmerge, put it here: whose it is is no question any more, and its reply address leads elsewhere. */
export const asMoved = sql`ambiguous = false, threading_reason = 'moved'`;

interface ChangedRow {
  message_id: string;
  direction: string;
  occurred_at: Date;
  unread: boolean;
  auto_reply: boolean;
  answers: boolean;
}

async function* changedRows(
  tx: Tx,
  businessId: number,
  conversationId: string,
  which: RawBuilder<unknown>,
  set: RawBuilder<unknown>,
): AsyncGenerator<ChangedRow[]> {
  for (;;) {
    const { rows } = await sql<ChangedRow>`
      with these as (
        select message_id from messages
        where business_id = ${businessId} and conversation_id = ${conversationId} and ${which}
        order by message_id limit ${chunk} for update
      )
      update messages set ${set} from these
      where messages.business_id = ${businessId} and messages.message_id = these.message_id
      returning messages.message_id, messages.direction, messages.occurred_at, messages.unread, messages.auto_reply, ${isAnswer} as answers`.execute(
      tx,
    );
    if (rows.length > 0) yield rows;
    if (rows.length < chunk) return;
  }
}

export function earlier(a: Date | null, b: Date | null): Date | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}
