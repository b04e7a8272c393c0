import { sql } from 'kysely';
import type { Static } from 'typebox';
import type { ReadinessCheck } from '../../contract/index.ts';
import { appliedMigration, type Db, newestMigration } from '../core/db/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { livingWorkers } from './heartbeat.ts';

export type Check = Static<typeof ReadinessCheck>;
type Found = Omit<Check, 'name'>;

/** Monitors give up after some seconds; an answer that says why is worth more to them than none. */
const answerWithinMs = 3_000;
/** A worker that keeps up begins what is due within a second or two; so late, clients notice. */
const longestDueS = 300;

const ok = (detail: string): Found => ({ state: 'ok', detail, remedy: null });
const failed = (detail: string, remedy: string): Found => ({ state: 'failed', detail, remedy });

/** Looks whether messages get out. Whoever asks while it is being looked at gets the same answer. */
export function createReadiness(db: Db, queue: JobQueue): () => Promise<Check[]> {
  let looking: Promise<Check[]> | null = null;
  return () => {
    looking ??= look(db, queue).finally(() => {
      looking = null;
    });
    return looking;
  };
}

async function look(db: Db, queue: JobQueue): Promise<Check[]> {
  const steps: [Check['name'], () => Promise<Found>][] = [
    ['database', () => database(db)],
    ['migrations', () => migrations(db)],
    ['worker', () => worker(db)],
    ['queue', () => oldestJob(queue)],
  ];
  const until = performance.now() + answerWithinMs;
  const checks: Check[] = [];
  for (const [name, step] of steps) {
    // What cannot be reached, or has tables of another version, answers nothing more. Without a worker it does.
    if (checks.some((before) => before.name !== 'worker' && before.state !== 'ok')) {
      checks.push({ name, ...unknown });
      continue;
    }
    const found = await within(until - performance.now(), step()).catch(() => unreachable);
    checks.push({ name, ...found });
  }
  return checks;
}

const unknown: Found = {
  state: 'unknown',
  detail: 'Not looked at, because of a check before it.',
  remedy: null,
};
const unreachable = failed(
  `The database did not answer within ${answerWithinMs / 1000} s, or refused to.`,
  'See that Postgres runs and is reached by DATABASE_URL (`omega doctor`), and what it is busy with (pg_stat_activity).',
);

async function database(db: Db): Promise<Found> {
  await sql`select 1`.execute(db);
  return ok('It answers.');
}

async function migrations(db: Db): Promise<Found> {
  const [applied, newest] = [await appliedMigration(db), await newestMigration()];
  if (applied === newest) return ok('The schema is this version.');
  return failed(
    `The schema is at ${applied ?? 'nothing'}, this version needs ${newest}.`,
    'Run `omega migrate`; where the schema is newer, update Omega.',
  );
}

async function worker(db: Db): Promise<Found> {
  const { length } = await livingWorkers(db);
  if (length > 0) return ok(`${length} ${length === 1 ? 'works' : 'work'} on the queues.`);
  return failed(
    'No worker has shown that it lives for half a minute: nothing is sent.',
    'Start one with `omega worker`, or everything in one process with `omega start`; see its log where one should run.',
  );
}

async function oldestJob(queue: JobQueue): Promise<Found> {
  const waiting = (await queue.depth()).filter(({ oldestDueS }) => oldestDueS !== null);
  const [oldest] = waiting.sort((a, b) => b.oldestDueS! - a.oldestDueS!);
  if (!oldest) return ok('Nothing that is due waits.');
  const seconds = Math.max(0, Math.round(oldest.oldestDueS!));
  const detail = `The oldest job of ${oldest.queue} has been due for ${seconds} s.`;
  if (seconds <= longestDueS) return ok(detail);
  return failed(
    detail,
    'Start more workers (`omega worker`); see in the log and in `omega_carrier_call_duration_seconds` what holds up those that run.',
  );
}

/** The work goes on where it takes longer; what becomes of it then is nobody's concern. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
