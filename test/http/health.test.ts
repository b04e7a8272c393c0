import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inTransaction } from '../../server/core/db/index.ts';
import { sendMessageQueue } from '../../server/messages/index.ts';
import { version } from '../../server/omega.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let anyone: Client;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  anyone = omega.as(null);
});
// The last test took its database away, so closing has something to complain about.
afterAll(() => omega.close().catch(() => undefined));

test('getHealth: GET /health tells that the process lives, which version it is, and for how long', async () => {
  const { status, body } = await anyone.get('/health');
  expect(status).toBe(200);
  expect(body).toEqual({ status: 'ok', version, uptime_s: expect.any(Number) });
  expect(body.uptime_s).toBeGreaterThanOrEqual(0);
});

test('checkDbConnection: GET /health/db tells which database answers, how fast, and that its schema is this version', async () => {
  const { status, body } = await anyone.get('/health/db');
  expect(status).toBe(200);
  expect(body).toEqual({
    status: 'ok',
    database: 'pglite',
    schema_version: expect.stringMatching(/^\d{4}_\w+$/),
    latency_ms: expect.any(Number),
  });
});

test('health is asked by monitors: no limit is drawn from, and a query that busts caches is let be', async () => {
  for (const path of ['/health', '/health/db', '/health/ready']) {
    const answer = await anyone.get(`${path}?t=1`);
    // Here is no worker.
    expect(answer.status).toBe(path === '/health/ready' ? 503 : 200);
    expect(answer.headers.get('ratelimit-limit')).toBeNull();
    expect(answer.headers.get('cache-control')).toBe('no-store');
  }
});

describe('getReadiness: GET /health/ready', () => {
  const stateOf = (body: Answer['body'], name: string) =>
    body.checks.find((check: { name: string }) => check.name === name);
  const beat = (ageS: number, processId = crypto.randomUUID()) =>
    sql`
    insert into worker_heartbeats (process_id, name, version, started_at, beat_at)
    values (${processId}, 'elsewhere:1', ${version}, now() - interval '1 day', now() - make_interval(secs => ${ageS}))`.execute(
      omega.omega.database.db,
    );

  test('is 503 where no worker lives, says so of that alone, and what to do', async () => {
    await beat(31);
    const answer = await anyone.get('/health/ready');
    expectProblem(answer, 503, 'not_ready');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.body.checks).toEqual([
      { name: 'database', state: 'ok', detail: expect.any(String), remedy: null },
      { name: 'migrations', state: 'ok', detail: expect.any(String), remedy: null },
      {
        name: 'worker',
        state: 'failed',
        detail: expect.any(String),
        remedy: expect.stringContaining('omega worker'),
      },
      { name: 'queue', state: 'ok', detail: expect.any(String), remedy: null },
    ]);
    expect(answer.body.detail).toContain('omega worker');
    // Nobody who may ask this learns which machines there are.
    expect(JSON.stringify(answer.body)).not.toContain('elsewhere');
  });

  test('is 200 once a worker shows that it lives', async () => {
    await beat(5);
    const { status, body } = await anyone.get('/health/ready');
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'ok' });
    expect(body.checks.map(({ name, state }: Record<string, string>) => `${name} ${state}`)).toEqual([
      'database ok',
      'migrations ok',
      'worker ok',
      'queue ok',
    ]);
  });

  test('is 503 where a job has been due for too long, and not where one is for later', async () => {
    const { queue, database } = omega.omega;
    const insert = (delayS: number) =>
      inTransaction(database.db, (tx) =>
        queue.insert(tx, sendMessageQueue, [
          { data: { business_id: 1001, message_id: crypto.randomUUID() }, delayS },
        ]),
      );
    await insert(3600);
    expect((await anyone.get('/health/ready')).status).toBe(200);
    await insert(0);
    expect((await anyone.get('/health/ready')).status).toBe(200);
    await sql`update pgboss.job_common set start_after = start_after - interval '301 seconds'
      where start_after <= pgboss.job_now()`.execute(database.db);
    const { body } = await anyone.get('/health/ready');
    expect(stateOf(body, 'queue')).toMatchObject({
      state: 'failed',
      detail: expect.stringContaining('send-message'),
      remedy: expect.stringContaining('omega worker'),
    });
    expect(stateOf(body, 'worker')).toMatchObject({ state: 'ok' });
    await sql`delete from pgboss.job_common`.execute(database.db);
    expect((await anyone.get('/health/ready')).status).toBe(200);
  });
});

describe('a worker', () => {
  let worker: RunningOmega;
  beforeAll(async () => {
    worker = await startOmega();
  });

  test('shows that it lives by one row, and takes it away when it stops', async () => {
    const { database } = worker.omega;
    const beats = () => database.db.selectFrom('worker_heartbeats').selectAll().execute();
    expect(await beats()).toMatchObject([{ name: expect.stringMatching(/:\d+$/), version, metrics: null }]);
    expect((await worker.as(null).get('/health/ready')).status).toBe(200);
    const close = database.close;
    let left: unknown[] | undefined;
    database.close = async () => {
      left = await beats();
      await close();
    };
    await worker.close();
    expect(left).toEqual([]);
  });
});

test('a schema that is not of this version is 503 at /health/db', async () => {
  const { db } = omega.omega.database;
  await sql`delete from kysely_migration where name > '0001_initial'`.execute(db);
  const answer = await anyone.get('/health/db');
  expectProblem(answer, 503, 'unavailable');
  expect(answer.body.detail).toContain('omega migrate');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  const ready = await anyone.get('/health/ready');
  expectProblem(ready, 503, 'not_ready');
  expect(ready.body.checks).toMatchObject([
    { name: 'database', state: 'ok' },
    { name: 'migrations', state: 'failed', remedy: expect.stringContaining('omega migrate') },
    { name: 'worker', state: 'unknown' },
    { name: 'queue', state: 'unknown' },
  ]);
});

test('with the database gone /health stays green, and the rest is 503 with Retry-After and no inner text', async () => {
  await omega.omega.database.pglite!.close();
  expect((await anyone.get('/health')).status).toBe(200);
  const ready = await anyone.get('/health/ready');
  expectProblem(ready, 503, 'not_ready');
  expect(ready.body.checks).toMatchObject([
    { name: 'database', state: 'failed', remedy: expect.stringContaining('omega doctor') },
    { name: 'migrations', state: 'unknown' },
    { name: 'worker', state: 'unknown' },
    { name: 'queue', state: 'unknown' },
  ]);
  const calls = [
    await anyone.get('/health/db'),
    await omega.platform.get('/businesses/1001/conversations'),
    await omega.platform.post('/sms/queue', { business_id: 1001, to: '+12025550123', content: 'Hello' }),
    await omega.platform.post('/sms/status', {
      business_id: 1001,
      message_id: crypto.randomUUID(),
      status: 'sent',
    }),
  ];
  for (const answer of calls) {
    expectProblem(answer, 503, 'unavailable');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.stringify(answer.body)).not.toMatch(/pglite|select|insert|stack/i);
  }
});
