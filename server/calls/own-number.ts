import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';

/** A number of a business that takes and makes calls. */
export interface OwnNumber {
  businessId: number;
  address: string;
  country: string;
  /** The number's, or the only one that the business has. */
  locationId: number | null;
  timeZone: string;
}

const columns = sql`s.business_id as "businessId", s.address, b.country,
  l.location_id as "locationId", coalesce(l.time_zone, b.time_zone) as "timeZone"`;
const joined = sql`senders s join businesses b on b.business_id = s.business_id
  left join locations l on l.business_id = s.business_id and l.location_id = coalesce(s.location_id,
    (select min(o.location_id) from locations o where o.business_id = s.business_id having count(*) = 1))`;
const isVoice = sql`s.channel = 'voice' and s.provider = 'twilio'`;

/**
 * The number that was called, of one of these businesses. Where several share an account and a number, the first one's;
 * of those who removed it only where nobody has it now: clients call the numbers that they know.
 */
export async function numberCalled(
  db: Db,
  businessIds: readonly number[],
  address: string | undefined,
): Promise<OwnNumber | null> {
  if (address === undefined || businessIds.length === 0) return null;
  const { rows } = await sql<OwnNumber>`
    select ${columns} from ${joined}
    where s.business_id = any(${[...businessIds]}::bigint[]) and s.address = ${address} and ${isVoice}
    order by s.active desc, s.business_id limit 1`.execute(db);
  return rows[0] ?? null;
}

/** The number that a call goes out from: of the location, else of none, else the oldest; as for a text. */
export async function numberToCallFrom(
  db: Db,
  businessId: number,
  locationId: number | null,
): Promise<OwnNumber | null> {
  const { rows } = await sql<OwnNumber>`
    select ${columns} from ${joined}
    where s.business_id = ${businessId} and ${isVoice} and s.active
    order by (s.location_id is not distinct from ${locationId}::bigint) desc, (s.location_id is null) desc, s.created_at, s.sender_id
    limit 1`.execute(db);
  return rows[0] ?? null;
}
