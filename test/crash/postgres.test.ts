/**
 * SIGKILL at random moments, on Postgres: two Omegas of which one is killed at a time, and Postgres
 * itself, which is ended without a word. The suite runs the short form; the long one is
 *
 *   CRASH_ROUNDS=200 npm test -- test/crash/postgres.test.ts
 *
 * A failure prints its seed: CRASH_SEED=… chooses the same moments (the machine's own timing varies).
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { crashRounds, crashRun, hangingTimes, seedOf } from '../support/crash.ts';
import { expectNothingLost } from '../support/crash-checks.ts';
import { eventually } from '../support/eventually.ts';
import { lotus } from '../support/lotus.ts';
import { rowsOf, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProcess } from '../support/process.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

async function emptyDatabase(name: string): Promise<DatabaseTarget & { kind: 'postgres' }> {
  return { kind: 'postgres', url: await postgres.createEmptyDatabase(name), poolSize: 10 };
}

const rounds = crashRounds(2);
const timeout = 240_000 + rounds * 15_000;

test(
  'killed at random moments, two Omegas and their Postgres lose nothing that was answered and hand nothing over twice',
  async () => {
    const database = await emptyDatabase('random');
    const run = await crashRun({
      database,
      rounds,
      seed: seedOf('postgres'),
      callers: 12,
      processes: 2,
      crashDatabase: async () => {
        await postgres.crash();
        await postgres.restart();
      },
    });
    expect(run.answered.length).toBeGreaterThan(rounds * 10);
    await expectNothingLost(database, run);
  },
  timeout,
);

test(
  'killed between the acceptance of the carrier and our note of it, each message is delivered and was accepted once',
  async () => {
    const database = await emptyDatabase('between');
    const first = await startProcess({ database, ...hangingTimes });
    await first.platform.post('/business/onboard', lotus);
    // Accepted, but the answer never comes: the worker hangs in the calls.
    const queued = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        first.platform.post('/sms/queue', {
          business_id: 1001,
          to: '+15005550016',
          content: `In the call ${i}`,
        }),
      ),
    );
    await eventually(
      async () => expect(await rowsOf(database.url, 'select 1 from simulator_messages')).toHaveLength(10),
      5,
    );
    await first.kill();
    expect(await rowsOf(database.url, `select distinct state from attempts`)).toEqual([{ state: 'claimed' }]);

    await expectNothingLost(database, {
      answered: queued.map(({ body }) => ({ kind: 'queue', requestId: body.request_id, body })),
      wrong: [],
      cutOff: 0,
    });
  },
  timeout,
);
