import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import type { Log } from '../core/log.ts';
import { gaugeOf, labelled, type MetricFamily } from '../core/metrics.ts';
import { type JobQueue, mostJobsCounted } from '../core/queue/index.ts';
import { type LivingWorker, livingWorkers, metricsOfWorkers } from './heartbeat.ts';

/** Several servers, or somebody in a loop, ask no more often than that. */
const keptForMs = 5_000;
/** Counts of what is kept for good end there, as those of jobs do. */
const mostCounted = mostJobsCounted;
/** Receipts that a person or a worker still has to do with. */
const unsettled = ['quarantined', 'kept', 'failed'];

/**
 * What the database says of all processes together: every server tells the same. Each count ends at a bound and
 * has an index, so a look costs the queues and never the rows.
 */
export function createGauges(parts: {
  db: Db;
  queue: JobQueue;
  /** Also those that nothing waits in. */
  queues: readonly string[];
  clock: Clock;
  log: Log;
}): () => Promise<MetricFamily[]> {
  const { clock, log } = parts;
  let kept: { at: number; families: Promise<MetricFamily[]> } | null = null;
  return () => {
    const now = clock.now();
    if (!kept || now - kept.at >= keptForMs)
      kept = {
        at: now,
        // Whatever is wrong there, what this process counts is told all the same.
        families: look(parts).catch((error: unknown) => {
          log.warn({ err: error }, 'the database could not be asked for metrics');
          return [up(0)];
        }),
      };
    return kept.families;
  };
}

const up = (value: 0 | 1) =>
  gaugeOf('omega_database_up', 'Whether the database could be asked for what follows.', [{ value }]);

async function look({ db, queue, queues }: Parameters<typeof createGauges>[0]): Promise<MetricFamily[]> {
  const depths = await queue.depth();
  const names = [...new Set([...queues, ...depths.map((depth) => depth.queue)])].sort();
  const letters = await counts(
    db,
    names,
    (name) => sql`select 1 from dead_letters d where d.queue = ${name} order by d.dead_letter_id`,
  );
  const receipts = await counts(
    db,
    unsettled,
    (name) => sql`select 1 from webhook_receipts r where r.state = ${name} order by r.receipt_id desc`,
  );
  const workers = await livingWorkers(db);
  return [
    up(1),
    ...ofQueues(names, new Map(depths.map((depth) => [depth.queue, depth]))),
    gaugeOf(
      'omega_dead_letters',
      `Jobs that failed each time they were tried, by queue; ${mostCounted} is that many or more.`,
      letters.map(({ name, count }) => ({ labels: { queue: name }, value: count })),
    ),
    gaugeOf(
      'omega_webhook_receipts',
      `What carriers posted, by state: quarantined, kept (to be applied yet), failed; ${mostCounted} is that many or more.`,
      receipts.map(({ name, count }) => ({ labels: { state: name }, value: count })),
    ),
    ...ofWorkers(workers),
    ...(await metricsOfWorkers(db)).flatMap(({ name, metrics }) => labelled(metrics, { process: name })),
  ];
}

function ofQueues(
  names: readonly string[],
  depths: ReadonlyMap<string, { due: number; later: number; running: number; oldestDueS: number | null }>,
): MetricFamily[] {
  const states = ['due', 'later', 'running'] as const;
  return [
    gaugeOf(
      'omega_queue_jobs',
      `Jobs by queue: due, waiting for later, running; ${mostJobsCounted} is that many or more.`,
      names.flatMap((queue) =>
        states.map((state) => ({ labels: { queue, state }, value: depths.get(queue)?.[state] ?? 0 })),
      ),
    ),
    gaugeOf(
      'omega_queue_oldest_due_seconds',
      'How long the oldest job that is due has been, by queue; 0 where none is.',
      names.map((queue) => ({
        labels: { queue },
        value: Math.max(0, depths.get(queue)?.oldestDueS ?? 0),
      })),
    ),
  ];
}

function ofWorkers(workers: readonly LivingWorker[]): MetricFamily[] {
  return [
    gaugeOf('omega_workers', 'Processes that work on the queues and showed it within half a minute.', [
      { value: workers.length },
    ]),
    gaugeOf(
      'omega_worker_heartbeat_age_seconds',
      'How long ago each worker last showed that it lives.',
      workers.map(({ name, ageS }) => ({ labels: { process: name }, value: ageS })),
    ),
  ];
}

/**
 * How many rows there are of each name, up to the bound.
 *
 * @param rowsOf in the order of an index: without it the planner, which cannot know of which name there are how many,
 * would read 300,000 receipts for the 10,000 that it counts (0.8 s)
 */
async function counts(
  db: Db,
  names: readonly string[],
  rowsOf: (name: ReturnType<typeof sql.ref>) => ReturnType<typeof sql>,
): Promise<{ name: string; count: number }[]> {
  const { rows } = await sql<{ name: string; count: number }>`
    select n.name, (select count(*)::int from (${rowsOf(sql.ref('n.name'))} limit ${mostCounted}) c) as count
    from unnest(${names}::text[]) as n(name) order by n.name`.execute(db);
  return rows;
}
