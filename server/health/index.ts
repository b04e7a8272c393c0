import { sql } from 'kysely';
import type { Database } from '../core/db/index.ts';
import { appliedMigration, newestMigration } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import { answer, type Binding, read } from '../core/http/index.ts';

export function healthRoutes(options: { database: Database; version: string }): Binding[] {
  const startedAt = performance.now();
  return [
    read('getHealth', async () =>
      answer(200, {
        status: 'ok' as const,
        version: options.version,
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
        database: options.database.kind,
        schema_version: applied,
        latency_ms: latencyMs,
      });
    }),
  ];
}
