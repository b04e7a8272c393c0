import type { Scope } from '../../../contract/index.ts';
import { Fault } from '../fault.ts';

/** Who calls. Made by the access module from the request's credentials. */
export interface Caller {
  kind: 'platform' | 'key' | 'session';
  /** Null for a platform key: it may see every business. */
  businessId: number | null;
  scopes: readonly Scope[];
  /** The key that called, or that made the session. */
  keyId: string | null;
  sessionId: string | null;
  /** Whom a session acts for. */
  staffId: number | null;
}

/** Who did it and through what: written into every event. */
export interface Origin {
  actor: { type: 'staff' | 'key' | 'platform' | 'client' | 'carrier' | 'system'; id: string | number | null };
  origin: {
    key_id?: string | null;
    session_id?: string | null;
    request_id?: string | null;
    provider?: string;
  };
}

export function originOf(caller: Caller, requestId: string): Origin {
  const origin = { key_id: caller.keyId, session_id: caller.sessionId, request_id: requestId };
  if (caller.kind === 'session') return { actor: { type: 'staff', id: caller.staffId }, origin };
  return { actor: { type: caller.kind, id: caller.keyId }, origin };
}

/**
 * The business that a request is about: from the path, the body or the query; a caller of one
 * business may leave it out of the latter two. The tenant wall: who may not see it gets the same
 * 403 whether it exists or not.
 */
export function businessOf(caller: Caller, named: number | undefined): number {
  if (caller.businessId !== null) {
    if (named !== undefined && named !== caller.businessId) {
      throw new Fault('forbidden', 'These credentials do not see this business.');
    }
    return caller.businessId;
  }
  if (named === undefined) {
    throw new Fault('invalid_parameters', 'business_id: required with a platform key', {
      errors: [{ path: 'business_id', message: 'required with a platform key', code: 'required' }],
    });
  }
  return named;
}
