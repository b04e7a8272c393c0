import { accountOf } from '../businesses/index.ts';
import type { Config } from '../config.ts';
import type { Db } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** A database of many businesses with one fault in common needs no line for each. */
const mostLines = 10;

/** Each sender's carrier: is there, and its credentials are, and open with this secret. */
export async function checkCarriers(db: Db, secrets: Secrets, config: Config): Promise<Finding[]> {
  const rows = await db
    .selectFrom('senders')
    .select(['business_id', 'channel', 'address', 'provider'])
    .where('active', '=', true)
    .orderBy('business_id')
    .orderBy('channel')
    .orderBy('address')
    .execute();
  const accounts = await db
    .selectFrom('provider_accounts')
    .select(['business_id', 'provider', 'sealed_credentials'])
    .execute();
  const sealed = new Map(
    accounts.map((one) => [`${one.business_id} ${one.provider}`, one.sealed_credentials]),
  );
  const senders = rows.map((row) => ({
    ...row,
    sealed_credentials: sealed.get(`${row.business_id} ${accountOf(row.provider)}`) ?? null,
  }));
  const wrong = senders.flatMap((sender) => wrongWith(sender, secrets, config) ?? []);
  const findings = wrong.slice(0, mostLines);
  if (wrong.length > mostLines) findings.push(fail('carriers', `and ${wrong.length - mostLines} more`));
  if (wrong.length === 0) {
    const businesses = new Set(senders.map((sender) => sender.business_id)).size;
    findings.push(
      ok('carriers', `${senders.length} senders of ${businesses} businesses have what they need to send`),
    );
  }
  if (senders.some((sender) => sender.provider !== 'simulator')) findings.push(...checkPublicUrl(config));
  return [...findings, ...(await checkPaused(db)), ...(await checkOnboardings(db))];
}

interface SenderFacts {
  business_id: number;
  channel: string;
  address: string;
  provider: string;
  sealed_credentials: string | null;
}

function wrongWith(sender: SenderFacts, secrets: Secrets, config: Config): Finding | null {
  const { business_id, provider } = sender;
  const who = `business ${business_id}, ${sender.channel} ${sender.address}`;
  if (provider === 'simulator') {
    if (config.simulator) return null;
    return fail(
      'carriers',
      `${who}: its carrier is the simulator, which is off`,
      'Set OMEGA_SIMULATOR=on, or onboard the business again with a real carrier.',
    );
  }
  const account = accountOf(provider);
  if (sender.sealed_credentials === null) {
    return fail(
      'carriers',
      `${who}: there are no credentials for ${account}`,
      `Post the onboarding again with providers.${account}.`,
    );
  }
  try {
    secrets.open(sender.sealed_credentials, `provider ${business_id} ${account}`);
    return null;
  } catch {
    return fail(
      'carriers',
      `${who}: the credentials for ${account} do not open with this secret`,
      `Set OMEGA_SECRET to what it was, or post the onboarding again with providers.${account}.`,
    );
  }
}

/** Carriers call back from outside. */
function checkPublicUrl({ publicUrl }: Config): Finding[] {
  const { hostname, protocol } = new URL(publicUrl);
  const isLocal = /^(localhost|127\.|0\.|10\.|192\.168\.|\[::1?\]$)/.test(hostname);
  if (!isLocal && protocol === 'https:') return [];
  return [
    warn(
      'carriers',
      `cannot call back at ${publicUrl}`,
      'Set OMEGA_PUBLIC_URL to the https address that leads here from outside.',
    ),
  ];
}

/** Accounts that their carrier refuses: nothing is sent with them. */
async function checkPaused(db: Db): Promise<Finding[]> {
  const paused = await db
    .selectFrom('provider_accounts')
    .select(['business_id', 'provider', 'paused_reason'])
    .where('paused_at', 'is not', null)
    .orderBy('paused_at')
    .limit(mostLines)
    .execute();
  return paused.map(({ business_id, provider, paused_reason }) =>
    fail(
      'carriers',
      `business ${business_id}: ${provider} refuses its account, so its messages wait: ${paused_reason}`,
      `Mend the account at ${provider}, or post the onboarding again with providers.${provider}.`,
    ),
  );
}

async function checkOnboardings(db: Db): Promise<Finding[]> {
  const failed = await db
    .selectFrom('onboarding_steps')
    .select(['business_id', 'name', 'error', 'remedy'])
    .where('status', '=', 'failed')
    .orderBy('updated_at', 'desc')
    .limit(mostLines)
    .execute();
  return failed.map((step) =>
    warn(
      'onboarding',
      `business ${step.business_id}, step ${step.name}: ${step.error ?? 'failed'}`,
      step.remedy ?? 'Post the onboarding again.',
    ),
  );
}
