import type { Db, Tx } from '../core/db/index.ts';
import { answer, type Binding, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { businessFor } from './access.ts';
import { type OnboardingStep, writeBusiness } from './onboard.ts';
import { onboardQueue } from './onboarding-jobs.ts';

export function businessRoutes({ queue, secrets }: { queue: JobQueue; secrets: Secrets }): Binding[] {
  return [
    write('onboardBusiness', async (tx, { body, now }) => {
      const key = await writeBusiness(tx, now, body, secrets);
      await queue.insert(tx, onboardQueue, [{ data: { business_id: body.business_id } }]);
      const state = await onboardingState(tx, body.business_id);
      return answer(202, {
        business_id: body.business_id,
        status: state.status,
        ...(key && { api_key: key }),
        steps: state.steps,
      });
    }),

    read('getOnboarding', async (db, { businessId }) => {
      await businessFor(db, businessId);
      return answer(200, { business_id: businessId, ...(await onboardingState(db, businessId)) });
    }),
  ];
}

async function onboardingState(db: Db | Tx, businessId: number) {
  const rows = await db
    .selectFrom('onboarding_steps')
    .select(['name', 'status', 'error', 'remedy'])
    .where('business_id', '=', businessId)
    .orderBy('position')
    .execute();
  const steps = rows.map((row) => ({
    name: row.name as OnboardingStep,
    status: row.status,
    ...(row.error !== null && { error: row.error }),
    ...(row.remedy !== null && { remedy: row.remedy }),
  }));
  const failed = steps.some((step) => step.status === 'failed');
  const complete = steps.every((step) => step.status === 'done' || step.status === 'skipped');
  const status = failed ? ('failed' as const) : complete ? ('complete' as const) : ('running' as const);
  return { status, steps };
}
