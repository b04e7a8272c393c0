import type { FastifyRequest } from 'fastify';
import type { Scope } from '../../contract/index.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import type { Caller } from '../core/http/index.ts';
import type { Log } from '../core/log.ts';
import { findKey, noteKeyUse } from './keys.ts';
import { findSession, noteStaffSeen, sessionCookie } from './sessions.ts';

/** What a session may do follows from the role. */
const scopesOfRole: Record<'manager' | 'staff', readonly Scope[]> = {
  manager: ['read', 'send', 'manage'],
  staff: ['read', 'send'],
};

/** Longest credential looked at; ours have 47 characters. */
const longestCredential = 256;

/**
 * Finds the caller by `X-API-KEY`, else `Authorization: Bearer` (a session, or a key too, as many
 * HTTP clients only know that), else the cookie. One statement.
 */
export function createAuthenticate(db: Db, clock: Clock, log: Log) {
  return async (request: FastifyRequest): Promise<Caller | null> => {
    const now = new Date(clock.now());
    const header = request.headers['x-api-key'];
    if (header !== undefined) return typeof header === 'string' ? byKey(header, now) : null;
    const bearer = /^Bearer ([!-~]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return bearer.startsWith('oms_') ? bySession(bearer, now) : byKey(bearer, now);
    const cookie = request.cookies[sessionCookie];
    if (cookie === undefined) return null;
    // A browser sends the cookie by itself: what another page makes it post must not count. SameSite=Lax lets through
    // what comes from the site's other hosts, which need not be ours.
    const from = String(request.headers['sec-fetch-site']);
    if (request.method !== 'GET' && ['cross-site', 'same-site'].includes(from)) return null;
    return bySession(cookie, now);
  };

  async function byKey(text: string, now: Date): Promise<Caller | null> {
    if (text.length > longestCredential) return null;
    const row = await findKey(db, text, now);
    if (!row) return null;
    // Of use to people only: a database that reads but cannot write (a full disk) must still answer reads.
    await noteKeyUse(db, row, now).catch((error) =>
      log.warn({ err: error, key_id: row.key_id }, 'the use of a key could not be noted'),
    );
    return {
      kind: row.business_id === null ? 'platform' : 'key',
      businessId: row.business_id,
      scopes: row.scopes as Scope[],
      keyId: row.key_id,
      sessionId: null,
      staffId: null,
    };
  }

  async function bySession(token: string, now: Date): Promise<Caller | null> {
    if (token.length > longestCredential) return null;
    const row = await findSession(db, token, now);
    if (!row) return null;
    await noteStaffSeen(db, row, now);
    return {
      kind: 'session',
      businessId: row.business_id,
      scopes: scopesOfRole[row.role],
      keyId: row.key_id,
      sessionId: row.session_id,
      staffId: row.staff_id,
    };
  }
}
