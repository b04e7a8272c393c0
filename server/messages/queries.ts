import { type Selectable, sql } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

export type MessageRow = Selectable<Tables['messages']>;

/** One message of the business. */
export async function messageFor(db: Db | Tx, businessId: number, messageId: string): Promise<MessageRow> {
  const row = await db
    .selectFrom('messages')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .executeTakeFirst();
  if (!row) throw notFound('message');
  return row;
}

/** Those of the messages that the business has, by their ids. */
export async function messagesById(
  db: Db | Tx,
  businessId: number,
  messageIds: string[],
): Promise<Map<string, MessageRow>> {
  if (messageIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('messages')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('message_id', 'in', messageIds)
    .execute();
  return new Map(rows.map((row) => [row.message_id, row]));
}

export interface MessageFilters {
  channel?: string;
  direction?: 'inbound' | 'outbound' | 'internal';
  status?: string;
  senderType?: string;
  sentBy?: number;
  unread?: boolean;
  since?: Date;
  until?: Date;
  text?: string;
}

/** A page of a conversation and one row more, by when it happened; keyset on (occurred_at, message_id). */
export async function listMessages(
  db: Db,
  businessId: number,
  conversationId: string,
  filters: MessageFilters,
  order: 'newest' | 'oldest',
  limit: number,
  after: { at: string; messageId: string } | null,
): Promise<MessageRow[]> {
  const where = [sql`business_id = ${businessId} and conversation_id = ${conversationId}`];
  if (filters.channel) where.push(sql`channel = ${filters.channel}`);
  if (filters.direction) where.push(sql`direction = ${filters.direction}`);
  if (filters.status) where.push(sql`status = ${filters.status}`);
  if (filters.senderType) where.push(sql`sender_type = ${filters.senderType}`);
  if (filters.sentBy !== undefined) where.push(sql`sent_by = ${filters.sentBy}`);
  if (filters.unread !== undefined) where.push(filters.unread ? sql`unread` : sql`not unread`);
  if (filters.since) where.push(sql`occurred_at >= ${filters.since}`);
  if (filters.until) where.push(sql`occurred_at < ${filters.until}`);
  if (filters.text !== undefined) {
    const pattern = `%${filters.text.replaceAll(/[\\%_]/g, '\\$&')}%`;
    where.push(sql`(content ilike ${pattern} or subject ilike ${pattern})`);
  }
  const newest = order === 'newest';
  if (after) {
    const place = sql`(${after.at}::timestamptz, ${after.messageId}::uuid)`;
    where.push(
      newest ? sql`(occurred_at, message_id) < ${place}` : sql`(occurred_at, message_id) > ${place}`,
    );
  }
  const by = newest ? sql`occurred_at desc, message_id desc` : sql`occurred_at, message_id`;
  const { rows } = await sql<MessageRow>`
    select * from messages where ${sql.join(where, sql` and `)} order by ${by} limit ${limit + 1}`.execute(
    db,
  );
  return rows;
}

/** A message's id by its own or its carrier's, within the business; null where it has none such. */
export async function findMessageId(
  tx: Tx,
  businessId: number,
  named: { messageId?: string; provider?: string; providerMessageId?: string; channel?: string },
): Promise<string | null> {
  let query = tx.selectFrom('messages').select('message_id').where('business_id', '=', businessId);
  if (named.channel !== undefined) query = query.where('channel', '=', named.channel);
  query =
    named.messageId !== undefined
      ? query.where('message_id', '=', named.messageId)
      : query
          .where('provider', '=', named.provider!)
          .where('provider_message_id', '=', named.providerMessageId!);
  return (await query.executeTakeFirst())?.message_id ?? null;
}
