import { sql } from 'kysely';
import type { Db, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { type LockedConversation, lockConversations } from './open.ts';

/**
 * Which conversation is meant by the ids of a path: one that was folded into another when its client
 * was merged is that other one, under the old client's id and the new one's.
 */
async function meantBy(
  db: Db | Tx,
  businessId: number,
  clientId: number,
  conversationId: string,
): Promise<string> {
  const { rows } = await sql<{ conversation_id: string }>`
    select c.conversation_id from conversations c
    where c.business_id = ${businessId}
      and c.conversation_id = coalesce(
        (select merged_into from conversation_redirects where business_id = ${businessId} and conversation_id = ${conversationId}::uuid),
        ${conversationId}::uuid)
      and c.client_id = coalesce(
        (select merged_into from clients where business_id = ${businessId} and client_id = ${clientId}),
        ${clientId}::bigint)`.execute(db);
  if (!rows[0]) throw notFound('conversation');
  return rows[0].conversation_id;
}

/** The same where no client is named: the conversation's id, or that of the one it was folded into. */
export async function conversationNow(
  db: Db | Tx,
  businessId: number,
  conversationId: string,
): Promise<string> {
  const { rows } = await sql<{ conversation_id: string }>`
    select conversation_id from conversations where business_id = ${businessId}
      and conversation_id = coalesce(
        (select merged_into from conversation_redirects where business_id = ${businessId} and conversation_id = ${conversationId}::uuid),
        ${conversationId}::uuid)`.execute(db);
  if (!rows[0]) throw notFound('conversation');
  return rows[0].conversation_id;
}

/**
 * The only way to a conversation for a caller: the row, or not found, wherever else it may exist. Go
 * on with the row's own ids: the path's may be from before a merge.
 */
export async function conversationFor(
  db: Db | Tx,
  businessId: number,
  clientId: number,
  conversationId: string,
) {
  const meant = await meantBy(db, businessId, clientId, conversationId);
  return await db
    .selectFrom('conversations')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', meant)
    .executeTakeFirstOrThrow();
}

/** The same for an act that will change it: locked until the transaction ends. */
export async function lockConversationFor(
  tx: Tx,
  businessId: number,
  clientId: number,
  conversationId: string,
): Promise<LockedConversation> {
  for (let tries = 0; tries < 2; tries++) {
    const meant = await meantBy(tx, businessId, clientId, conversationId);
    const row = (await lockConversations(tx, [{ businessId, conversationId: meant }])).get(meant);
    if (row) return row;
    // Folded between the look and the lock: the second look finds where it went.
  }
  throw notFound('conversation');
}
