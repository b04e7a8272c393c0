import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import type { Origin } from '../core/http/index.ts';
import { cancelAll, type WaitingMessage, waitingColumns } from './waiting-messages.ts';

/** A message from a client, just written. */
export interface Reply {
  businessId: number;
  conversationId: string;
  occurredAt: Date;
  by: Origin;
}

/** What a reply calls off. */
export interface CalledOff {
  reply: Reply;
  messages: WaitingMessage[];
}

/**
 * Locks what was to be sent only if the client stays silent. Its conversations are locked already; the events of the
 * same transaction come after it, {@link callOff} after those.
 */
export async function lockCalledOff(tx: Tx, replies: Reply[]): Promise<CalledOff[]> {
  if (replies.length === 0) return [];
  // A reply from before the message was written answers something else.
  const asked = replies.map((reply, i) => ({
    i,
    b: reply.businessId,
    c: reply.conversationId,
    at: reply.occurredAt,
  }));
  const { rows } = await sql<WaitingMessage & { i: number }>`
    select r.i, ${waitingColumns}
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as r(i int, b bigint, c uuid, at timestamptz)
    join messages m on m.business_id = r.b and m.conversation_id = r.c
    where m.cancel_on_reply and m.status = 'scheduled' and m.created_at <= r.at
    order by m.business_id, m.message_id for update of m`.execute(tx);
  // Several replies of one moment call a message off once.
  const once = new Map(rows.map((row) => [row.message_id, row]));
  const calledOff = Map.groupBy(once.values(), (row) => replies[row.i]!);
  return [...calledOff].map(([reply, messages]) => ({ reply, messages }));
}

export async function callOff(tx: Tx, now: Date, all: CalledOff[]): Promise<void> {
  for (const { reply, messages } of all) {
    await cancelAll(tx, now, reply.businessId, messages, reply.by, {
      source: 'reply',
      reason: 'client_replied',
    });
  }
}
