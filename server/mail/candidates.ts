import { sql } from 'kysely';
import { accountNames, type FoundAccount, findProviderAccounts, type Provider } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Belief } from '../receipts/index.ts';
import { readReplyAddress } from './ids.ts';

/** The business that the URL names with `?business_id=`: whose account to try first, and no proof of anything. */
export function hintOf(webhook: RawWebhook): number[] {
  const hint = Number(URL.parse(webhook.url)?.searchParams.get('business_id') ?? Number.NaN);
  return isBusinessId(hint) ? [hint] : [];
}

export function isBusinessId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** Beyond so many, nobody's batch names more businesses. */
const mostNamed = 50;

/**
 * The businesses whose own credentials prove a webhook. Those that it names are tried first; where none of them
 * fits, any that has an account there. With one come all that share its account: what a provider posts for the one
 * it may as well post for the others.
 *
 * @param named by the URL, by metadata; anybody may name any
 * @param proves whether these credentials prove it; must compare in constant time
 */
export async function believe<P extends Provider>(
  { db, secrets }: { db: Db; secrets: Secrets },
  provider: P,
  named: readonly number[],
  proves: (account: FoundAccount<P>['credentials']) => boolean,
): Promise<Belief> {
  const businessIds = [...new Set(named)].slice(0, mostNamed);
  const judged = new Map<string, boolean>();
  const fitting = (accounts: FoundAccount<P>[]) =>
    accounts.filter(({ credentials }) => {
      const key = JSON.stringify(accountNames(provider, credentials));
      const fits = judged.get(key) ?? proves(credentials);
      judged.set(key, fits);
      return fits;
    });
  const find = (by: Parameters<typeof findProviderAccounts>[3]) =>
    findProviderAccounts(db, secrets, provider, by);
  const first = fitting(await find({ businessIds }));
  const proven = first.length > 0 ? first : fitting(await find('any'));
  if (proven.length > 0) {
    const names = proven.flatMap(({ credentials }) => accountNames(provider, credentials));
    const sharing = fitting(await find({ names }));
    const all = new Set([...proven, ...sharing].map(({ businessId }) => businessId));
    return { kind: 'believed', businessIds: [...all] };
  }
  const businessId = businessIds.length === 1 ? businessIds[0]! : null;
  const reason = `It fits the credentials of no business's account with ${provider}.`;
  return { kind: 'doubted', reason, businessId };
}

/** The businesses that mail to these addresses is for: by a reply address of ours, or as one of their senders, removed or not. */
export async function businessesOfRecipients(
  { db, secrets }: { db: Db; secrets: Secrets },
  addresses: readonly string[],
): Promise<number[]> {
  if (addresses.length === 0) return [];
  const replies = addresses.flatMap((address) => readReplyAddress(address, secrets)?.businessId ?? []);
  const { rows } = await sql<{ business_id: number }>`
    select distinct business_id from senders where channel = 'email'
      and address = any(${addresses.map(withoutTag)}::text[]) limit ${mostNamed}`.execute(db);
  return [...new Set([...replies, ...rows.map((row) => row.business_id)])];
}

/**
 * `hello+tag@lotus.example` comes to `hello@lotus.example`. No pattern: one that looks for an `@` after each plus takes
 * time with the square of their number.
 */
export function withoutTag(address: string): string {
  const lower = address.toLowerCase();
  const plus = lower.indexOf('+');
  const at = lower.indexOf('@', plus);
  return plus < 0 || at < 0 ? lower : lower.slice(0, plus) + lower.slice(at);
}
