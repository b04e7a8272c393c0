import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { addressKindOf } from './address-kind.ts';
import { queryOf } from './search-words.ts';

/** Who is found by words: their ids where they are few, else the `tsquery` over `search_words`. */
export type FoundClients = { ids: number[] } | { words: string };

export interface ClientFilters {
  found?: FoundClients;
  locationId?: number;
  provisional?: boolean;
  /** A channel. */
  optedOut?: string;
  hasUnread?: boolean;
}

/** Who has unread messages and who opted out, where they are few: the page is then cut from them. */
interface Few {
  unread?: number[];
  optedOut?: number[];
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
  few: Few,
  ...[sort, limit, after]: PageArguments
): RawBuilder<ClientListRow> {
  const where = [sql`business_id = ${businessId} and merged_into is null and erased_at is null`];
  const { found } = filters;
  if (found)
    where.push(
      'ids' in found
        ? sql`client_id = any(${found.ids}::bigint[])`
        : sql`search_words @@ ${found.words}::tsquery`,
    );
  if (filters.locationId !== undefined) where.push(sql`location_id = ${filters.locationId}`);
  if (filters.provisional !== undefined)
    where.push(filters.provisional ? sql`provisional` : sql`not provisional`);
  if (few.unread) where.push(sql`client_id = any(${few.unread}::bigint[])`);
  else if (filters.hasUnread !== undefined) {
    const unread = sql`(select client_id from conversations where business_id = ${businessId} and unread_count > 0)`;
    where.push(filters.hasUnread ? sql`client_id in ${unread}` : sql`client_id not in ${unread}`);
  }
  if (few.optedOut) where.push(sql`client_id = any(${few.optedOut}::bigint[])`);
  else if (filters.optedOut !== undefined) where.push(optedOut(businessId, filters.optedOut));
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

/** @returns a page of the list and one row more */
export async function listClients(
  db: Db,
  businessId: number,
  filters: ClientFilters,
  ...page: PageArguments
): Promise<ClientListRow[]> {
  const few = {
    unread: filters.hasUnread ? await fewUnread(db, businessId) : undefined,
    optedOut:
      filters.optedOut === undefined ? undefined : await fewOptedOut(db, businessId, filters.optedOut),
  };
  const { rows } = await clientsPage(businessId, filters, few, ...page).execute(db);
  return rows;
}

/** Up to so many are sorted as they are; among more, the sort's index soon meets them. */
const fewHits = 2_000;

/** Who has unread messages, where they are few. */
async function fewUnread(db: Db, businessId: number): Promise<number[] | undefined> {
  const { rows } = await sql<{ client_id: number }>`
    select client_id from conversations where business_id = ${businessId} and unread_count > 0
    order by last_activity_at desc, conversation_id desc limit ${fewHits + 1}`.execute(db);
  return rows.length > fewHits ? undefined : rows.map((row) => row.client_id);
}

/**
 * Who is meant by what was typed: words of a name, each as a beginning, or the beginning of a phone or a
 * mail address.
 *
 * The planner cannot tell a rare beginning from a common one, and would walk the whole sort for a name
 * that two people have (850 ms among 200,000 clients on a busy machine, against 5); asked for all hits it
 * takes the words' index, and a CTE that is materialised is read only as far as its limit.
 */
export async function findClients(
  db: Db,
  businessId: number,
  typed: string,
  country: string,
): Promise<FoundClients> {
  const words = queryOf(businessId, typed, country);
  // Nothing but punctuation: nobody is found by it.
  if (words === null) return { ids: [] };
  const { rows } = await hitsQuery(businessId, words).execute(db);
  return rows.length > fewHits ? { words } : { ids: rows.map((row) => row.client_id) };
}

export function hitsQuery(businessId: number, words: string): RawBuilder<{ client_id: number }> {
  return sql<{ client_id: number }>`
    with hits as materialized (
      select client_id from clients
      where business_id = ${businessId} and merged_into is null and erased_at is null and search_words @@ ${words}::tsquery
    )
    select client_id from hits limit ${fewHits + 1}`;
}

/** `verdictOf` (consent.ts) for transactional messages to an address, as SQL. */
function refuses(businessId: number, channel: string, address: RawBuilder<unknown>) {
  const latest = (categories: string) => sql`(
    select state from consents e where e.business_id = ${businessId} and e.channel = ${channel} and e.address = ${address}
      and e.category = any(${categories}::text[]) order by e.created_at desc, e.consent_id desc limit 1)`;
  return sql`'revoked' in (${latest('{all}')}, ${latest('{all,transactional}')})`;
}

/** Who opted out of a channel with their first address for it, where few addresses ever refused. */
async function fewOptedOut(db: Db, businessId: number, channel: string): Promise<number[] | undefined> {
  const refused = await sql<{ address: string }>`
    select distinct address from consents
    where business_id = ${businessId} and channel = ${channel} and state = 'revoked' limit ${fewHits + 1}`.execute(
    db,
  );
  if (refused.rows.length > fewHits) return undefined;
  const { rows } = await sql<{ client_id: number }>`
    select l.client_id from client_addresses l
    where l.business_id = ${businessId} and l.kind = ${addressKindOf(channel)} and l.is_primary
      and l.address = any(${refused.rows.map((row) => row.address)}::text[])
      and ${refuses(businessId, channel, sql`l.address`)}`.execute(db);
  return rows.map((row) => row.client_id);
}

/**
 * The same, asked of each client that the sort's index meets: `offset 0` keeps it from being a join of all,
 * and `r.address` has the verdict asked only where something was refused.
 */
function optedOut(businessId: number, channel: string) {
  return sql`exists (
    select 1 from client_addresses l
    where l.business_id = ${businessId} and l.client_id = clients.client_id and l.kind = ${addressKindOf(channel)} and l.is_primary
      and exists (select 1 from consents r where r.business_id = ${businessId} and r.channel = ${channel}
        and r.address = l.address and r.state = 'revoked' and ${refuses(businessId, channel, sql`r.address`)})
    offset 0)`;
}
