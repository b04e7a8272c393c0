import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction } from '../core/db/index.ts';
import type { JobHandler, JobQueue, QueueDefinition } from '../core/queue/index.ts';
import { runEveryMs } from './policy.ts';
import { purgeBatch } from './purge.ts';

/** Takes away what a business keeps no longer. */
export const purgeQueue: QueueDefinition<{ business_id: number }> = {
  name: 'purge-content',
  leaseS: 60,
  retryLimit: 5,
};

export interface Retention {
  db: Db;
  queue: JobQueue;
  clock: Clock;
}

/** How long one business is worked on before the others have their turn. Well within the lease. */
const turnMs = 5_000;
/** Businesses whose runs begin together; the next ones at the next look. */
const startedAtOnce = 100;

/** Has a run begin for each business that is due. Each is due again in an hour, whatever becomes of the run. */
export async function startDueRuns({ db, queue, clock }: Retention): Promise<number> {
  const now = new Date(clock.now());
  return inTransaction(db, async (tx) => {
    const { rows } = await sql<{ business_id: number }>`
      update retention set due_at = ${new Date(now.getTime() + runEveryMs)}
      where business_id in (
        select business_id from retention where due_at <= ${now}
        order by due_at limit ${startedAtOnce} for update skip locked)
      returning business_id`.execute(tx);
    await queue.insert(
      tx,
      purgeQueue,
      rows.map(({ business_id }) => ({ data: { business_id } })),
    );
    return rows.length;
  });
}

/** One business after the other, a batch a transaction; who has more than a turn's worth queues up again. */
export function retentionJobs({ db, queue, clock }: Retention): JobHandler<never>[] {
  async function takeTurn(businessId: number): Promise<void> {
    const ends = performance.now() + turnMs;
    const batch = () => inTransaction(db, (tx) => purgeBatch(tx, new Date(clock.now()), businessId));
    while (await batch()) {
      if (performance.now() < ends) continue;
      await inTransaction(db, (tx) => queue.insert(tx, purgeQueue, [{ data: { business_id: businessId } }]));
      return;
    }
  }

  const handler: JobHandler<{ business_id: number }> = {
    queue: purgeQueue,
    batchSize: 1,
    concurrency: 1,
    async run([job]) {
      try {
        await takeTurn(job!.data.business_id);
        return new Map();
      } catch (error) {
        return new Map([[job!.id, error as Error]]);
      }
    },
  };
  return [handler as unknown as JobHandler<never>];
}
