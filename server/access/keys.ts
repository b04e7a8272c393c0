import type { Scope } from '../../contract/index.ts';
import type { Db, Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import { hashOfToken, newToken, sameText } from '../core/secrets.ts';

export const allScopes: readonly Scope[] = ['read', 'send', 'manage'];

export interface NewKey {
  /** Null: a platform key. */
  businessId: number | null;
  name: string;
  scopes: readonly Scope[];
  now: Date;
  expiresAt?: Date | null;
  /** A key given from outside (OMEGA_PLATFORM_KEY) in place of a drawn one. */
  given?: string;
}

/** Makes a key. Only its hash is kept: what this returns is shown once. */
export async function createKey(tx: Tx | Db, key: NewKey): Promise<{ keyId: string; key: string }> {
  const text = key.given ?? newToken(key.businessId === null ? 'omp_' : 'omk_');
  const keyId = newId();
  await tx
    .insertInto('api_keys')
    .values({
      key_id: keyId,
      business_id: key.businessId,
      name: key.name,
      hash: hashOfToken(text),
      hint: `${text.slice(0, 4)}…${text.slice(-4)}`,
      scopes: [...key.scopes],
      created_at: key.now,
      expires_at: key.expiresAt ?? null,
    })
    .execute();
  return { keyId, key: text };
}

/**
 * Makes the platform key of the environment the one that holds: known under its hash, and an
 * earlier one of the environment revoked.
 */
export async function adoptPlatformKey(db: Db, given: string, now: Date): Promise<void> {
  const hash = hashOfToken(given);
  const name = 'OMEGA_PLATFORM_KEY';
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('api_keys')
      .set({ revoked_at: now })
      .where('name', '=', name)
      .where('hash', '!=', hash)
      .where('revoked_at', 'is', null)
      .execute();
    const known = await tx
      .selectFrom('api_keys')
      .select('key_id')
      .where('hash', '=', hash)
      .executeTakeFirst();
    if (!known) await createKey(tx, { businessId: null, name, scopes: allScopes, now, given });
  });
}

export async function listKeys(db: Db, businessId?: number) {
  let query = db.selectFrom('api_keys').selectAll().orderBy('created_at');
  if (businessId !== undefined) query = query.where('business_id', '=', businessId);
  return query.execute();
}

/** @returns whether there was such a key to revoke */
export async function revokeKey(db: Db, keyId: string, now: Date): Promise<boolean> {
  const result = await db
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where('key_id', '=', keyId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The key by its text, if it holds now. One indexed statement. */
export async function findKey(db: Db, text: string, now: Date) {
  const hash = hashOfToken(text);
  const row = await db.selectFrom('api_keys').selectAll().where('hash', '=', hash).executeTakeFirst();
  if (!row || !sameText(row.hash, hash)) return null;
  if (row.revoked_at || (row.expires_at && row.expires_at <= now)) return null;
  return row;
}

const useNotedEveryMs = 60_000;

/**
 * Notes that a key was used, at most once a minute: a list of keys shows which ones live. The minute is
 * in the statement too, or a hundred requests at once would write it a hundred times.
 */
export async function noteKeyUse(
  db: Db,
  row: { key_id: string; last_used_at: Date | null },
  now: Date,
): Promise<void> {
  const minuteAgo = new Date(now.getTime() - useNotedEveryMs);
  if (row.last_used_at && row.last_used_at > minuteAgo) return;
  await db
    .updateTable('api_keys')
    .set({ last_used_at: now })
    .where('key_id', '=', row.key_id)
    .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<=', minuteAgo)]))
    .execute();
}
