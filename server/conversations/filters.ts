import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { cappedCount, mostCounted } from '../core/http/index.ts';

/** Options of one filter at most; the list takes any id all the same. */
const mostOptions = 100;
/** Channels have no index of their own in the list: these many rows are looked at for their counts. */
const channelWindow = 2_000;

export interface FilterOption {
  value: string;
  label: string;
  count: string;
}

interface CountRow {
  name: 'status' | 'assignee' | 'channel' | 'location_id' | 'unread' | 'waiting';
  value: string;
  label: string;
  count: number;
}

/**
 * Every filter's options with their counts, in one statement whose cost is bounded: each count stops
 * at 100 rows of an index that begins with the business and the filter.
 *
 * @param staffId whom `me` is, with a session
 */
export async function conversationFilters(db: Db, businessId: number, staffId: number | null) {
  const counted = (condition: ReturnType<typeof sql>) =>
    sql`(select count(*)::int from (select 1 from conversations c where c.business_id = ${businessId} and ${condition} limit ${mostCounted + 1}) few)`;
  const { rows } = await sql<CountRow>`
    select 'status' as name, s.value, initcap(s.value) as label, ${counted(sql`c.status = s.value`)} as count, s.place
      from (values ('open', 1), ('pending', 2), ('snoozed', 3), ('closed', 4)) as s(value, place)
    union all
    select 'assignee', 'me', 'Mine', ${counted(sql`c.assignee_staff_id = ${staffId}::bigint`)}, 10 where ${staffId}::bigint is not null
    union all
    select 'assignee', 'unassigned', 'Unassigned', ${counted(sql`c.assignee_staff_id is null`)}, 11
    union all
    select 'assignee', s.staff_id::text, s.name, ${counted(sql`c.assignee_staff_id = s.staff_id`)}, 11 + s.place
      from (select staff_id, name, row_number() over (order by lower(name), staff_id) as place from staffs
        where business_id = ${businessId} and active order by lower(name), staff_id limit ${mostOptions}) s
    union all
    select 'channel', h.channel, h.channel, least(count(*), ${mostCounted + 1})::int, 200
      from (select channels from conversations where business_id = ${businessId}
        order by last_activity_at desc, conversation_id desc limit ${channelWindow}) recent,
        unnest(recent.channels) as h(channel) group by h.channel
    union all
    select 'location_id', l.location_id::text, l.name, ${counted(sql`c.location_id = l.location_id`)}, 300 + l.place
      from (select location_id, name, row_number() over (order by lower(name), location_id) as place from locations
        where business_id = ${businessId} order by lower(name), location_id limit ${mostOptions}) l
    union all
    select 'unread', 'true', 'Unread', ${counted(sql`c.unread_count > 0`)}, 500
    union all
    select 'waiting', 'true', 'Waiting for an answer', ${counted(sql`c.waiting_since is not null`)}, 600
    order by place, value`.execute(db);
  const filters = new Map<CountRow['name'], FilterOption[]>();
  for (const row of rows) {
    const options = filters.get(row.name) ?? [];
    options.push({ value: row.value, label: row.label, count: cappedCount(row.count) });
    filters.set(row.name, options);
  }
  return [...filters].map(([name, options]) => ({ name, options }));
}
