import type { Db, Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import { hashOfToken, newToken, sameText } from '../core/secrets.ts';

export const sessionCookie = 'omega_session';

export interface NewSession {
  businessId: number;
  staffId: number;
  keyId: string | null;
  now: Date;
  expiresAt: Date;
}

/** A session for one staff member. Only the hash of its token is kept. */
export async function createSession(
  tx: Tx,
  session: NewSession,
): Promise<{ sessionId: string; token: string }> {
  const sessionId = newId();
  const token = newToken('oms_');
  await tx
    .insertInto('sessions')
    .values({
      business_id: session.businessId,
      session_id: sessionId,
      staff_id: session.staffId,
      hash: hashOfToken(token),
      key_id: session.keyId,
      created_at: session.now,
      expires_at: session.expiresAt,
    })
    .execute();
  return { sessionId, token };
}

/**
 * The session by its token, if it holds now: not ended, the staff member still active, and the key
 * that made it neither revoked nor run out. One statement.
 */
export async function findSession(db: Db, token: string, now: Date) {
  const hash = hashOfToken(token);
  const row = await db
    .selectFrom('sessions')
    .innerJoin('staffs', (join) =>
      join
        .onRef('staffs.business_id', '=', 'sessions.business_id')
        .onRef('staffs.staff_id', '=', 'sessions.staff_id'),
    )
    .leftJoin('api_keys', 'api_keys.key_id', 'sessions.key_id')
    .select([
      'sessions.business_id',
      'sessions.session_id',
      'sessions.staff_id',
      'sessions.hash',
      'sessions.key_id',
      'sessions.expires_at',
      'sessions.expired_at',
      'staffs.role',
      'staffs.active',
      'staffs.last_seen_at',
      'api_keys.revoked_at as key_revoked_at',
      'api_keys.expires_at as key_expires_at',
    ])
    .where('sessions.hash', '=', hash)
    .executeTakeFirst();
  if (!row || !sameText(row.hash, hash)) return null;
  if (row.expired_at || row.expires_at <= now || !row.active) return null;
  if (row.key_revoked_at || (row.key_expires_at && row.key_expires_at <= now)) return null;
  return row;
}

/** Ends sessions of a business: one by id or token, or all of a staff member. @returns those that held until now */
export async function endSessions(
  tx: Tx,
  businessId: number,
  which: { sessionId?: string; token?: string; staffId?: number },
  now: Date,
): Promise<{ session_id: string; staff_id: number }[]> {
  let query = tx
    .updateTable('sessions')
    .set({ expired_at: now })
    .where('business_id', '=', businessId)
    .where('expired_at', 'is', null)
    .where('expires_at', '>', now)
    .returning(['session_id', 'staff_id']);
  if (which.sessionId !== undefined) query = query.where('session_id', '=', which.sessionId);
  if (which.token !== undefined) query = query.where('hash', '=', hashOfToken(which.token));
  if (which.staffId !== undefined) query = query.where('staff_id', '=', which.staffId);
  return query.execute();
}

const seenNotedEveryMs = 60_000;

/** Notes that a staff member was here, at most once a minute. */
export async function noteStaffSeen(
  db: Db,
  row: { business_id: number; staff_id: number; last_seen_at: Date | null },
  now: Date,
): Promise<void> {
  if (row.last_seen_at && now.getTime() - row.last_seen_at.getTime() < seenNotedEveryMs) return;
  await db
    .updateTable('staffs')
    .set({ last_seen_at: now })
    .where('business_id', '=', row.business_id)
    .where('staff_id', '=', row.staff_id)
    .execute();
}
