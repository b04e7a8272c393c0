import { type RawBuilder, sql } from 'kysely';
import type { Conversation } from '../../contract/index.ts';
import type { FoundClients } from '../clients/index.ts';
import type { CallFacts, Db, MessageStatus, Tx } from '../core/db/index.ts';

/** Filters of the list, already understood: `me` is a staff id, the client's words are those who were found. */
export interface ConversationFilters {
  status?: 'open' | 'pending' | 'snoozed' | 'closed';
  assignee?: number | 'unassigned';
  channel?: string;
  locationId?: number;
  unread?: boolean;
  waiting?: boolean;
  clients?: FoundClients;
  since?: Date;
}

export type Sort = 'newest' | 'longest_waiting';

export interface ConversationRow {
  business_id: number;
  conversation_id: string;
  client_id: number;
  status: 'open' | 'pending' | 'snoozed' | 'closed';
  snoozed_until: Date | null;
  assignee_staff_id: number | null;
  assignee_name: string | null;
  location_id: number | null;
  last_activity_at: Date;
  unread_count: number;
  waiting_since: Date | null;
  channels: string[];
  created_at: Date;
  updated_at: Date;
  client_name: string | null;
  client_provisional: boolean;
  client_phone: string | null;
  client_email: string | null;
  ambiguous_since: Date | null;
  candidates: Conversation['candidates'] | null;
  last_message_id: string | null;
  last_preview: string | null;
  last_channel: string | null;
  last_direction: 'inbound' | 'outbound' | 'internal' | null;
  last_status: MessageStatus | null;
  last_at: Date | null;
  last_call: CallFacts | null;
}

/** The page is cut first (`page` holds conversations alone); clients, staff and messages join its rows only. */
function presentable(page: RawBuilder<unknown>, order: RawBuilder<unknown>) {
  return sql<ConversationRow>`
    with c as (${page})
    select c.business_id, c.conversation_id, c.client_id, c.status, c.snoozed_until, c.assignee_staff_id,
      s.name as assignee_name, c.location_id, c.last_activity_at, c.unread_count, c.waiting_since, c.channels,
      c.created_at, c.updated_at, cl.name as client_name, cl.provisional as client_provisional,
      (select a.address from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id
        and a.kind = 'phone' and a.is_primary) as client_phone,
      (select a.address from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id
        and a.kind = 'email' and a.is_primary) as client_email,
      c.ambiguous_since, case when c.ambiguous_since is not null then (
        select jsonb_agg(jsonb_build_object('client_id', w.client_id, 'name', w.name, 'reason', w.reason)) from (
          select p.client_id, p.name,
            case when p.client_id = c.client_id then c.identity_reason else 'shares_address' end as reason
          from client_addresses a join clients p on p.business_id = a.business_id and p.client_id = a.client_id
          where a.business_id = c.business_id and a.kind = c.shared_kind and a.address = c.shared_address and not p.provisional
          order by p.client_id <> c.client_id, p.last_seen_at desc nulls last, p.client_id limit 20
        ) w) end as candidates,
      m.message_id as last_message_id, left(coalesce(m.reply_text, m.content), 140) as last_preview, m.channel as last_channel,
      m.direction as last_direction, m.status as last_status, m.occurred_at as last_at, m.call as last_call
    from c
    join clients cl on cl.business_id = c.business_id and cl.client_id = c.client_id
    left join messages m on m.business_id = c.business_id and m.message_id = c.last_message_id
    left join staffs s on s.business_id = c.business_id and s.staff_id = c.assignee_staff_id
    ${order}`;
}

export async function conversationRow(
  db: Db | Tx,
  businessId: number,
  conversationId: string,
): Promise<ConversationRow> {
  const page = sql`select * from conversations where business_id = ${businessId} and conversation_id = ${conversationId}`;
  const { rows } = await presentable(page, sql``).execute(db);
  return rows[0]!;
}

/** A client's conversations, oldest first. */
export async function conversationsOfClient(
  db: Db | Tx,
  businessId: number,
  clientId: number,
  limit: number,
): Promise<ConversationRow[]> {
  const page = sql`select * from conversations where business_id = ${businessId} and client_id = ${clientId}
    order by created_at, conversation_id limit ${limit}`;
  const { rows } = await presentable(page, sql`order by c.created_at, c.conversation_id`).execute(db);
  return rows;
}

/**
 * A page of the list and one row more. Keyset on (last_activity_at, conversation_id) or
 * (waiting_since, conversation_id): its cost is the page's, not the table's.
 */
export async function listConversations(
  db: Db,
  businessId: number,
  filters: ConversationFilters,
  sort: Sort,
  limit: number,
  after: { at: string; conversationId: string } | null,
): Promise<ConversationRow[]> {
  const where = [sql`business_id = ${businessId}`];
  if (filters.status) where.push(sql`status = ${filters.status}`);
  if (filters.assignee === 'unassigned') where.push(sql`assignee_staff_id is null`);
  else if (filters.assignee !== undefined) where.push(sql`assignee_staff_id = ${filters.assignee}`);
  if (filters.channel) where.push(sql`${filters.channel} = any(channels)`);
  if (filters.locationId !== undefined) where.push(sql`location_id = ${filters.locationId}`);
  if (filters.unread !== undefined)
    where.push(filters.unread ? sql`unread_count > 0` : sql`unread_count = 0`);
  if (filters.waiting !== undefined)
    where.push(filters.waiting ? sql`waiting_since is not null` : sql`waiting_since is null`);
  if (filters.since) where.push(sql`last_activity_at >= ${filters.since}`);
  if (filters.clients) where.push(ofClients(businessId, filters.clients));

  let order = sql`order by last_activity_at desc, conversation_id desc`;
  if (sort === 'newest') {
    if (after)
      where.push(
        sql`(last_activity_at, conversation_id) < (${after.at}::timestamptz, ${after.conversationId}::uuid)`,
      );
  } else {
    where.push(sql`waiting_since is not null`);
    if (after)
      where.push(
        sql`(waiting_since, conversation_id) > (${after.at}::timestamptz, ${after.conversationId}::uuid)`,
      );
    order = sql`order by waiting_since, conversation_id`;
  }
  const page = sql`select * from conversations where ${sql.join(where, sql` and `)} ${order} limit ${limit + 1}`;
  const outer =
    sort === 'newest'
      ? sql`order by c.last_activity_at desc, c.conversation_id desc`
      : sql`order by c.waiting_since, c.conversation_id`;
  const { rows } = await presentable(page, outer).execute(db);
  return rows;
}

/** Of few clients their conversations; of many, the newest conversations soon meet them. */
function ofClients(businessId: number, found: FoundClients) {
  if ('ids' in found) return sql`client_id = any(${found.ids}::bigint[])`;
  return sql`exists (select 1 from clients f where f.business_id = ${businessId} and f.client_id = conversations.client_id
    and f.search_words @@ ${found.words}::tsquery)`;
}
