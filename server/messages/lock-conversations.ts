import { sql } from 'kysely';
import { type LockedConversation, lockConversations } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';

/** A message whose conversation may change with it. */
export interface Affected {
  businessId: number;
  messageId: string;
  /** What becomes of it: a failure reopens whoever wrote it, all else matters for an answer of the staff alone. */
  as: 'failed' | 'called_off' | 'retried' | 'arrived';
}

/** Locks the conversations that change with these messages: before the messages, as everywhere. */
export async function lockConversationsOf(
  tx: Tx,
  affected: Affected[],
): Promise<Map<string, LockedConversation>> {
  if (affected.length === 0) return new Map();
  const asked = affected.map((one) => ({ b: one.businessId, m: one.messageId, as: one.as }));
  const { rows } = await sql<{ business_id: number; conversation_id: string }>`
    select distinct m.business_id, m.conversation_id
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, m uuid, "as" text)
    join messages m on m.business_id = w.b and m.message_id = w.m
    where w.as = 'failed' or (m.sender_type = 'staff' and m.direction = 'outbound'
      -- Most of what arrives was never taken for lost, and its conversation is left alone.
      and (w.as <> 'arrived' or m.status in ('failed', 'undelivered')))`.execute(tx);
  return lockConversations(
    tx,
    rows.map((row) => ({ businessId: row.business_id, conversationId: row.conversation_id })),
  );
}
