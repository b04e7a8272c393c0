import { sql } from 'kysely';
import { lockConversationFor } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';

export interface ReadChange {
  businessId: number;
  clientId: number;
  conversationId: string;
  read: boolean;
  messageIds?: string[];
  upToMessageId?: string;
  channel?: string;
  direction?: 'inbound' | 'outbound' | 'internal';
  before?: Date;
  by: Origin;
}

/** Marks the client's messages read by staff, or unread again, and keeps the conversation's counter true. */
export async function markMessagesRead(
  tx: Tx,
  now: Date,
  change: ReadChange,
): Promise<{ updated: number; unreadCount: number }> {
  const { businessId } = change;
  const conversation = await lockConversationFor(tx, businessId, change.clientId, change.conversationId);
  const { conversation_id: conversationId, client_id: clientId } = conversation;
  const narrowed =
    change.messageIds !== undefined ||
    change.upToMessageId !== undefined ||
    change.channel !== undefined ||
    change.direction !== undefined ||
    change.before !== undefined;
  if (!change.read && !narrowed) {
    throw new Fault(
      'invalid_parameters',
      'Name what becomes unread: message_ids, up_to_message_id, channel, direction or before.',
      {
        errors: [
          {
            path: 'message_ids',
            message: 'is required to mark unread (or up_to_message_id, channel, direction, before)',
            code: 'required',
          },
        ],
      },
    );
  }
  const where = [
    sql`business_id = ${businessId} and conversation_id = ${conversationId}`,
    // Only what a client wrote can be unread.
    sql`direction = 'inbound'`,
    change.read ? sql`unread` : sql`not unread`,
  ];
  if (change.messageIds)
    where.push(sql`message_id in (${sql.join(change.messageIds.map((id) => sql`${id}::uuid`))})`);
  if (change.upToMessageId !== undefined) {
    const at = await placeOf(tx, businessId, conversationId, change.upToMessageId);
    where.push(sql`(occurred_at, message_id) <= (${at}, ${change.upToMessageId}::uuid)`);
  }
  if (change.channel !== undefined) where.push(sql`channel = ${change.channel}`);
  if (change.direction !== undefined) where.push(sql`direction = ${change.direction}`);
  if (change.before) where.push(sql`occurred_at < ${change.before}`);
  const result =
    await sql`update messages set unread = ${!change.read} where ${sql.join(where, sql` and `)}`.execute(tx);
  const updated = Number(result.numAffectedRows ?? 0n);
  if (updated === 0) return { updated, unreadCount: conversation.unread_count };

  const from = conversation.unread_count;
  const unreadCount = from + (change.read ? -updated : updated);
  await tx
    .updateTable('conversations')
    .set({ unread_count: unreadCount, updated_at: now })
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', conversationId)
    .execute();
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'conversation.read',
      by: change.by,
      changed: { unread_count: { from, to: unreadCount } },
      data: { conversation_id: conversationId, client_id: clientId, read: change.read, updated },
    },
  ]);
  return { updated, unreadCount };
}

async function placeOf(tx: Tx, businessId: number, conversationId: string, messageId: string): Promise<Date> {
  const row = await tx
    .selectFrom('messages')
    .select('occurred_at')
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', conversationId)
    .where('message_id', '=', messageId)
    .executeTakeFirst();
  if (!row) throw notFound('message', 'Check up_to_message_id.');
  return row.occurred_at;
}
