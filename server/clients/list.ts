import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { addressKindOf } from './address-kind.ts';

export interface ClientFilters {
  /** A `tsquery` over `search_words`. */
  words?: string;
  /** Only these: who was found by the words. */
  ids?: number[];
  locationId?: number;
  provisional?: boolean;
  /** A channel. */
  optedOut?: string;
  hasUnread?: boolean;
}

export type ClientSort = 'name' | 'last_seen' | 'newest';

export interface ClientListRow {
  business_id: number;
  client_id: number;
  name: string | null;
  sort_name: string;
  provisional: boolean;
  location_id: number | null;
  language: string | null;
  tags: string[];
  last_seen_at: Date | null;
  created_at: Date;
  updated_at: Date;
  phone: string | null;
  email: string | null;
  unread_count: number;
}

/** Each sort as its index has it (server/migrations/0003_clients.sql). */
const orders = {
  name: {
    by: sql`sort_name collate "C", client_id`,
    after: (at: string, id: number) => sql`(sort_name collate "C", client_id) > (${at}, ${id}::bigint)`,
  },
  last_seen: {
    by: sql`coalesce(last_seen_at, '-infinity'::timestamptz) desc, client_id desc`,
    after: (at: string, id: number) =>
      sql`(coalesce(last_seen_at, '-infinity'::timestamptz), client_id) < (${at}::timestamptz, ${id}::bigint)`,
  },
  newest: {
    by: sql`created_at desc, client_id desc`,
    after: (at: string, id: number) => sql`(created_at, client_id) < (${at}::timestamptz, ${id}::bigint)`,
  },
} as const;

/** Where a row stands in its sort. */
export function placeOf(sort: ClientSort, row: ClientListRow): [string, number] {
  const at = {
    name: () => row.sort_name,
    last_seen: () => row.last_seen_at?.toISOString() ?? '-infinity',
    newest: () => row.created_at.toISOString(),
  }[sort]();
  return [at, row.client_id];
}

type PageArguments = [sort: ClientSort, limit: number, after: { at: string; clientId: number } | null];

/**
 * The page is cut first, walking the sort's index or those who were found; addresses and unread
 * counts are read for its rows alone.
 */
export function clientsPage(
  businessId: number,
  filters: ClientFilters,
  ...[sort, limit, after]: PageArguments
): RawBuilder<ClientListRow> {
  const where = [sql`business_id = ${businessId} and merged_into is null and erased_at is null`];
  if (filters.words !== undefined) where.push(sql`search_words @@ ${filters.words}::tsquery`);
  if (filters.ids !== undefined) where.push(sql`client_id = any(${filters.ids}::bigint[])`);
  if (filters.locationId !== undefined) where.push(sql`location_id = ${filters.locationId}`);
  if (filters.provisional !== undefined) where.push(sql`provisional = ${filters.provisional}`);
  if (filters.hasUnread !== undefined) {
    const unread = sql`(select client_id from conversations where business_id = ${businessId} and unread_count > 0)`;
    where.push(filters.hasUnread ? sql`client_id in ${unread}` : sql`client_id not in ${unread}`);
  }
  if (filters.optedOut !== undefined) where.push(optedOut(businessId, filters.optedOut));
  const order = orders[sort];
  if (after) where.push(order.after(after.at, after.clientId));
  return sql<ClientListRow>`
    with c as (select * from clients where ${sql.join(where, sql` and `)} order by ${order.by} limit ${limit + 1})
    select business_id, client_id, name, sort_name, provisional, location_id, language, tags, last_seen_at, created_at, updated_at,
      (select address from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id
        and a.kind = 'phone' and a.is_primary) as phone,
      (select address from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id
        and a.kind = 'email' and a.is_primary) as email,
      (select coalesce(sum(unread_count), 0)::int from conversations o
        where o.business_id = c.business_id and o.client_id = c.client_id) as unread_count
    from c order by ${order.by}`;
}

/** Up to so many who are found are sorted as they are; among more, the sort's index soon meets them. */
const fewHits = 2_000;

/** @returns a page of the list and one row more */
export async function listClients(
  db: Db,
  businessId: number,
  filters: ClientFilters,
  ...page: PageArguments
): Promise<ClientListRow[]> {
  const hits = filters.words === undefined ? null : await hitsOf(db, businessId, filters.words);
  const found = hits && hits.length <= fewHits ? { ...filters, words: undefined, ids: hits } : filters;
  const { rows } = await clientsPage(businessId, found, ...page).execute(db);
  return rows;
}

/**
 * Who is found by words, one more than {@link fewHits} at most. The planner cannot tell a rare
 * beginning from a common one, and would walk the whole sort for a name that two people have (850 ms
 * among 200,000 clients on a busy machine, against 5); asked for all hits it takes the words' index,
 * and a CTE that is materialised is read only as far as its limit.
 */
async function hitsOf(db: Db, businessId: number, words: string): Promise<number[]> {
  const { rows } = await hitsQuery(businessId, words).execute(db);
  return rows.map((row) => row.client_id);
}

export function hitsQuery(businessId: number, words: string): RawBuilder<{ client_id: number }> {
  return sql<{ client_id: number }>`
    with hits as materialized (
      select client_id from clients
      where business_id = ${businessId} and merged_into is null and erased_at is null and search_words @@ ${words}::tsquery
    )
    select client_id from hits limit ${fewHits + 1}`;
}

/** Those whose first address for the channel was last said to be refused, walking the ledger of that channel. */
function optedOut(businessId: number, channel: string) {
  return sql`client_id in (
    select l.client_id from (
      select distinct on (address) address, state from consents
      where business_id = ${businessId} and channel = ${channel} and category in ('all', 'transactional')
      order by address, created_at desc, consent_id desc
    ) latest
    join client_addresses l on l.business_id = ${businessId} and l.kind = ${addressKindOf(channel)}
      and l.address = latest.address and l.is_primary
    where latest.state = 'revoked')`;
}
