import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';

/** A key or session that once let somebody in, and the business that it let them into. */
export interface Credential {
  businessId: number;
  /** The key's id, or the session's. */
  id: string;
}

/**
 * Which of them would let in now, by the same rules as {@link findKey} and `findSession`. One statement for however
 * many.
 *
 * @returns their ids
 */
export async function holding(
  db: Db,
  credentials: readonly Credential[],
  now: Date,
): Promise<ReadonlySet<string>> {
  const ids = credentials.map(({ id }) => id);
  const businessIds = credentials.map(({ businessId }) => businessId);
  const { rows } = await sql<{ id: string }>`
    select key_id as id from api_keys
    where key_id = any(${ids}::uuid[]) and revoked_at is null and (expires_at is null or expires_at > ${now})
    union all
    select s.session_id
    from unnest(${businessIds}::bigint[], ${ids}::uuid[]) as asked (business_id, session_id)
    join sessions s using (business_id, session_id)
    join staffs f on f.business_id = s.business_id and f.staff_id = s.staff_id
    left join api_keys k on k.key_id = s.key_id
    where s.expired_at is null and s.expires_at > ${now} and f.active
      and k.revoked_at is null and (k.expires_at is null or k.expires_at > ${now})`.execute(db);
  return new Set(rows.map(({ id }) => id));
}
