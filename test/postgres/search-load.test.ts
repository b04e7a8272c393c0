import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { readMetrics } from '../support/metrics.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { connect, startPostgres, type TestPostgres } from '../support/postgres.ts';

const poolSize = 4;
let postgres: TestPostgres;
let url: string;
/** Holds the lock that the searches of this file wait for. */
let other: pg.Client;
let patient: RunningOmega;
let api: Client;
let key: string;
let conversation: { path: string; id: string };

beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createDatabase('search');
  other = await connect(url);
});
beforeAll(async () => {
  patient = await start(120_000);
  ({ api, key } = await patient.business({ business_id: 1001 }));
  const { body } = await api.post('/sms/queue', { to: '+12025550123', content: 'See you at nine' });
  const path = `/businesses/1001/clients/${body.client_id}/conversations/${body.conversation_id}`;
  conversation = { path, id: body.conversation_id };
  // What searches alone ask of Postgres: `@@`, and what it stands for. A lock on the words' table would hold up
  // sending as well, which writes them.
  await other.query(`
    create schema slow;
    create function slow.ts_match_vq(tsvector, tsquery) returns boolean language plpgsql volatile as $$
      begin
        perform pg_advisory_xact_lock_shared(1);
        return pg_catalog.ts_match_vq($1, $2);
      end $$;
    create operator slow.@@ (leftarg = tsvector, rightarg = tsquery, function = slow.ts_match_vq);
    alter database search set search_path = slow, pg_catalog, public;`);
});
afterAll(async () => {
  await other?.end();
  await patient?.close();
  await postgres?.stop();
});

const start = (searchTimeoutMs: number) =>
  startOmega({
    database: {
      kind: 'postgres',
      url,
      poolSize,
      searchPoolSize: 2,
      searchTimeoutMs,
      queryTimeoutMs: 120_000,
    },
    realTime: true,
    worker: false,
  });
const use = (omega: RunningOmega, pool: string) =>
  omega.omega.database.pools().find((one) => one.pool === pool)!;
const hang = () => other.query('select pg_advisory_lock(1)');
const goOn = () => other.query('select pg_advisory_unlock(1)');

/** Of every kind, many more than either pool has connections. */
const searches = (client: Client): Promise<Answer>[] =>
  Array.from({ length: 2 * poolSize }, (_, i) => [
    client.get(`/businesses/1001/search?q=nine&limit=${i + 1}`),
    client.get(`${conversation.path}/messages/search?q=nine&limit=${i + 1}`),
    client.get(`/messages/search?q=nine&conversation_id=${conversation.id}&limit=${i + 1}`),
    client.get(`/businesses/1001/clients?q=2025550123&limit=${i + 1}`),
  ]).flat();

test('searches that hang fill their own connections, while sending, callbacks and lists are answered', async () => {
  await hang();
  const hanging = searches(api);
  const full = { total: 2, idle: 0, most: 2, waiting: hanging.length - 2 };
  await eventually(() => expect(use(patient, 'search')).toMatchObject(full));

  const answers = await Promise.all(
    Array.from({ length: 2 * poolSize }, (_, i) => [
      api.post('/sms/queue', { to: '+12025550124', content: `Sent meanwhile ${i}` }),
      api.post('/sms/record', {
        direction: 'outbound',
        to: '+12025550125',
        content: 'Recorded',
        provider: 'twilio',
        provider_message_id: `SM${i}`,
        status: 'sent',
      }),
      api.get('/businesses/1001/conversations'),
      api.get(`${conversation.path}/messages`),
      api.get('/businesses/1001/clients'),
      patient.as(null).get('/health/db'),
      patient.platform.get('/metrics'),
    ]).flat(),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201, 202]));
  const reports = await Promise.all(
    Array.from({ length: 2 * poolSize }, (_, i) =>
      api.post('/sms/status', { provider: 'twilio', provider_message_id: `SM${i}`, status: 'delivered' }),
    ),
  );
  expect(reports.map(({ status, body }) => [status, body.applied])).toEqual(reports.map(() => [200, true]));
  const { sumOf } = readMetrics(await patient.platform.get('/metrics'));
  expect(sumOf('omega_database_connections', { pool: 'search', state: 'busy' })).toBe(2);
  expect(sumOf('omega_database_connections', { pool: 'search', state: 'waiting' })).toBe(full.waiting);
  expect(use(patient, 'search')).toMatchObject(full);

  await goOn();
  const found = await Promise.all(hanging);
  expect(found.map(({ status, body }) => [status, body.data.length])).toEqual(hanging.map(() => [200, 1]));
});

describe('a search that takes too long', () => {
  let hurried: RunningOmega;
  beforeAll(async () => {
    hurried = await start(1_000);
  });
  afterAll(() => hurried?.close());

  test('is 503 search_too_slow and tells what to do, as are those that waited for it', async () => {
    const client = hurried.as(key);
    const patiently = { timeout: 60_000 };
    const works = async () => (await client.get('/businesses/1001/search?q=nine')).status === 200;
    await vi.waitUntil(works, patiently);
    await hang();
    const refused = await Promise.all(searches(client));
    for (const answer of refused) {
      expectProblem(answer, 503, 'search_too_slow');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    const told = [...new Set(refused.map(({ body }) => body.detail as string))].sort();
    expect(told).toEqual([
      expect.stringContaining('Narrow it'),
      expect.stringContaining('Other searches take too long'),
    ]);
    await goOn();
    await vi.waitUntil(works, patiently);
  });
});
