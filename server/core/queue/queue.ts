import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import {
  fromKysely,
  fromPglite,
  type JobResult,
  type JobWithMetadata,
  PgBoss,
  type Clock as PgBossClock,
} from 'pg-boss';
import type { Clock } from '../clock.ts';
import { type Database, databaseWasInTheWay, inTransaction, type Tx } from '../db/index.ts';
import { newId } from '../ids.ts';
import type { Log } from '../log.ts';
import { makeDepthIndex, type QueueDepth, readDepth } from './depth.ts';
import { createSpare, type Spare, type SparePlaces } from './spare.ts';

/**
 * Jobs in the same database as what they are about (pg-boss, docs/adr/0002-queue.md): a job is
 * written in the caller's transaction, so it exists exactly when the change does.
 */
export interface JobQueue {
  /** Enqueues in the transaction. Delays are counted by the database's clock. */
  insert<Data extends object>(tx: Tx, queue: QueueDefinition<Data>, jobs: NewJob<Data>[]): Promise<void>;
  /** Makes the queues and starts the jobs that have a handler. */
  start(handlers: readonly JobHandler[]): Promise<void>;
  /** Claims no more jobs; those that run go on. What is enqueued still is. */
  stopFetching(): Promise<void>;
  /** Lets running jobs finish, for `graceMs` at most; what does not is claimed again after its lease. */
  stop(graceMs: number): Promise<void>;
  /** Resolves when no job is due and none runs. For tests, in place of a sleep. */
  settled(): Promise<void>;
  /** Of every queue that has any: its jobs, and how long the oldest has been due. Costs the queues, not the jobs. */
  depth(): Promise<QueueDepth[]>;
}

export interface QueueDefinition<Data extends object> {
  name: string;
  /** Seconds that a claimed job may take; then it is taken for lost and claimed again. */
  leaseS: number;
  /**
   * How often a job that throws is tried again before it goes to the dead letters. A database that is away or locked
   * is no fault of the job's, and does not count.
   */
  retryLimit: number;
  /** Only for the type. */
  data?: Data;
}

export interface NewJob<Data extends object> {
  data: Data;
  /** Not before so many seconds from now. */
  delayS?: number;
  /** Higher first; 0 unless told. */
  priority?: number;
  /** Whose it is, where a handler bounds how many of one run at once: the business of its data unless told. */
  group?: string;
}

export interface Job<Data extends object> {
  id: string;
  data: Data;
  /** How often it was claimed before. */
  retries: number;
}

export interface JobHandler<Data extends object = never> {
  queue: QueueDefinition<Data>;
  /** Jobs claimed together. */
  batchSize: number;
  /** Batches at work at once in this process. */
  concurrency: number;
  /** Jobs of one group at work at once in this process, at most `concurrency`; any number unless told. */
  perGroup?: number;
  /** Places beside those batches, for other groups than those that fill them. */
  spare?: SparePlaces;
  /** Works on the batch; answers the ids of the jobs that failed with their error. The rest is done. */
  run(jobs: Job<Data>[]): Promise<Map<string, Error>>;
  /** A job failed each time it was tried: what becomes of its subject, beside the dead letter. */
  bury?(tx: Tx, data: Data, error: string): Promise<void>;
}

/** Where jobs go that failed each time they were tried. */
const deadLetterQueue: QueueDefinition<object> = { name: 'dead-letter', leaseS: 60, retryLimit: 1000 };

export interface QueueOptions {
  queues: readonly QueueDefinition<object>[];
  log: Log;
  clock: Clock;
  /** A test's clock for the queue itself; the system's when left out. */
  queueClock?: PgBossClock;
  /** Whether this process looks after leases and retention. */
  supervise: boolean;
  /** Seconds of every lease, in place of the queues' own: a test of a killed worker need not wait half a minute. */
  leaseS?: number;
}

/** A lease that ran out is noticed within these seconds, so a killed worker's messages wait little. */
const superviseEveryS = 5;

/** A job that the database was in the way of is tried again after so many seconds, and up to as many more. */
const putOffS = 2;

