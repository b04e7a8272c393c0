/**
 * SIGKILL at random moments, on the embedded database. The suite runs the short form; the long one is
 *
 *   CRASH_ROUNDS=200 npm test -- test/crash/embedded.test.ts
 *
 * A failure prints its seed: CRASH_SEED=… chooses the same moments (the machine's own timing varies).
 */
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DatabaseTarget, openDatabase } from '../../server/core/db/index.ts';
import { crashRounds, crashRun, crashTimes, hangingTimes, randomOf, seedOf } from '../support/crash.ts';
import { expectNothingLost } from '../support/crash-checks.ts';
import { eventually } from '../support/eventually.ts';
import { lotus } from '../support/lotus.ts';
import { spawnProcess, startProcess } from '../support/process.ts';

let dataDir: string;
let database: DatabaseTarget;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'omega-crash-'));
  database = { kind: 'pglite', dataDir };
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const rounds = crashRounds(2);
const timeout = 240_000 + rounds * 15_000;

test(
  'killed at random moments, it loses nothing that was answered and hands nothing over twice',
  async () => {
    const run = await crashRun({ database, rounds, seed: seedOf('embedded'), callers: 8 });
    expect(run.answered.length).toBeGreaterThan(rounds * 10);
    await expectNothingLost(database, run);
  },
  timeout,
);

test(
  'killed at any moment of its first start, it starts again',
  async () => {
    const random = randomOf(seedOf('first start'));
    for (let kill = 0; kill < rounds * 2; kill++) {
      const touched = nextChangeIn(dataDir);
      const starting = spawnProcess({ database, ...crashTimes });
      await touched;
      // Alternately while the empty database is copied, and while it is migrated and the rest is built.
      await after(random() * (kill % 2 === 0 ? 100 : 1_500));
      await starting.kill();
    }
    const omega = await startProcess({ database, ...crashTimes });
    expect((await omega.platform.get('/health/db')).status).toBe(200);
    expect(await omega.stop()).toBe(0);
  },
  timeout,
);

/** Resolves when something in the folder is made or changed. */
async function nextChangeIn(folder: string): Promise<void> {
  const changes = watch(folder);
  await once(changes, 'change');
  changes.close();
}

test(
  'killed between the acceptance of the carrier and our note of it, the message is delivered and was accepted once',
  async () => {
    const first = await startProcess({ database, ...hangingTimes });
    await first.platform.post('/business/onboard', lotus);
    // Accepted, but the answer never comes: the worker hangs in the call.
    const queued = await first.platform.post('/sms/queue', {
      business_id: 1001,
      to: '+15005550016',
      content: 'Killed in the call',
    });
    const { message_id, client_id, conversation_id } = queued.body;
    const path = `/businesses/1001/clients/${client_id}/conversations/${conversation_id}/messages`;
    await eventually(
      async () => expect((await first.platform.get(path)).body.data[0].status).toBe('sending'),
      5,
    );
    await first.kill();

    // The folder of a killed process opens, and shows that the kill fell into the window.
    const opened = await openDatabase(database, () => undefined);
    const { rows } = await sql`
      select a.state, (select count(*)::int from simulator_messages s where s.message_id = a.message_id) as accepted
      from attempts a where a.message_id = ${message_id}`.execute(opened.db);
    await opened.close();
    expect(rows).toEqual([{ state: 'claimed', accepted: 1 }]);

    await expectNothingLost(database, {
      answered: [{ kind: 'queue', requestId: queued.body.request_id, body: queued.body }],
      wrong: [],
      cutOff: 0,
    });
  },
  timeout,
);
