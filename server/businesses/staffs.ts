import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

export interface StaffRow {
  staff_id: number;
  business_id: number;
  name: string;
  email: string | null;
  phone: string | null;
  role: 'manager' | 'staff';
  active: boolean;
  location_ids: number[];
  last_seen_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

const columns = sql`s.staff_id, s.business_id, s.name, s.email, s.phone, s.role, s.active, s.last_seen_at, s.created_at, s.updated_at,
  (select coalesce(jsonb_agg(l.location_id order by l.location_id), '[]') from staff_locations l
    where l.business_id = s.business_id and l.staff_id = s.staff_id) as location_ids`;

/** A page of the staff by name, and one row more. */
export async function listStaffs(
  db: Db,
  businessId: number,
  filters: { q?: string; role?: string; locationId?: number; active?: boolean },
  limit: number,
  after: { name: string; staffId: number } | null,
): Promise<(StaffRow & { sort_name: string })[]> {
  const where: RawBuilder<unknown>[] = [sql`s.business_id = ${businessId}`];
  if (filters.q !== undefined) where.push(matches(filters.q));
  if (filters.role) where.push(sql`s.role = ${filters.role}`);
  if (filters.active !== undefined) where.push(sql`s.active = ${filters.active}`);
  if (filters.locationId !== undefined) {
    where.push(sql`exists (select 1 from staff_locations w where w.business_id = s.business_id and w.staff_id = s.staff_id
      and w.location_id = ${filters.locationId})`);
  }
  if (after) where.push(sql`(lower(s.name), s.staff_id) > (${after.name}, ${after.staffId}::bigint)`);
  const { rows } = await sql<StaffRow & { sort_name: string }>`
    select ${columns}, lower(s.name) as sort_name from staffs s
    where ${sql.join(where, sql` and `)} order by lower(s.name), s.staff_id limit ${limit + 1}`.execute(db);
  return rows;
}

/** Part of the name, whatever the case and accents; of the mail address; of the phone, whatever stands between its digits. */
function matches(q: string): RawBuilder<unknown> {
  const part = (text: string) => `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
  const plain = q.normalize('NFKD').replaceAll(/[\u0300-\u036f]/g, '');
  const digits = /^[0-9 ().+-]+$/.test(q) ? q.replaceAll(/[^0-9]/g, '') : '';
  return sql`(
    lower(regexp_replace(normalize(s.name, NFKD), '[\u0300-\u036f]', '', 'g')) like ${part(plain.toLowerCase())}
    or s.email like ${part(q.toLowerCase())} or (${digits} <> '' and s.phone like ${part(digits)}))`;
}

export interface StaffProfile extends StaffRow {
  locations: { location_id: number; name: string }[];
  open: number;
  unread: number;
  waiting: number;
}

/** One staff member with the conversations that are theirs, each count stopping at 100. */
export async function staffProfile(db: Db, businessId: number, staffId: number): Promise<StaffProfile> {
  const theirs = (condition: RawBuilder<unknown>) =>
    sql`(select count(*)::int from (select 1 from conversations c where c.business_id = s.business_id
      and c.assignee_staff_id = s.staff_id and c.status <> 'closed' and ${condition} limit 100) few)`;
  const { rows } = await sql<StaffProfile>`
    select ${columns},
      (select coalesce(jsonb_agg(jsonb_build_object('location_id', p.location_id, 'name', p.name) order by p.location_id), '[]')
        from staff_locations l join locations p on p.business_id = l.business_id and p.location_id = l.location_id
        where l.business_id = s.business_id and l.staff_id = s.staff_id) as locations,
      ${theirs(sql`true`)} as open, ${theirs(sql`c.unread_count > 0`)} as unread, ${theirs(sql`c.waiting_since is not null`)} as waiting
    from staffs s where s.business_id = ${businessId} and s.staff_id = ${staffId}`.execute(db);
  if (!rows[0]) throw notFound('staff member');
  return rows[0];
}

export function presentStaff(row: StaffRow) {
  return {
    staff_id: row.staff_id,
    business_id: row.business_id,
    name: row.name,
    email: row.email,
    phone: row.phone,
    role: row.role,
    active: row.active,
    location_ids: row.location_ids,
    last_seen_at: row.last_seen_at?.toISOString() ?? null,
  };
}