export function createJobQueue(database: Database, options: QueueOptions): JobQueue {
  const { log } = options;
  const boss = new PgBoss({
    ...(database.pglite
      ? { db: fromPglite(database.pglite), backend: 'pglite' as const }
      : {
          connectionString: database.url!,
          max: 6,
          application_name: 'omega jobs',
          // Handed on to `pg`: a fetch from a half-open database must fail, or this worker would fetch no more.
          keepAlive: true,
          query_timeout: database.queryTimeoutMs!,
        }),
    useListenNotify: true,
    schedule: false,
    supervise: options.supervise,
    superviseIntervalSeconds: Math.min(superviseEveryS, options.leaseS ?? superviseEveryS),
    monitorIntervalSeconds: Math.min(superviseEveryS, options.leaseS ?? superviseEveryS),
    maintenanceIntervalSeconds: 3600,
    warningSlowQuerySeconds: 30,
    ...(options.queueClock && { clock: options.queueClock }),
  });
  boss.on('error', (error) => log.error({ err: error }, 'queue error'));
  boss.on('warning', (warning) => log.warn({ warning: warning.message }, 'queue warning'));
  const activity = new EventEmitter();
  let running = 0;
  /** pg-boss's ids of one worker of each queue. */
  const workers: string[] = [];
  const spares: Pick<Spare<never>, 'stopFetching' | 'ended'>[] = [];

  const queues = [deadLetterQueue, ...options.queues];

  async function work<Data extends object>(handler: JobHandler<Data>): Promise<void> {
    const { queue, batchSize, concurrency, perGroup } = handler;
    const spare = handler.spare && spareOf(handler, handler.spare);
    const id = await boss.work(
      queue.name,
      {
        batchSize,
        localConcurrency: concurrency,
        ...(perGroup !== undefined && { localGroupConcurrency: perGroup }),
        includeMetadata: true,
        perJobResults: true,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 1,
        notifyPollingIntervalSeconds: 1,
      },
      (jobs: JobWithMetadata<Data>[]) =>
        spare ? spare.usual(jobs, () => runBatch(handler, jobs)) : runBatch(handler, jobs),
    );
    workers.push(id);
    if (spare) spares.push(spare);
  }

  /** @returns what pg-boss writes down of each job */
  async function runBatch<Data extends object>(
    handler: JobHandler<Data>,
    jobs: JobWithMetadata<Data>[],
  ): Promise<JobResult[]> {
    running++;
    try {
      const failed = await failuresOf(handler, jobs);
      for (const [id, error] of failed)
        log.error({ err: error, queue: handler.queue.name, job: id }, 'job failed');
      const putOff = await putOffWhatWaits(handler.queue, jobs, failed);
      return jobs.map((job) => {
        const error = putOff.has(job.id) ? undefined : failed.get(job.id);
        return error
          ? { id: job.id, status: 'failed', output: { message: error.message } }
          : { id: job.id, status: 'completed' };
      });
    } finally {
      running--;
      // pg-boss settles the batch right after this returns.
      setImmediate(() => activity.emit('batch'));
    }
  }

  function spareOf<Data extends object>(
    handler: JobHandler<Data>,
    places: SparePlaces,
  ): Spare<JobWithMetadata<Data>> {
    const { name } = handler.queue;
    return createSpare({
      ...places,
      usual: handler,
      fetch: (batchSize, ignoreGroups) =>
        boss.fetch<Data>(name, { batchSize, ignoreGroups, includeMetadata: true }),
      async work(jobs) {
        try {
          const results = await runBatch(handler, jobs);
          const done = jobs.filter((_, i) => results[i]!.status === 'completed');
          if (done.length > 0) await boss.complete(name, done);
          for (const [i, { status, output }] of results.entries())
            if (status === 'failed') await boss.fail(name, jobs[i]!, output);
        } catch (error) {
          log.error(
            { err: error, queue: name },
            'jobs could not be settled: they run again after their lease',
          );
        }
      },
      failed: (error) => log.error({ err: error, queue: name }, 'queue error'),
    });
  }

  async function failuresOf<Data extends object>(
    handler: JobHandler<Data>,
    jobs: JobWithMetadata<Data>[],
  ): Promise<Map<string, Error>> {
    try {
      return await handler.run(jobs.map(({ id, data, retryCount }) => ({ id, data, retries: retryCount })));
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return new Map(jobs.map(({ id }) => [id, error]));
    }
  }

  /**
   * A minute's lock on a table, or a Postgres without connections to give, would use up all the tries of everything
   * that is due: what the database was in the way of goes back into the queue as a job that has not been tried. It is
   * written before the old one is done, so a crash in between leaves both, which handlers must bear.
   *
   * @returns the ids of those that are in the queue again
   */
  async function putOffWhatWaits<Data extends object>(
    { name }: QueueDefinition<Data>,
    jobs: JobWithMetadata<Data>[],
    failed: ReadonlyMap<string, Error>,
  ): Promise<Set<string>> {
    const waits = jobs.filter(({ id }) => databaseWasInTheWay(failed.get(id)));
    if (waits.length === 0) return new Set();
    try {
      await boss.insert(
        name,
        waits.map(({ data, priority, groupId }) => ({
          data,
          priority,
          startAfter: Math.ceil(putOffS * (1 + Math.random())),
          ...(groupId && { group: { id: groupId } }),
        })),
      );
      return new Set(waits.map(({ id }) => id));
    } catch (error) {
      log.warn({ err: error, queue: name }, 'jobs could not be put off: they are tried again as they are');
      return new Set();
    }
  }

  /** Keeps what failed for good where people look, and tells the job's own module. */
  async function workDeadLetters(handlers: readonly JobHandler[]): Promise<void> {
    const byQueue = new Map(
      handlers.map((handler) => [handler.queue.name, handler as unknown as JobHandler<object>]),
    );
    const id = await boss.work(
      deadLetterQueue.name,
      { batchSize: 1, includeMetadata: true, pollingIntervalSeconds: 1, notifyPollingIntervalSeconds: 1 },
      async ([job]: JobWithMetadata<object & { business_id?: number }>[]) => {
        if (!job) return;
        const queue = job.sourceName ?? 'unknown';
        const error =
          (job.sourceOutput as { message?: string } | null)?.message ?? 'The job took longer than its lease.';
        await inTransaction(database.db, async (tx) => {
          await byQueue.get(queue)?.bury?.(tx, job.data, error);
          await tx
            .insertInto('dead_letters')
            .values({
              dead_letter_id: newId(),
              queue,
              business_id: job.data.business_id ?? null,
              job: JSON.stringify(job.data),
              error: JSON.stringify({ message: error }),
              created_at: new Date(options.clock.now()),
            })
            .execute();
        });
        log.error(
          { queue, data: job.data, error },
          'job buried: it failed each time; `omega doctor` lists these',
        );
      },
    );
    workers.push(id);
  }

  /** Resolves when a batch of this process ends, or after so many milliseconds: others may work on the queue too. */
  function batchOr(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        activity.off('batch', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      activity.once('batch', done);
    });
  }

  return {
    async insert(tx, queue, jobs) {
      if (jobs.length === 0) return;
      await boss.insert(
        queue.name,
        jobs.map((job) => {
          const group = job.group ?? businessOf(job.data);
          return {
            data: job.data,
            startAfter: job.delayS ?? 0,
            priority: job.priority ?? 0,
            ...(group !== undefined && { group: { id: group } }),
          };
        }),
        { db: fromKysely(tx) },
      );
    },

    async start(handlers) {
      await boss.start();
      await makeDepthIndex(database.db);
      const made = new Map((await boss.getQueues()).map((queue) => [queue.name, queue]));
      for (const queue of queues) {
        const settings = {
          notify: true,
          expireInSeconds: options.leaseS ?? queue.leaseS,
          retryLimit: queue.retryLimit,
          retryDelay: 1,
          retryBackoff: true,
          retryDelayMax: 300,
          deleteAfterSeconds: 3600,
          retentionSeconds: 400 * 24 * 3600,
          ...(queue !== deadLetterQueue && { deadLetter: deadLetterQueue.name }),
        };
        // Most starts find all as they left it, and pg-boss has looked at its queues by now.
        const there = made.get(queue.name) as Record<string, unknown> | undefined;
        if (there && Object.entries(settings).every(([name, value]) => there[name] === value)) continue;
        // Makes it where it is missing, and brings a changed definition up to date.
        await boss.createQueue(queue.name, settings);
        await boss.updateQueue(queue.name, settings);
        // Warms pg-boss's cache of queues: a look-up inside a transaction would wait for ever on PGlite.
        await boss.insert(queue.name, []);
      }
      if (handlers.length > 0) await workDeadLetters(handlers);
      for (const handler of handlers) await work(handler as unknown as JobHandler<object>);
    },

    async stopFetching() {
      for (const spare of spares) spare.stopFetching();
      await Promise.all(queues.map((queue) => boss.offWork(queue.name, { wait: false })));
    },

    async stop(graceMs) {
      const begun = performance.now();
      await Promise.race([
        Promise.all(spares.map((spare) => spare.ended())),
        delay(graceMs, null, { ref: false }),
      ]);
      graceMs -= Math.min(graceMs, Math.round(performance.now() - begun));
      await boss.stop({ graceful: true, timeout: graceMs, close: true });
    },

    async settled() {
      for (;;) {
        const rows = await readDepth(database.db);
        if (running === 0 && rows.every((row) => row.due === 0 && row.running === 0)) return;
        // By themselves they look once a second, but a test's clock may stand still.
        if (running === 0) for (const id of workers) boss.notifyWorker(id);
        await batchOr(10);
      }
    },

    depth: () => readDepth(database.db),
  };
}

function businessOf(data: object): string | undefined {
  return 'business_id' in data ? String(data.business_id) : undefined;
}
