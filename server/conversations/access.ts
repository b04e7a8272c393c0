import type { Db, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

/** The only way to a conversation for a caller: the row, or not found, wherever else it may exist. */
export async function conversationFor(
  db: Db | Tx,
  businessId: number,
  clientId: number,
  conversationId: string,
) {
  const row = await db
    .selectFrom('conversations')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', conversationId)
    .where('client_id', '=', clientId)
    .executeTakeFirst();
  if (!row) throw notFound('conversation');
  return row;
}
