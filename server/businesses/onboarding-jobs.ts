import type { Carriers } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobHandler, QueueDefinition } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { carrierSteps, type OnboardingStep } from './onboard.ts';

export const onboardQueue: QueueDefinition<{ business_id: number }> = {
  name: 'onboard-business',
  leaseS: 120,
  retryLimit: 10,
};

/** How long a carrier may take to answer a check. */
const checkDeadlineMs = 15_000;

interface StepResult {
  status: 'done' | 'failed' | 'skipped';
  error?: string;
  remedy?: string;
}

/**
 * The steps of an onboarding that speak with carriers. Each is safe to repeat: after a crash the
 * job is claimed again and goes on with the first step that is not done.
 */
export function onboardingJobs(options: {
  db: Db;
  clock: Clock;
  secrets: Secrets;
  carriers: Carriers;
}): JobHandler<never>[] {
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

async function runStep(
  name: OnboardingStep,
  businessId: number,
  { db, secrets, carriers }: { db: Db; secrets: Secrets; carriers: Carriers },
): Promise<StepResult> {
  const senders = await db
    .selectFrom('senders')
    .leftJoin('provider_accounts as p', (join) =>
      join.onRef('p.business_id', '=', 'senders.business_id').onRef('p.provider', '=', 'senders.provider'),
    )
    .select(['senders.channel', 'senders.address', 'senders.provider', 'p.sealed_credentials'])
    .where('senders.business_id', '=', businessId)
    .where('senders.active', '=', true)
    .orderBy('senders.created_at')
    .execute();
  if (senders.length === 0) return { status: 'skipped', remedy: 'Add senders to be able to send.' };
  for (const sender of senders) {
    const carrier = carriers.get(sender.provider);
    if (!carrier) {
      return {
        status: 'failed',
        error: `${sender.address}: this Omega has no carrier ${sender.provider}.`,
        remedy: `Choose one of ${[...carriers.keys()].join(', ') || 'none'} as the sender's provider, and post the onboarding again.`,
      };
    }
    // The steps check in the order of trust: the account first, then each address with it.
    const account = sender.sealed_credentials
      ? JSON.parse(secrets.open(sender.sealed_credentials, `provider ${businessId} ${sender.provider}`))
      : null;
    if (carrier.needsAccount && !account) {
      return {
        status: 'failed',
        error: `${sender.address}: there are no credentials for ${sender.provider}.`,
        remedy: `Send providers.${sender.provider} with the onboarding again.`,
      };
    }
    if (name !== 'test_message') continue;
    const wrong = await carrier.verify(sender, account, AbortSignal.timeout(checkDeadlineMs));
    if (wrong) return { status: 'failed', error: `${sender.address}: ${wrong.error}`, remedy: wrong.remedy };
  }
  return { status: 'done' };
}
