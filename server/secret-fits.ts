import { sql } from 'kysely';
import type { Db } from './core/db/index.ts';
import { keyText } from './core/http/index.ts';
import type { Secrets } from './core/secrets.ts';

/** The secret opens nothing of what this database keeps sealed. */
export class WrongSecret extends Error {
  constructor() {
    super(
      "OMEGA_SECRET is not the one that this database's credentials were sealed with. Set it to what it was at the first start.",
    );
    this.name = 'WrongSecret';
  }
}

/**
 * Whether the secret opens what is sealed in the database: a carrier's credentials, or else the
 * answer that showed a business its first key. Where nothing is sealed, any secret fits.
 */
export async function secretFits(db: Db, secrets: Secrets): Promise<boolean> {
  const account = await db
    .selectFrom('provider_accounts')
    .select(['business_id', 'provider', 'sealed_credentials'])
    .limit(1)
    .executeTakeFirst();
  if (account) {
    const about = `provider ${account.business_id} ${account.provider}`;
    return opens(secrets, account.sealed_credentials, about);
  }
  // An onboarding is among a database's first requests; the rest of a large table is not read.
  const { rows } = await sql<{ business_id: number; request_id: string; sealed_answer: string }>`
    select business_id, request_id, sealed_answer
    from (select * from requests order by created_at limit 1000) oldest
    where sealed_answer is not null limit 1`.execute(db);
  const [kept] = rows;
  if (!kept) return true;
  const about = `answer ${keyText({ businessId: kept.business_id, requestId: kept.request_id })}`;
  return opens(secrets, kept.sealed_answer, about);
}

function opens(secrets: Secrets, sealed: string, about: string): boolean {
  try {
    secrets.open(sealed, about);
    return true;
  } catch {
    return false;
  }
}
