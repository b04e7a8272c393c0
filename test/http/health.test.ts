import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { version } from '../../server/omega.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

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
  for (const path of ['/health', '/health/db']) {
    const answer = await anyone.get(`${path}?t=1`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('ratelimit-limit')).toBeNull();
    expect(answer.headers.get('cache-control')).toBe('no-store');
  }
});

test('a schema that is not of this version is 503 at /health/db', async () => {
  const { db } = omega.omega.database;
  await sql`delete from kysely_migration where name > '0001_initial'`.execute(db);
  const answer = await anyone.get('/health/db');
  expectProblem(answer, 503, 'unavailable');
  expect(answer.body.detail).toContain('omega migrate');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('with the database gone /health stays green, and the rest is 503 with Retry-After and no inner text', async () => {
  await omega.omega.database.pglite!.close();
  expect((await anyone.get('/health')).status).toBe(200);
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
