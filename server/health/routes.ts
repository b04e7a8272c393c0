import { sql } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { Database } from '../core/db/index.ts';
import { appliedMigration, newestMigration } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import { answer, type Binding, own, read } from '../core/http/index.ts';
import type { Log } from '../core/log.ts';
import { gaugeOf, labelled, type Metrics, metricsType, textOf } from '../core/metrics.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { createGauges } from './gauges.ts';
import { processName } from './heartbeat.ts';
import { createReadiness } from './readiness.ts';

export function healthRoutes(parts: {
  database: Database;
  queue: JobQueue;
  /** The names of all queues. */
  queues: readonly string[];
  clock: Clock;
  log: Log;
  metrics: Metrics;
  version: string;
}): Binding[] {
  const { database, queue, metrics, version } = parts;
  const startedAt = performance.now();
  const readiness = createReadiness(database.db, queue);
  const gauges = createGauges({ ...parts, db: database.db });
  return [
    read('getHealth', async () =>
      answer(200, {
        status: 'ok' as const,
        version,
        uptime_s: Math.round((performance.now() - startedAt) / 100) / 10,
      }),
    ),

    read('checkDbConnection', async (db) => {
      const before = performance.now();
      await sql`select 1`.execute(db);
      const latencyMs = Math.round((performance.now() - before) * 100) / 100;
      const [applied, newest] = [await appliedMigration(db), await newestMigration()];
      if (applied !== newest) {
        throw new Fault(
          'unavailable',
          `The schema is at ${applied ?? 'nothing'}, this version needs ${newest}. Run \`omega migrate\`.`,
          {
            retryAfterS: 5,
          },
        );
      }
      return answer(200, {
        status: 'ok' as const,
        database: database.kind,
        schema_version: applied,
        latency_ms: latencyMs,
      });
    }),

    read('getReadiness', async () => {
      const checks = await readiness();
      const failed = checks.filter(({ state }) => state === 'failed');
      if (failed.length === 0) return answer(200, { status: 'ok' as const, checks });
      const detail = failed.map(({ detail, remedy }) => `${detail} ${remedy}`).join(' ');
      throw new Fault('not_ready', detail, { retryAfterS: 10, members: { checks } });
    }),

    own('getMetrics', async ({ reply }) => {
      const info = gaugeOf('omega_info', 'The version that runs.', [{ labels: { version }, value: 1 }]);
      const ofThisProcess = labelled([info, ...(await metrics.snapshot())], { process: processName() });
      reply.header('Content-Type', metricsType);
      return answer(200, Buffer.from(await textOf([...ofThisProcess, ...(await gauges())])));
    }),
  ];
}
