import type { Carriers, Problem } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, faultOfDatabaseError, inTransaction, type Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobHandler, QueueDefinition } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { carrierSteps, type OnboardingStep } from './onboard.ts';
import { type Provider, readProviderAccount } from './provider-accounts.ts';

export const onboardQueue: QueueDefinition<{ business_id: number }> = {
  name: 'onboard-business',
  leaseS: 120,
  retryLimit: 10,
};

/** How long a carrier may take to answer a check. */
const checkDeadlineMs = 15_000;

interface JobOptions {
  db: Db;
  clock: Clock;
  secrets: Secrets;
  carriers: Carriers;
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
}

interface StepResult {
  status: 'done' | 'failed' | 'skipped';
  error?: string;
  remedy?: string;
}

/**
 * The steps of an onboarding that speak with carriers. Each is safe to repeat: after a crash the
 * job is claimed again and goes on with the first step that is not done.
 */
export function onboardingJobs(options: JobOptions): JobHandler<never>[] {
  const { db, clock } = options;
  const now = () => new Date(clock.now());

  async function onboard(businessId: number): Promise<void> {
    const steps = await db
      .selectFrom('onboarding_steps')
      .select(['name', 'status'])
      .where('business_id', '=', businessId)
      .where('name', 'in', [...carrierSteps])
      .orderBy('position')
      .execute();
    for (const step of steps) {
      if (step.status === 'done' || step.status === 'skipped') continue;
      await setStep(db, now(), businessId, step.name, { status: 'running' });
      const result = await runStep(step.name as OnboardingStep, businessId, options);
      await inTransaction(db, async (tx) => {
        await setStep(tx, now(), businessId, step.name, result);
      });
      if (result.status === 'failed') return;
    }
    const by: Origin = { actor: { type: 'system', id: null }, origin: {} };
    await inTransaction(db, (tx) =>
      recordEvents(tx, now(), [
        { businessId, type: 'business.onboarded', by, data: { business_id: businessId } },
      ]),
    );
  }

  const handler: JobHandler<{ business_id: number }> = {
    queue: onboardQueue,
    batchSize: 1,
    concurrency: 1,
    async run(jobs) {
      const failed = new Map<string, Error>();
      for (const job of jobs) {
        try {
          await onboard(job.data.business_id);
        } catch (error) {
          failed.set(job.id, error as Error);
        }
      }
      return failed;
    },
    async bury(tx, data, error) {
      await tx
        .updateTable('onboarding_steps')
        .set({ status: 'failed', error, remedy: 'Post the same onboarding again.', updated_at: now() })
        .where('business_id', '=', data.business_id)
        .where('status', 'in', ['pending', 'running'])
        .execute();
    },
  };
  return [handler as unknown as JobHandler<never>];
}

async function setStep(
  tx: Tx | Db,
  now: Date,
  businessId: number,
  name: string,
  result: { status: 'running' | StepResult['status']; error?: string; remedy?: string },
): Promise<void> {
  await tx
    .updateTable('onboarding_steps')
    .set({
      status: result.status,
      error: result.error ?? null,
      remedy: result.remedy ?? null,
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .where('name', '=', name)
    .execute();
}

/** What carriers say of a business's accounts and senders. */
export interface Asked {
  senders: number;
  problems: Problem[];
}

/**
 * Asks each carrier about all of a business's senders at once: `check` sends nothing and changes nothing,
 * `connect` tells carriers where to call us back.
 */
export async function askCarriers(
  what: 'check' | 'connect',
  businessId: number,
  { db, secrets, carriers, apiUrl }: Omit<JobOptions, 'clock'>,
): Promise<Asked> {
  const senders = await db
    .selectFrom('senders')
    .select(['channel', 'address', 'provider', 'reply_domain as replyDomain'])
    .where('business_id', '=', businessId)
    .where('active', '=', true)
    .orderBy('created_at')
    .orderBy('sender_id')
    .execute();
  const problems: Problem[] = [];
  for (const [provider, theirs] of Map.groupBy(senders, (sender) => sender.provider)) {
    const carrier = carriers.get(provider);
    if (!carrier) {
      problems.push({
        about: theirs[0]!.address,
        error: `this Omega has no carrier ${provider}.`,
        remedy: `Choose one of ${[...carriers.keys()].join(', ') || 'none'} as the sender's provider, and post the onboarding again.`,
      });
      continue;
    }
    const stranger = theirs.find(({ channel }) => !carrier.channels.includes(channel));
    if (stranger) {
      problems.push({
        about: stranger.address,
        error: `${provider} does not carry ${stranger.channel}.`,
        remedy: 'Choose another provider for this sender, and post the onboarding again.',
      });
      continue;
    }
    let account: Awaited<ReturnType<typeof readProviderAccount>> = null;
    try {
      if (carrier.account !== null)
        account = await readProviderAccount(db, secrets, businessId, carrier.account as Provider);
    } catch (error) {
      if (faultOfDatabaseError(error)) throw error;
      problems.push({
        about: theirs[0]!.address,
        error: `the credentials for ${carrier.account} cannot be read with this OMEGA_SECRET.`,
        remedy: `Set OMEGA_SECRET to what it was, or send providers.${carrier.account} with the onboarding again.`,
      });
      continue;
    }
    if (carrier.account !== null && !account) {
      problems.push({
        about: theirs[0]!.address,
        error: `there are no credentials for ${carrier.account}${carrier.account === provider ? '' : `, with which ${provider} sends`}.`,
        remedy: `Send providers.${carrier.account} with the onboarding again.`,
      });
      continue;
    }
    const signal = AbortSignal.timeout(checkDeadlineMs);
    problems.push(
      ...(what === 'check'
        ? await carrier.check(account, theirs, signal)
        : ((await carrier.connect?.(account, theirs, apiUrl, signal)) ?? [])),
    );
  }
  return { senders: senders.length, problems };
}

async function runStep(name: OnboardingStep, businessId: number, options: JobOptions): Promise<StepResult> {
  const what = name === 'test_message' ? 'check' : 'connect';
  const { senders, problems } = await askCarriers(what, businessId, options);
  if (senders === 0) return { status: 'skipped', remedy: 'Add senders to be able to send.' };
  const faults = problems.filter(({ hint }) => !hint);
  if (faults.length > 0) return failedFor(faults);
  const hints = problems.map(({ about, error, remedy }) => `${about}: ${error} ${remedy}`);
  return { status: 'done', ...(hints.length > 0 && { remedy: hints.join(' ') }) };
}

function failedFor(problems: Problem[]): StepResult {
  const errors = problems.map(({ about, error }) => (about === null ? error : `${about}: ${error}`));
  const remedies = new Set(problems.map(({ remedy }) => remedy));
  return { status: 'failed', error: errors.join(' '), remedy: [...remedies].join(' ') };
}
