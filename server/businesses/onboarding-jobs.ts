import type { Carriers, Problem } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobHandler, JobQueue, QueueDefinition } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { askCarriers } from './ask-carriers.ts';
import { carrierSteps, type OnboardingStep } from './onboard.ts';

interface OnboardData {
  business_id: number;
  /** The business was brought in before: only its carriers are asked anew. */
  again?: boolean;
}

export const onboardQueue: QueueDefinition<OnboardData> = {
  name: 'onboard-business',
  leaseS: 120,
  retryLimit: 10,
};

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
 * Has the steps that speak with carriers done anew, in the transaction of a change that those must hear of.
 * The business must be locked.
 */
export async function askCarriersAgain(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
): Promise<void> {
  const steps = await tx
    .selectFrom('onboarding_steps')
    .select('status')
    .where('business_id', '=', businessId)
    .execute();
  await tx
    .updateTable('onboarding_steps')
    .set({ status: 'pending', error: null, remedy: null, updated_at: now })
    .where('business_id', '=', businessId)
    .where('name', 'in', [...carrierSteps])
    .execute();
  const again = steps.every(({ status }) => status === 'done' || status === 'skipped');
  await queue.insert(tx, onboardQueue, [{ data: { business_id: businessId, ...(again && { again }) } }]);
}

/**
 * The steps of an onboarding that speak with carriers. Each is safe to repeat: after a crash the
 * job is claimed again and goes on with the first step that is not done.
 */
export function onboardingJobs(options: JobOptions): JobHandler<never>[] {
  const { db, clock } = options;
  const now = () => new Date(clock.now());

  async function onboard({ business_id: businessId, again }: OnboardData): Promise<void> {
    const steps = await db
      .selectFrom('onboarding_steps')
      .select(['name', 'status'])
      .where('business_id', '=', businessId)
      .where('name', 'in', [...carrierSteps])
      .orderBy('position')
      .execute();
    let failed = false;
    for (const step of steps) {
      if (step.status === 'done' || step.status === 'skipped') continue;
      await setStep(db, now(), businessId, step.name, { status: 'running' });
      const result = await runStep(step.name as OnboardingStep, businessId, options);
      await setStep(db, now(), businessId, step.name, result, { only: 'running' });
      // The next one all the same: whoever mends it wants to see everything that is wrong at once.
      failed ||= result.status === 'failed';
    }
    if (failed || again) return;
    const by: Origin = { actor: { type: 'system', id: null }, origin: {} };
    await inTransaction(db, (tx) =>
      recordEvents(tx, now(), [
        { businessId, type: 'business.onboarded', by, data: { business_id: businessId } },
      ]),
    );
  }

  const handler: JobHandler<OnboardData> = {
    queue: onboardQueue,
    batchSize: 1,
    concurrency: 1,
    async run(jobs) {
      const failed = new Map<string, Error>();
      for (const job of jobs) {
        try {
          await onboard(job.data);
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

/** @param only where it still stands there: a step that was set back meanwhile has its next job waiting */
async function setStep(
  db: Db,
  now: Date,
  businessId: number,
  name: string,
  result: { status: 'running' | StepResult['status']; error?: string; remedy?: string },
  { only }: { only?: 'running' } = {},
): Promise<void> {
  await db
    .updateTable('onboarding_steps')
    .set({
      status: result.status,
      error: result.error ?? null,
      remedy: result.remedy ?? null,
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .where('name', '=', name)
    .$if(only !== undefined, (query) => query.where('status', '=', only!))
    .execute();
}

async function runStep(name: OnboardingStep, businessId: number, options: JobOptions): Promise<StepResult> {
  const checks = await askCarriers(options, businessId, name === 'test_message' ? 'check' : 'connect');
  if (checks.length === 0) return { status: 'skipped', remedy: 'Add senders to be able to send.' };
  const problems = checks.flatMap((check) => check.problems);
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
