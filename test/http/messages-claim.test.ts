import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimMessages } from '../../server/messages/claim.ts';
import { lotus } from '../support/lotus.ts';
import { type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let omega: RunningOmega;

beforeAll(async () => {
  postgres = await startPostgres();
  const url = await postgres.createDatabase('claim');
  omega = await startOmega({ database: { kind: 'postgres', url, poolSize: 5 }, worker: false });
});
afterAll(async () => {
  await omega?.close();
  await postgres?.stop();
});

test('of two jobs for one message at the same moment, one sends', async () => {
  await omega.platform.post('/business/onboard', lotus);
  const now = new Date(omega.clock.now());
  const { db } = omega.omega.database;
  await db
    .insertInto('senders')
    .values({
      business_id: 1001,
      sender_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
      channel: 'sms',
      address: '+15005550006',
      provider: 'simulator',
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { status, body } = await omega.platform.post('/sms/queue', {
    business_id: 1001,
    to: '+12025550123',
    content: 'once',
  });
  expect(status).toBe(202);
  const ids = [{ businessId: 1001, messageId: body.message_id as string }];
  const claim = (hold: Promise<void>, claimed = () => {}) =>
    db.transaction().execute(async (tx) => {
      const { claimed: taken } = await claimMessages(tx, now, omega.omega.queue, ids, 30_000, testSecrets);
      claimed();
      await hold;
      return taken.length;
    });
  const held = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  const one = claim(held.promise, () => first.resolve());
  await first.promise;
  const two = claim(Promise.resolve());
  // Until it waits for the row that the first holds.
  for (;;) {
    const { rows } = await sql`select 1 from pg_locks where not granted`.execute(db);
    if (rows.length > 0) break;
  }
  held.resolve();
  expect([await one, await two]).toEqual([1, 0]);
  const attempts = await db.selectFrom('attempts').select('state').execute();
  expect(attempts).toEqual([{ state: 'claimed' }]);
});
