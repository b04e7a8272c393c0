import { createHash } from 'node:crypto';
import { validateRequest } from 'twilio/lib/webhooks/webhooks.js';
import { type FoundAccount, findProviderAccounts } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import { type Secrets, sameText } from '../core/secrets.ts';
import { storable } from '../core/storable.ts';
import type { Belief } from '../receipts/index.ts';
import { addressOf } from './addresses.ts';

/** What Twilio posted, by its own names; of a name that stands twice the first value. Without a prototype. */
export type TwilioForm = Record<string, string | undefined>;

/** Reads a form as Twilio posts it (application/x-www-form-urlencoded), whatever its content type says. */
export function readTwilioForm(webhook: Pick<RawWebhook, 'body'>): TwilioForm {
  const form: TwilioForm = Object.create(null);
  for (const [name, value] of new URLSearchParams(webhook.body.toString('utf8'))) form[name] ??= value;
  return form;
}

/**
 * Whether Twilio sent a webhook: its signature must fit the auth token, primary or secondary, of an account
 * that the webhook can belong to. Numbers in a Messaging Service's pool need not be known to us, so accounts
 * are looked for by everything it names: service, account, numbers, and the business in a URL of ours.
 *
 * https://www.twilio.com/docs/usage/webhooks/webhooks-security
 *
 * @returns believed for every business whose token fits: several may share one account
 */
export function createTwilioVerify({ db, secrets }: { db: Db; secrets: Secrets }) {
  return async function verify(webhook: RawWebhook): Promise<Belief> {
    const named = Number(new URL(webhook.url).searchParams.get('business_id') ?? Number.NaN);
    const business = Number.isSafeInteger(named) && named > 0 ? named : null;
    const doubted = (reason: string): Belief => ({ kind: 'doubted', reason, businessId: business });
    const signature = webhook.headers['x-twilio-signature'];
    if (signature === undefined) return doubted('It has no X-Twilio-Signature.');

    const accounts = await candidates(db, secrets, webhook, business);
    if (accounts.length === 0)
      return doubted('No business has the Twilio account, messaging service or number that it names.');
    const signed = accounts.filter(({ credentials: { auth_token, auth_token_secondary } }) =>
      isSigned(webhook, signature, [auth_token, auth_token_secondary]),
    );
    if (signed.length === 0)
      return doubted(
        'The signature fits no auth token of the account. Check the token, and that OMEGA_PUBLIC_URL is what Twilio calls; then replay it.',
      );
    const businessIds = signed.map(({ businessId }) => businessId);
    if (business === null) return { kind: 'believed', businessIds };
    // Signed with its URL, and that one names another business than the token's.
    if (!businessIds.includes(business))
      return doubted(`The signature fits no auth token of business ${business}.`);
    return { kind: 'believed', businessIds: [business] };
  };
}

async function candidates(
  db: Db,
  secrets: Secrets,
  webhook: RawWebhook,
  business: number | null,
): Promise<FoundAccount<'twilio'>[]> {
  const form = readTwilioForm(webhook);
  const url = new URL(webhook.url).searchParams;
  const value = (name: string) => form[name] ?? url.get(name) ?? undefined;
  const names = ['AccountSid', 'MessagingServiceSid'].flatMap((name) => value(name) ?? []);
  // A NUL in one would be the database's fault, and the webhook doubted for it.
  const numbers = storable(
    ['To', 'From', 'Called', 'Caller'].flatMap((name) => value(name) ?? []).map(addressOf),
  );
  const holders = numbers.length === 0 ? [] : await businessesWith(db, numbers);
  const businessIds = [...new Set([...(business === null ? [] : [business]), ...holders])];
  const found = [
    ...(await findProviderAccounts(db, secrets, 'twilio', { names })),
    ...(await findProviderAccounts(db, secrets, 'twilio', { businessIds })),
  ];
  return [...new Map(found.map((account) => [account.businessId, account])).values()];
}

async function businessesWith(db: Db, addresses: string[]): Promise<number[]> {
  const rows = await db
    .selectFrom('senders')
    .select('business_id')
    .distinct()
    .where('address', 'in', addresses)
    .where('provider', '=', 'twilio')
    .limit(200)
    .execute();
  return rows.map((row) => row.business_id);
}

/**
 * Whether the signature is one of these tokens' over the webhook's URL and body.
 *
 * The SDK tries exactly the forms of the URL that Twilio's back ends sign: with and without the port, and the
 * query escaped as they do. A body that is no form is signed by its SHA-256, which stands in the URL.
 */
export function isSigned(
  webhook: Pick<RawWebhook, 'url' | 'body'>,
  signature: string,
  tokens: readonly (string | undefined)[],
): boolean {
  const bodyHash = new URL(webhook.url).searchParams.get('bodySHA256');
  const params = bodyHash === null ? signedParams(webhook.body) : {};
  // Twilio posts some dozens; anyone can post a hundred thousand, to be sorted for each token.
  if (Object.keys(params).length > mostFields) return false;
  const fits = tokens
    .filter((token) => token !== undefined)
    // Every token is tried, also after one that fits: how long it takes tells nothing.
    .map((token) => validateRequest(token, signature, webhook.url, params))
    .includes(true);
  if (bodyHash === null) return fits;
  return fits && sameText(createHash('sha256').update(webhook.body).digest('hex'), bodyHash);
}

/** No form of Twilio's comes near it. */
const mostFields = 1_000;

/** A name that stands twice is signed with each of its values. */
function signedParams(body: Buffer): Record<string, string | string[]> {
  const all = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    const values = all.get(name);
    if (values) values.push(value);
    else all.set(name, [value]);
  }
  const params: Record<string, string | string[]> = Object.create(null);
  for (const [name, values] of all) params[name] = values.length === 1 ? values[0]! : values;
  return params;
}
