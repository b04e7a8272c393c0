import { sql } from 'kysely';
import type { SharedAddress } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';

/** A message of which it is not sure whose it is: its address is shared, and it names nobody. */
export interface AmbiguousMessage extends SharedAddress {
  businessId: number;
  conversationId: string;
  messageId: string;
  at: Date;
}

/**
 * Marks messages and their (locked) conversations as waiting for staff to say whose they are. Where
 * staff have said it of a thread, its later messages are taken for that person's until the thread is
 * closed; a closed one that opens again starts anew. Comes before the conversations are saved: it
 * looks at the status that they had.
 */
export async function markAmbiguous(tx: Tx, messages: AmbiguousMessage[]): Promise<void> {
  if (messages.length === 0) return;
  const rows = messages.map((one) => ({
    b: one.businessId,
    c: one.conversationId,
    m: one.messageId,
    k: one.kind,
    a: one.address,
    r: one.reason,
    at: one.at,
  }));
  const { rows: marked } = await sql<{ business_id: number; conversation_id: string }>`
    update conversations set shared_kind = w.k, shared_address = w.a, identity_reason = w.r,
      ambiguous_since = least(ambiguous_since, w.at), identity_confirmed_at = null
    from (
      select b, c, k, min(a) as a, min(r) as r, min(at) as at
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, c uuid, k text, a text, r text, at timestamptz)
      group by b, c, k
    ) w
    where conversations.business_id = w.b and conversations.conversation_id = w.c
      and (identity_confirmed_at is null or status = 'closed')
    returning business_id, conversation_id`.execute(tx);
  const open = new Set(marked.map((row) => row.conversation_id));
  const waiting = rows.filter((row) => open.has(row.c));
  if (waiting.length === 0) return;
  await sql`
    update messages set ambiguous = true
    from jsonb_to_recordset(${JSON.stringify(waiting)}::jsonb) as w(b bigint, m uuid)
    where messages.business_id = w.b and messages.message_id = w.m`.execute(tx);
}
