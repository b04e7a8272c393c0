import { type ProviderCredentials, readProviderAccount } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Caller } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { identityOf } from './identity.ts';
import { noteToken } from './presence.ts';

/** An hour: a browser asks again long before, and a stolen token is of little use. */
const longestS = 3_600;

export interface VoiceToken {
  token: string;
  identity: string;
  expiresAt: Date;
}

/**
 * A token with which a browser calls and is called as one staff member; from then on they are on. It ends with
 * the session or the key that it is given to, if that ends by itself before the hour is over.
 *
 * @param named the staff member that a key names
 */
export async function giveVoiceToken(
  db: Db,
  now: Date,
  secrets: Secrets,
  { businessId, caller, named }: { businessId: number; caller: Caller; named: number | undefined },
): Promise<VoiceToken> {
  const staffId = await staffFor(db, businessId, caller, named);
  const account = complete(await readProviderAccount(db, secrets, businessId, 'twilio'));
  const ttlS = await secondsLeft(db, now, businessId, caller);
  const identity = identityOf({ businessId, staffId });
  // Loaded when it is first needed: a start without calls goes without it.
  const { default: AccessToken } = await import('twilio/lib/jwt/AccessToken.js');
  const token = new AccessToken(account.account_sid, account.api_key_sid, account.api_key_secret, {
    identity,
    ttl: ttlS,
  });
  token.addGrant(
    new AccessToken.VoiceGrant({ incomingAllow: true, outgoingApplicationSid: account.twiml_app_sid }),
  );
  const expiresAt = new Date(now.getTime() + ttlS * 1000);
  await noteToken(db, now, {
    businessId,
    staffId,
    holderId: (caller.sessionId ?? caller.keyId)!,
    expiresAt,
  });
  return { token: token.toJwt(), identity, expiresAt };
}

async function staffFor(
  db: Db,
  businessId: number,
  caller: Caller,
  named: number | undefined,
): Promise<number> {
  if (caller.staffId !== null && named !== undefined && named !== caller.staffId)
    throw invalid('staff_id', 'a session calls as its own staff member; leave it out');
  const staffId = caller.staffId ?? named;
  if (staffId === undefined)
    throw invalid('staff_id', 'is required with a key: name the staff member who calls', 'required');
  const staff = await db
    .selectFrom('staffs')
    .select('staff_id')
    .where('business_id', '=', businessId)
    .where('staff_id', '=', staffId)
    .where('active', '=', true)
    .executeTakeFirst();
  if (!staff) throw notFound('staff member', 'Check staff_id.');
  return staff.staff_id;
}

const needed = ['api_key_sid', 'api_key_secret', 'twiml_app_sid'] as const;
type Complete = ProviderCredentials<'twilio'> & Record<(typeof needed)[number], string>;

/** @throws 422 that names what the onboarding left out */
function complete(account: ProviderCredentials<'twilio'> | null): Complete {
  const missing = account ? needed.filter((name) => account[name] === undefined) : ['account_sid', ...needed];
  if (missing.length === 0) return account as Complete;
  const fields = missing.map((name) => `providers.twilio.${name}`);
  throw new Fault(
    'not_configured',
    `Calls from the browser need ${fields.join(', ')}. Send providers.twilio whole with POST /business/onboard.`,
    {
      errors: fields.map((path) => ({
        path,
        message: 'is needed for calls from the browser',
        code: 'required' as const,
      })),
    },
  );
}

/** Whole seconds that a token may hold: it must not outlive what it is given to. */
async function secondsLeft(db: Db, now: Date, businessId: number, caller: Caller): Promise<number> {
  const holder = caller.sessionId
    ? await db
        .selectFrom('sessions')
        .select('expires_at')
        .where('business_id', '=', businessId)
        .where('session_id', '=', caller.sessionId)
        .executeTakeFirst()
    : await db
        .selectFrom('api_keys')
        .select('expires_at')
        .where('key_id', '=', caller.keyId)
        .executeTakeFirst();
  if (!holder?.expires_at) return longestS;
  const left = Math.floor((holder.expires_at.getTime() - now.getTime()) / 1000);
  return Math.max(1, Math.min(longestS, left));
}
