import { sql } from 'kysely';
import type { Db, Tx } from '../core/db/index.ts';

export interface AccountKey {
  businessId: number;
  provider: string;
}

/** Stops sending with accounts that their carrier refuses. @returns those that were not stopped before */
export async function pauseAccounts(
  tx: Tx,
  now: Date,
  accounts: (AccountKey & { reason: string })[],
): Promise<(AccountKey & { reason: string })[]> {
  const paused = [];
  for (const account of accounts) {
    const row = await tx
      .updateTable('provider_accounts')
      .set({ paused_at: now, paused_reason: account.reason })
      .where('business_id', '=', account.businessId)
      .where('provider', '=', account.provider)
      .where('paused_at', 'is', null)
      .returning('business_id')
      .executeTakeFirst();
    if (row) paused.push(account);
  }
  return paused;
}

/** @returns whether it was paused */
export async function resumeAccount(tx: Tx, { businessId, provider }: AccountKey): Promise<boolean> {
  const row = await tx
    .updateTable('provider_accounts')
    .set({ paused_at: null, paused_reason: null })
    .where('business_id', '=', businessId)
    .where('provider', '=', provider)
    .where('paused_at', 'is not', null)
    .returning('business_id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Of these accounts those that are paused. */
export async function pausedAmong(db: Db | Tx, accounts: AccountKey[]): Promise<AccountKey[]> {
  if (accounts.length === 0) return [];
  const asked = accounts.map(({ businessId, provider }) => ({ b: businessId, p: provider }));
  const { rows } = await sql<{ business_id: number; provider: string }>`
    select a.business_id, a.provider from provider_accounts a
    where a.paused_at is not null
      and (a.business_id, a.provider) in (select b, p from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, p text))`.execute(
    db,
  );
  return rows.map((row) => ({ businessId: row.business_id, provider: row.provider }));
}
