import type { CarrierSender, Carriers, Problem } from '../channels/index.ts';
import { type Db, faultOfDatabaseError } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { type Provider, readProviderAccount } from './provider-accounts.ts';

/** How long a carrier may take to answer a check of one account, in all. */
const checkDeadlineMs = 15_000;

/** What a carrier said of one of a business's accounts and of the senders that use it. */
export interface CarrierCheck {
  provider: string;
  senders: CarrierSender[];
  /** None where all is well. */
  problems: Problem[];
}

/**
 * Asks each carrier of a business about its account and all of its senders: the same questions at
 * onboarding and at any time after (`omega doctor --business`). Nothing is sent to anybody.
 *
 * @param act `connect` tells the carrier where to call us back, `check` asks whether all is well
 * @returns one for each carrier that a sender uses; none for a business without senders
 */
export async function askCarriers(
  { db, secrets, carriers, apiUrl }: { db: Db; secrets: Secrets; carriers: Carriers; apiUrl: string },
  businessId: number,
  act: 'connect' | 'check',
): Promise<CarrierCheck[]> {
  const senders = await db
    .selectFrom('senders')
    .select(['channel', 'address', 'provider', 'reply_domain as replyDomain'])
    .where('business_id', '=', businessId)
    .where('active', '=', true)
    .orderBy('created_at')
    .orderBy('sender_id')
    .execute();
  const checks: CarrierCheck[] = [];
  for (const [provider, theirs] of Map.groupBy(senders, (sender) => sender.provider)) {
    checks.push({ provider, senders: theirs, problems: await problemsWith(provider, theirs) });
  }
  return checks;

  async function problemsWith(provider: string, theirs: CarrierSender[]): Promise<Problem[]> {
    const about = theirs[0]!.address;
    const carrier = carriers.get(provider);
    if (!carrier) {
      const others = [...carriers.keys()].join(', ') || 'none';
      const remedy = `Choose one of ${others} as the sender's provider, and post the onboarding again.`;
      return [{ about, error: `This Omega has no carrier ${provider}.`, remedy }];
    }
    const stranger = theirs.find(({ channel }) => !carrier.channels.includes(channel));
    if (stranger) {
      const remedy = 'Choose another provider for this sender, and post the onboarding again.';
      return [{ about: stranger.address, error: `${provider} does not carry ${stranger.channel}.`, remedy }];
    }
    const again = `Send providers.${carrier.account} with the onboarding again.`;
    try {
      const account =
        carrier.account === null
          ? null
          : await readProviderAccount(db, secrets, businessId, carrier.account as Provider);
      if (carrier.account !== null && !account)
        return [
          {
            about,
            error: `There are no credentials for ${carrier.account}${carrier.account === provider ? '' : `, with which ${provider} sends`}.`,
            remedy: again,
          },
        ];
      const signal = AbortSignal.timeout(checkDeadlineMs);
      return act === 'check'
        ? await carrier.check(account, theirs, signal)
        : ((await carrier.connect?.(account, theirs, apiUrl, signal)) ?? []);
    } catch (error) {
      if (faultOfDatabaseError(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      return [
        {
          about: null,
          error: `${provider} could not be asked: ${why}`,
          remedy: `Look whether ${provider} can be reached from here and its credentials are right, then post the onboarding again.`,
        },
      ];
    }
  }
}
