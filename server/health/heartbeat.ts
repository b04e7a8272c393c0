import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { MetricFamily } from '../core/metrics.ts';

/** How often a worker shows that it lives, and how long one is believed to: it may miss two. */
const usualBeatMs = 10_000;
export const aliveForS = 30;
/** Rows of workers that were killed: nobody looks for them any more. */
const forgottenAfter = sql`interval '1 hour'`;

/** What the series of this process are labelled with. */
export const processName = (): string => `${hostname()}:${process.pid}`;

/** Writes a row again and again that says: this worker lives. */
export interface Heartbeat {
  /** @throws where the database cannot be written: then it does not live */
  start(): Promise<void>;
  /** Takes the row away, so that it is known at once. */
  stop(): Promise<void>;
}

export function createHeartbeat(options: {
  db: Db;
  log: Log;
  version: string;
  /** What to write beside it for the servers to tell; null where this process answers HTTP itself. */
  snapshot: (() => Promise<MetricFamily[]>) | null;
  beatEveryMs?: number;
}): Heartbeat {
  const { db, log, version, snapshot, beatEveryMs = usualBeatMs } = options;
  const processId = newId();
  let timer: NodeJS.Timeout | undefined;
  let beating: Promise<void> = Promise.resolve();

  /** By the database's clock, which every process and whoever judges them shares. */
  async function beat(): Promise<void> {
    const metrics = snapshot && JSON.stringify(await snapshot());
    await sql`
      insert into worker_heartbeats (process_id, name, version, started_at, beat_at, metrics)
      values (${processId}, ${processName()}, ${version}, now(), now(), ${metrics}::jsonb)
      on conflict (process_id) do update set beat_at = excluded.beat_at, metrics = excluded.metrics`.execute(
      db,
    );
    await sql`delete from worker_heartbeats where beat_at < now() - ${forgottenAfter}`.execute(db);
  }

  return {
    async start() {
      await beat();
      let busy = false;
      timer = setInterval(() => {
        // One that waits for the database must not have others queue up behind it.
        if (busy) return;
        busy = true;
        beating = beat()
          .catch((error: unknown) =>
            log.warn({ err: error }, 'the heartbeat of this worker could not be written'),
          )
          .finally(() => {
            busy = false;
          });
      }, beatEveryMs);
    },

    async stop() {
      clearInterval(timer);
      await beating;
      // Where the database is gone the row grows old by itself.
      await sql`delete from worker_heartbeats where process_id = ${processId}`
        .execute(db)
        .catch(() => undefined);
    },
  };
}

export interface LivingWorker {
  name: string;
  version: string;
  /** Seconds since its last sign. */
  ageS: number;
}

/** Those that are believed to live, the freshest first. */
export async function livingWorkers(db: Db): Promise<LivingWorker[]> {
  const { rows } = await sql<LivingWorker>`
    select name, version, greatest(0, extract(epoch from now() - beat_at))::float8 as "ageS" from worker_heartbeats
    where beat_at > now() - make_interval(secs => ${aliveForS}) order by beat_at desc`.execute(db);
  return rows;
}

/** What living workers without HTTP have counted, each with its name. */
export async function metricsOfWorkers(db: Db): Promise<{ name: string; metrics: MetricFamily[] }[]> {
  const { rows } = await sql<{ name: string; metrics: MetricFamily[] }>`
    select name, metrics from worker_heartbeats
    where beat_at > now() - make_interval(secs => ${aliveForS}) and metrics is not null order by name`.execute(
    db,
  );
  return rows;
}
