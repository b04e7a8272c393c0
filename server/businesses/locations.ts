import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';

export interface LocationRow {
  location_id: number;
  name: string;
  time_zone: string;
  senders: { channel: string; address: string }[];
}

/** A page of the locations by id, and one row more. */
export async function listLocations(
  db: Db,
  businessId: number,
  limit: number,
  after: number | null,
): Promise<LocationRow[]> {
  const { rows } = await sql<LocationRow>`
    select l.location_id, l.name, coalesce(l.time_zone, b.time_zone) as time_zone,
      (select coalesce(jsonb_agg(jsonb_build_object('channel', s.channel, 'address', s.address) order by s.channel, s.created_at), '[]')
        from senders s where s.business_id = l.business_id and s.location_id = l.location_id and s.active) as senders
    from locations l join businesses b on b.business_id = l.business_id
    where l.business_id = ${businessId} and l.location_id > ${after ?? 0}
    order by l.location_id limit ${limit + 1}`.execute(db);
  return rows;
}
