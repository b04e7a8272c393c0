import { type Selectable, sql } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

export type MessageRow = Selectable<Tables['messages']>;

const columnsOfEvents = [
  'message_id',
  'conversation_id',
  'business_id',
  'client_id',
  'channel',
  'direction',
  'status',
  'content',
  'reply_text',
  'subject',
  'media_urls',
  'attachments',
  'from_address',
  'to_address',
  'cc',
  'bcc',
  'reply_to',
  'sender_authentication',
  'threading_reason',
  'sent_by',
  'sender_type',
  'category',
  'location_id',
  'segments',
  'encoding',
  'provider',
  'provider_message_id',
  'provider_status',
  'error_code',
  'error_message',
  'reason',
  'attempts',
  'unread',
  'call',
  'auto_reply',
  'external_ref',
  'metadata',
  'request_id',
  'send_at',
  'cancel_on_reply',
  'occurred_at',
  'created_at',
  'sent_at',
  'delivered_at',
  'read_at',
  'failed_at',
  'opened_at',
  'clicked_at',
  'complained_at',
  'unsubscribed_at',
] as const satisfies readonly (keyof MessageRow)[];

/** What people are shown of a message: all but the mail's HTML as it came, of which there can be megabytes. */
const shownColumns = [...columnsOfEvents, 'display_html', 'display_version'] as const;

export type ShownMessage = Pick<MessageRow, (typeof shownColumns)[number]>;
/** Without HTML, which no event carries. */
export type MessageOfEvent = Pick<MessageRow, (typeof columnsOfEvents)[number]>;

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
export function messagesById(
  db: Db | Tx,
  businessId: number,
  messageIds: string[],
): Promise<Map<string, ShownMessage>> {
  return readById<ShownMessage>(db, businessId, messageIds, shownColumns);
}

/** As {@link messagesById}, for events. */
export function messagesOfEvents(
  db: Db | Tx,
  businessId: number,
  messageIds: string[],
): Promise<Map<string, MessageOfEvent>> {
  return readById<MessageOfEvent>(db, businessId, messageIds, columnsOfEvents);
}

async function readById<Row extends { message_id: string }>(
  db: Db | Tx,
  businessId: number,
  messageIds: string[],
  columns: readonly (keyof Row & string)[],
): Promise<Map<string, Row>> {
  if (messageIds.length === 0) return new Map();
  const { rows } = await sql<Row>`
    select ${sql.join(columns.map((column) => sql.ref(column)))} from messages
    where business_id = ${businessId} and message_id = any(${messageIds}::uuid[])`.execute(db);
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
): Promise<ShownMessage[]> {
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
  const { rows } = await sql<ShownMessage>`
    select ${sql.join(shownColumns.map((column) => sql.ref(column)))} from messages
    where ${sql.join(where, sql` and `)} order by ${by} limit ${limit + 1}`.execute(db);
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
