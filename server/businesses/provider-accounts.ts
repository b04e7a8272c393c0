import type { Static } from 'typebox';
import type { Contract } from '../../contract/index.ts';
import type { Db, Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';

type Providers = NonNullable<Static<Contract['onboardBusiness']['input']['body']>['providers']>;
export type Provider = keyof Providers;
export type ProviderCredentials<P extends Provider> = NonNullable<Providers[P]>;

/**
 * What a carrier names in its callbacks, or proves them with: an account is found by it, and with it every other
 * business that shares the account. Kept as a keyed hash, as no column holds a credential.
 */
const namesOf: { [P in Provider]?: (credentials: ProviderCredentials<P>) => (string | undefined)[] } = {
  twilio: ({ account_sid, messaging_service_sid }) => [account_sid, messaging_service_sid],
  ses: ({ topic_arns }) => topic_arns,
  sendgrid: ({ webhook_public_key }) => [webhook_public_key],
  mailgun: ({ signing_key }) => [signing_key],
  postmark: ({ username, password }) => [JSON.stringify([username, password])],
  resend: ({ signing_secret }) => [signing_secret],
};

const bySmtp = new Set(['mailgun', 'postmark', 'ses', 'resend']);

/** With which of its accounts a business sends through a provider: some take mail by SMTP, with the account `smtp`. */
export function accountOf(provider: string): string {
  return bySmtp.has(provider) ? 'smtp' : provider;
}

const nameKey = (secrets: Secrets, name: string) => secrets.sign('provider name', name);

const about = (businessId: number, provider: string) => `provider ${businessId} ${provider}`;

/** The names that this account is found by. */
export function accountNames<P extends Provider>(provider: P, credentials: ProviderCredentials<P>): string[] {
  return [...new Set(namesOf[provider]?.(credentials) ?? [])].filter((name) => name !== undefined);
}

/** Writes a business's account with a carrier in place of the one before: its credentials encrypted, its names findable. */
export async function writeProviderAccount<P extends Provider>(
  tx: Tx,
  now: Date,
  secrets: Secrets,
  {
    businessId,
    provider,
    credentials,
  }: { businessId: number; provider: P; credentials: ProviderCredentials<P> },
): Promise<void> {
  const sealed_credentials = secrets.seal(JSON.stringify(credentials), about(businessId, provider));
  const key = { business_id: businessId, provider };
  await tx
    .insertInto('provider_accounts')
    .values({ ...key, sealed_credentials, created_at: now, updated_at: now })
    .onConflict((conflict) =>
      conflict.columns(['business_id', 'provider']).doUpdateSet({
        sealed_credentials,
        updated_at: now,
        // They may be what was missing.
        paused_at: null,
        paused_reason: null,
      }),
    )
    .execute();
  await tx
    .deleteFrom('provider_account_names')
    .where('business_id', '=', businessId)
    .where('provider', '=', provider)
    .execute();
  const names = accountNames(provider, credentials);
  if (names.length === 0) return;
  await tx
    .insertInto('provider_account_names')
    .values(names.map((name) => ({ ...key, name_key: nameKey(secrets, name) })))
    .execute();
}

/**
 * A business's credentials with a carrier, as they were given; null where there are none.
 *
 * @throws where they were sealed with another OMEGA_SECRET
 */
export async function readProviderAccount<P extends Provider>(
  db: Db,
  secrets: Secrets,
  businessId: number,
  provider: P,
): Promise<ProviderCredentials<P> | null> {
  const row = await db
    .selectFrom('provider_accounts')
    .select('sealed_credentials')
    .where('business_id', '=', businessId)
    .where('provider', '=', provider)
    .executeTakeFirst();
  return row ? JSON.parse(secrets.open(row.sealed_credentials, about(businessId, provider))) : null;
}

export interface FoundAccount<P extends Provider> {
  businessId: number;
  credentials: ProviderCredentials<P>;
}

/** More accounts than this are not tried against one webhook: anyone can post one. */
const mostCandidates = 200;

/**
 * The accounts that a callback can belong to.
 *
 * @param by the businesses that it names, or what it names of the carrier's (an account, a topic);
 *   'any' where it names nothing
 */
export async function findProviderAccounts<P extends Provider>(
  db: Db,
  secrets: Secrets,
  provider: P,
  by: { businessIds: readonly number[] } | { names: readonly string[] } | 'any',
): Promise<FoundAccount<P>[]> {
  let query = db
    .selectFrom('provider_accounts as a')
    .select(['a.business_id', 'a.sealed_credentials'])
    .where('a.provider', '=', provider)
    .orderBy('a.business_id')
    .limit(mostCandidates);
  if (by !== 'any' && 'businessIds' in by) {
    if (by.businessIds.length === 0) return [];
    query = query.where('a.business_id', 'in', [...by.businessIds]);
  } else if (by !== 'any') {
    if (by.names.length === 0) return [];
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('provider_account_names as n')
          .select('n.name_key')
          .whereRef('n.business_id', '=', 'a.business_id')
          .whereRef('n.provider', '=', 'a.provider')
          .where(
            'n.name_key',
            'in',
            by.names.map((name) => nameKey(secrets, name)),
          ),
      ),
    );
  }
  const rows = await query.execute();
  return rows.map((row) => ({
    businessId: row.business_id,
    credentials: JSON.parse(secrets.open(row.sealed_credentials, about(row.business_id, provider))),
  }));
}
