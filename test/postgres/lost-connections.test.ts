import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inTransaction } from '../../server/core/db/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type Wire, wireTo } from '../support/proxy.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const text = { to: '+12025550123', content: 'Hello' };

describe('a database that ends every connection', () => {
  let omega: RunningOmega;
  let admin: pg.Client;
  beforeAll(async () => {
    const url = await postgres.createDatabase('ended');
    omega = await startOmega({ database: { kind: 'postgres', url, poolSize: 4 }, realTime: true });
    admin = new pg.Client({ connectionString: url });
    await admin.connect();
  });
  afterAll(async () => {
    await omega?.close();
    await admin?.end();
  });
  const endAll = () =>
    admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where pid <> pg_backend_pid() and datname = current_database()`,
    );

  test('fails the transaction that was open, and not the process', async () => {
    const { db } = omega.omega.database;
    const act = inTransaction(db, async (tx) => {
      await tx.selectFrom('businesses').selectAll().execute();
      const before = (await admin.query('select count(*) from pg_stat_activity')).rows[0].count;
      await endAll();
      // Its end comes by an event of its own, between two statements, when no query waits for it.
      await expect
        .poll(async () => Number((await admin.query('select count(*) from pg_stat_activity')).rows[0].count))
        .toBeLessThan(Number(before));
      await tx.selectFrom('businesses').selectAll().execute();
    });
    await expect(act).rejects.toThrow(/terminat|connection|ECONNRESET|EPIPE/i);
    await expect.poll(async () => (await omega.platform.get('/health/db')).status).toBe(200);
  });

  test('is away for the requests of that moment (503, repeat), and there for their repeats', async () => {
    const { api } = await omega.business();
    for (let round = 0; round < 3; round++) {
      const bodies = Array.from({ length: 20 }, (_, i) => ({ ...text, request_id: `ended-${round}-${i}` }));
      const answers = bodies.map((body) => api.post('/sms/queue', body));
      await endAll();
      for (const answer of await Promise.all(answers)) {
        if (answer.status !== 202) expectProblem(answer, 503, 'unavailable');
      }
      for (const body of bodies) {
        await expect.poll(async () => (await api.post('/sms/queue', body)).status).toBe(202);
      }
    }
    const { rows } = await admin.query('select count(*)::int as messages from messages');
    expect(rows).toEqual([{ messages: 60 }]);
  });
});

describe('a database that is silent behind open connections', () => {
  let wire: Wire;
  let omega: RunningOmega;
  let api: Client;
  beforeAll(async () => {
    wire = await wireTo(await postgres.createDatabase('silent'));
    omega = await startOmega({
      database: { kind: 'postgres', url: wire.url, poolSize: 4, queryTimeoutMs: 500 },
      realTime: true,
    });
    ({ api } = await omega.business());
  });
  afterAll(async () => {
    await omega?.close();
    await wire?.close();
  });

  test('is given up: every request gets 503 within the deadline, and the next ones work', async () => {
    expect((await api.post('/sms/queue', text)).status).toBe(202);
    await omega.settled();
    wire.goDark();
    const answers = await Promise.all([
      api.post('/sms/queue', { ...text, request_id: 'silent-1' }),
      api.post('/sms/queue', { ...text, request_id: 'silent-2' }),
      api.get('/businesses/1001/conversations'),
      omega.as(null).get('/health/db'),
    ]);
    for (const answer of answers) {
      expectProblem(answer, 503, 'unavailable');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await omega.as(null).get('/health')).status).toBe(200);

    wire.goOn();
    // No lane, no connection and no worker waits for the dead ones.
    for (const request_id of ['silent-1', 'silent-2']) {
      await expect.poll(async () => (await api.post('/sms/queue', { ...text, request_id })).status).toBe(202);
    }
    const counts = () =>
      omega.omega.database.db
        .selectFrom('messages')
        .select(({ fn }) => ['status', fn.countAll<number>().as('messages')])
        .groupBy('status')
        .execute();
    await expect.poll(counts).toEqual([{ status: 'delivered', messages: 3 }]);
  });
});
