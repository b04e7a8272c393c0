import { sql } from 'kysely';
import { systemClock } from '../core/clock.ts';
import type { Database, Db } from '../core/db/index.ts';
import { createLog } from '../core/log.ts';
import { createJobQueue } from '../core/queue/index.ts';
import { type Finding, ok, warn } from './finding.ts';

/** More than a worker clears in a breath: it is behind, or there is none. */
const manyDue = 1_000;
const latestShown = 3;

/** What waits, and what failed for good. */
export async function checkQueues(database: Database): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { rows } = await sql<{ made: boolean }>`select to_regclass('pgboss.job') is not null as made`.execute(
    database.db,
  );
  if (rows[0]!.made) {
    const log = createLog({ level: 'silent', pretty: false });
    const queue = createJobQueue(database, { queues: [], log, clock: systemClock, supervise: false });
    findings.push(...(await queue.depth()).map(depthOf));
  }
  if (findings.length === 0) findings.push(ok('queues', 'empty'));
  return [...findings, ...(await checkDeadLetters(database.db))];
}

function depthOf(depth: { queue: string; due: number; later: number; running: number }): Finding {
  const text = `${depth.queue}: ${depth.due} due, ${depth.running} running, ${depth.later} for later`;
  return depth.due < manyDue
    ? ok('queues', text)
    : warn('queues', text, 'See that a worker runs (`omega worker`), or start more of them.');
}

async function checkDeadLetters(db: Db): Promise<Finding[]> {
  const counts = await db
    .selectFrom('dead_letters')
    .select(['queue', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy('queue')
    .orderBy('queue')
    .execute();
  if (counts.length === 0) return [ok('dead letters', 'none')];
  const latest = await db
    .selectFrom('dead_letters')
    .select(['queue', 'business_id', 'error', 'created_at'])
    .orderBy('created_at', 'desc')
    .limit(latestShown)
    .execute();
  const all = counts.map(({ queue, count }) => `${count} of ${queue}`).join(', ');
  return [
    warn(
      'dead letters',
      `${all}: jobs that failed each time they were tried`,
      'The table dead_letters holds them whole; the latest are:',
    ),
    ...latest.map((letter) => {
      const whose = letter.business_id === null ? '' : `, business ${letter.business_id}`;
      const text = `${letter.created_at.toISOString()} ${letter.queue}${whose}: ${reasonOf(letter.error)}`;
      return warn('dead letters', text);
    }),
  ];
}

function reasonOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  const text = typeof message === 'string' ? message : JSON.stringify(error);
  return text.replaceAll(/\s+/g, ' ').slice(0, 160);
}
