import { type RawBuilder, sql } from 'kysely';
import { type Db, inTransaction } from '../db/index.ts';

/** Jobs of one queue, each count up to {@link mostJobsCounted}. */
export interface QueueDepth {
  queue: string;
  due: number;
  later: number;
  running: number;
  /** Seconds since the oldest job that is due could have begun; null where none is due. By the database's clock. */
  oldestDueS: number | null;
}

/** Beyond so many a count says "this many or more": whoever looks must not read a backlog of a million. */
export const mostJobsCounted = 10_000;

/** Where pg-boss keeps the jobs of queues that have no table of their own: all of ours. */
const jobs = sql`pgboss.job_common`;

/** In the order of {@link makeDepthIndex}'s index, state by state, so that no plan but a walk of it makes sense. */
function counted(state: 'created' | 'retry' | 'active', when: RawBuilder<unknown>) {
  return sql`(
    select count(*)::int from (
      select 1 from ${jobs} j where j.name = q.name and j.state = ${sql.lit(state)} and ${when}
      order by j.start_after limit ${mostJobsCounted}) c)`;
}

/** Its first entry. */
function oldestDue(state: 'created' | 'retry') {
  return sql`(
    select j.start_after from ${jobs} j
    where j.name = q.name and j.state = ${sql.lit(state)} and j.start_after <= pgboss.job_now()
    order by j.start_after limit 1)`;
}

/**
 * pg-boss's own indexes are in the order of its fetch, and the jobs that are scheduled for later stand among those
 * that are due: what waits, and for how long, would be a walk through all of them. Its schema is made at its start,
 * so this index cannot be a migration; pg-boss lets others' indexes be.
 */
export async function makeDepthIndex(db: Db): Promise<void> {
  await inTransaction(db, async (tx) => {
    // Two processes that start at once would both find it missing.
    await sql`select pg_advisory_xact_lock(hashtext('omega: index of jobs'))`.execute(tx);
    await sql`create index if not exists omega_jobs_waiting on ${jobs} (name, state, start_after)
      where state <= 'active'`.execute(tx);
  });
}

/** Of every queue that has any jobs: costs the queues, not the jobs. */
export async function readDepth(db: Db): Promise<QueueDepth[]> {
  const due = sql`j.start_after <= pgboss.job_now()`;
  const later = sql`j.start_after > pgboss.job_now()`;
  const { rows } = await sql<QueueDepth>`
    with d as materialized (
      select q.name as queue,
        least(${counted('created', due)} + ${counted('retry', due)}, ${mostJobsCounted}) as due,
        least(${counted('created', later)} + ${counted('retry', later)}, ${mostJobsCounted}) as later,
        ${counted('active', sql`true`)} as running,
        least(${oldestDue('created')}, ${oldestDue('retry')}) as oldest
      from pgboss.queue q
    )
    select queue, due, later, running, extract(epoch from pgboss.job_now() - oldest)::float8 as "oldestDueS"
    from d where due + later + running > 0 order by queue`.execute(db);
  return rows;
}
