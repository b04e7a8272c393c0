import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../server/core/clock.ts';
import { type Database, inTransaction, migrate, openDatabase } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createJobQueue, type JobHandler, type QueueDefinition } from '../../server/core/queue/index.ts';
import { connect, rowsOf, startPostgres, type TestPostgres } from '../support/postgres.ts';

/** What every queue promises, whatever its jobs are: tried here on one of the test's own. */
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

type Data = { business_id: number; is: string };
/** The first failure of its own is the last. */
const trial: QueueDefinition<Data> = { name: 'trial', leaseS: 60, retryLimit: 0 };

async function withQueue(
  name: string,
  handler: (database: Database) => Omit<JobHandler<Data>, 'queue'>,
  act: (enqueue: (jobs: Data[]) => Promise<void>, url: string) => Promise<void>,
): Promise<void> {
  const url = await postgres.createDatabase(name);
  const database = await openDatabase(
    { kind: 'postgres', url, poolSize: 4, lockTimeoutMs: 100 },
    () => undefined,
  );
  await migrate(database.db);
  const queue = createJobQueue(database, {
    queues: [trial],
    log: createLog({ level: 'silent', pretty: false }),
    clock: systemClock,
    supervise: true,
  });
  await queue.start([{ ...handler(database), queue: trial } as JobHandler<Data> as never]);
  try {
    const enqueue = (jobs: Data[]) =>
      inTransaction(database.db, (tx) =>
        queue.insert(
          tx,
          trial,
          jobs.map((data) => ({ data })),
        ),
      );
    await act(enqueue, url);
  } finally {
    await queue.stop(1_000);
    await database.close();
  }
}

const patient = { timeout: 30_000 };

test('a job that meets a lock, however long, waits for it: the tries are for its own failures', async () => {
  const done: string[] = [];
  let refused = 0;
  await withQueue(
    'locked',
    ({ db }) => ({
      batchSize: 5,
      concurrency: 1,
      async run(jobs) {
        await inTransaction(db, (tx) => sql`lock table staffs`.execute(tx)).catch((error) => {
          refused++;
          throw error;
        });
        const failed = jobs.filter(({ data }) => data.is === 'at fault');
        done.push(...jobs.filter((job) => !failed.includes(job)).map(({ data }) => data.is));
        return new Map(failed.map(({ id }) => [id, new Error('Its own')]));
      },
    }),
    async (enqueue, url) => {
      const holder = await connect(url);
      await holder.query('begin');
      await holder.query('lock table staffs');
      await enqueue([
        { business_id: 1, is: 'good' },
        { business_id: 1, is: 'at fault' },
      ]);
      await expect.poll(() => refused, patient).toBeGreaterThan(0);
      await holder.query('rollback');
      await holder.end();
      await expect.poll(() => done, patient).toEqual(['good']);
      const buried = () =>
        rowsOf(url, `select job->>'is' as job, error->>'message' as error from dead_letters`);
      await expect.poll(buried, patient).toEqual([{ job: 'at fault', error: 'Its own' }]);
    },
  );
}, 60_000);

test('a carrier that is not reached counts as a failure, though its error looks like that of a database away', async () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  await withQueue(
    'carrier',
    () => ({ batchSize: 1, concurrency: 1, run: async ([job]) => new Map([[job!.id, refused]]) }),
    async (enqueue, url) => {
      await enqueue([{ business_id: 1, is: 'for a carrier' }]);
      const buried = () => rowsOf(url, `select job->>'is' as job from dead_letters`);
      await expect.poll(buried, patient).toEqual([{ job: 'for a carrier' }]);
    },
  );
}, 60_000);

test('a business whose jobs hang fills no batch that is kept for the others', async () => {
  const begun: string[] = [];
  const released = Promise.withResolvers<void>();
  await withQueue(
    'spare',
    () => ({
      batchSize: 2,
      concurrency: 2,
      spare: { most: 4, mostOfGroup: 2, batchSize: 2 },
      async run(jobs) {
        begun.push(...jobs.map(({ data }) => data.is));
        if (jobs.some(({ data }) => data.is === 'hangs')) await released.promise;
        return new Map();
      },
    }),
    async (enqueue) => {
      await enqueue(Array.from({ length: 20 }, () => ({ business_id: 1, is: 'hangs' })));
      await expect.poll(() => begun.length, patient).toBeGreaterThanOrEqual(4);
      await enqueue([{ business_id: 2, is: 'of another' }]);
      await expect.poll(() => begun, patient).toContain('of another');
      released.resolve();
    },
  );
}, 60_000);
