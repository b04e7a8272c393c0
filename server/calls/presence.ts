import { sql } from 'kysely';
import type { VoiceSettings } from '../../contract/index.ts';
import type { Db } from '../core/db/index.ts';

/** Twilio dials ten at once at most (https://www.twilio.com/docs/voice/twiml/client). */
const mostRung = 10;

/** A voice token was given out: until it runs out, its holder can be rung. What ran out before is forgotten. */
export async function noteToken(
  db: Db,
  now: Date,
  token: { businessId: number; staffId: number; holderId: string; expiresAt: Date },
): Promise<void> {
  await db
    .deleteFrom('voice_presences')
    .where('business_id', '=', token.businessId)
    .where('staff_id', '=', token.staffId)
    .where('expires_at', '<=', now)
    .execute();
  await db
    .insertInto('voice_presences')
    .values({
      business_id: token.businessId,
      staff_id: token.staffId,
      holder_id: token.holderId,
      expires_at: token.expiresAt,
    })
    .onConflict((conflict) =>
      conflict.columns(['business_id', 'staff_id', 'holder_id']).doUpdateSet({ expires_at: token.expiresAt }),
    )
    .execute();
}

/** Of a staff member `s`: they hold a voice token, and what it was given to, a session or a key, still counts. */
const holdsToken = (since: Date) => sql<boolean>`exists (select 1 from voice_presences p
  left join sessions o on o.business_id = p.business_id and o.session_id = p.holder_id
  left join api_keys k on k.key_id = coalesce(o.key_id, p.holder_id)
  where p.business_id = s.business_id and p.staff_id = s.staff_id and p.expires_at > ${since}
    and o.expired_at is null and k.revoked_at is null)`;

/** A call that was asked for with the last second of a token may come a little later. */
const lateMs = 60_000;

/**
 * Whether a staff member may call: they are active and are on. Twilio takes a token until it runs out, whatever
 * became of the session that it was given to; we do not.
 */
export async function mayCall(db: Db, now: Date, businessId: number, staffId: number): Promise<boolean> {
  const { rows } = await sql`
    select 1 from staffs s where s.business_id = ${businessId} and s.staff_id = ${staffId} and s.active
      and ${holdsToken(new Date(now.getTime() - lateMs))}`.execute(db);
  return rows.length > 0;
}

/**
 * Whom a call to a location rings: active staff who work there (those with no location work everywhere; without
 * a location, all), and, unless all are to be rung, of these who are on: they hold a voice token that
 * still counts. Who was seen last comes first.
 */
export async function staffToRing(
  db: Db,
  now: Date,
  businessId: number,
  locationId: number | null,
  ring: VoiceSettings['ring'],
): Promise<number[]> {
  const worksThere =
    locationId === null
      ? sql`true`
      : sql`(not exists (select 1 from staff_locations w where w.business_id = s.business_id and w.staff_id = s.staff_id)
          or exists (select 1 from staff_locations w
            where w.business_id = s.business_id and w.staff_id = s.staff_id and w.location_id = ${locationId}))`;
  const isOn = ring === 'all_staff' ? sql`true` : holdsToken(now);
  const { rows } = await sql<{ staff_id: number }>`
    select s.staff_id from staffs s where s.business_id = ${businessId} and s.active and ${worksThere} and ${isOn}
    order by s.last_seen_at desc nulls last, s.staff_id limit ${mostRung}`.execute(db);
  return rows.map((row) => row.staff_id);
}
