import type { Db, Tx } from '../core/db/index.ts';
import { answer, type Binding, type Cursors, cappedCount, pageOf, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { businessFor } from './access.ts';
import { listLocations } from './locations.ts';
import { type OnboardingStep, writeBusiness } from './onboard.ts';
import { onboardQueue } from './onboarding-jobs.ts';
import { listStaffs, presentStaff, staffProfile } from './staffs.ts';

export function businessRoutes({
  queue,
  secrets,
  cursors,
}: {
  queue: JobQueue;
  secrets: Secrets;
  cursors: Cursors;
}): Binding[] {
  return [
    read('listLocations', async (db, { businessId, query }) => {
      await businessFor(db, businessId);
      const { limit = 25, cursor } = query;
      const about = ['listLocations', businessId];
      const after = cursor === undefined ? null : Number(cursors.decode(about, cursor)[0]);
      const page = pageOf(
        await listLocations(db, businessId, limit, after),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.location_id],
      );
      return answer(200, { data: page.rows, next_cursor: page.next_cursor, has_more: page.has_more });
    }),

    read('listStaffs', async (db, { businessId, query }) => {
      await businessFor(db, businessId);
      const { limit = 25, cursor, ...named } = query;
      const filters = { q: named.q, role: named.role, locationId: named.location_id, active: named.active };
      const about = ['listStaffs', businessId, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const page = pageOf(
        await listStaffs(
          db,
          businessId,
          filters,
          limit,
          place && { name: String(place[0]), staffId: Number(place[1]) },
        ),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.sort_name, row.staff_id],
      );
      return answer(200, {
        data: page.rows.map(presentStaff),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    read('getStaff', async (db, { businessId, params }) => {
      await businessFor(db, businessId);
      const row = await staffProfile(db, businessId, params.staff_id);
      return answer(200, {
        ...presentStaff(row),
        locations: row.locations,
        conversations: {
          open: cappedCount(row.open),
          unread: cappedCount(row.unread),
          waiting: cappedCount(row.waiting),
        },
        created_at: row.created_at.toISOString(),
        updated_at: row.updated_at.toISOString(),
      });
    }),

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
