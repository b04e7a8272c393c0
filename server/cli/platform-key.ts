import { sql } from 'kysely';
import { adoptPlatformKey, allScopes, createKey } from '../access/index.ts';
import { type Config, ConfigError } from '../config.ts';
import { type Db, inTransaction } from '../core/db/index.ts';
import { hashOfToken } from '../core/secrets.ts';

/**
 * Sees to the platform key of a start: adopts the one of the environment, or else makes the first
 * one of this database.
 *
 * @returns a key that was made now, to be shown once; null otherwise
 */
export async function firstPlatformKey(db: Db, config: Config): Promise<string | null> {
  const now = new Date();
  if (config.platformKey !== null) {
    await adoptPlatformKey(db, config.platformKey, now);
    await mustHold(db, config.platformKey);
    return null;
  }
  return inTransaction(db, async (tx) => {
    // Two first starts at once: the second waits here and finds the key of the first.
    await sql`lock table api_keys in share row exclusive mode`.execute(tx);
    const known = await tx
      .selectFrom('api_keys')
      .select('key_id')
      .where('business_id', 'is', null)
      .limit(1)
      .executeTakeFirst();
    // One that was revoked counts: a restart does not undo what somebody locked.
    if (known) return null;
    const { key } = await createKey(tx, { businessId: null, name: 'first start', scopes: allScopes, now });
    return key;
  });
}

async function mustHold(db: Db, given: string): Promise<void> {
  const row = await db
    .selectFrom('api_keys')
    .select(['business_id', 'revoked_at'])
    .where('hash', '=', hashOfToken(given))
    .executeTakeFirstOrThrow();
  if (row.business_id === null && row.revoked_at === null) return;
  throw new ConfigError(
    'OMEGA_PLATFORM_KEY was revoked, or is the key of a business: set it to another; make one with `openssl rand -hex 32`.',
  );
}
