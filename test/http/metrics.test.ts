import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../server/access/index.ts';
import { version } from '../../server/omega.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { postAsTwilio } from '../support/fake-twilio.ts';
import { readMetrics } from '../support/metrics.ts';
import { type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let key: string;

beforeAll(async () => {
  omega = await startOmega();
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

/** What the database is asked for is kept for some seconds. */
const scrape = async () => {
  await omega.tick(5_000);
  return readMetrics(await omega.platform.get('/metrics'));
};

describe('getMetrics: GET /metrics', () => {
  test('is text that Prometheus reads, of every family with its help and type, once', async () => {
    const answer = await omega.platform.get('/metrics');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const { families, sumOf } = readMetrics(answer);
    for (const [name, type] of [
      ['omega_http_request_duration_seconds', 'histogram'],
      ['omega_carrier_call_duration_seconds', 'histogram'],
      ['omega_messages_total', 'counter'],
      ['omega_webhooks_received_total', 'counter'],
      ['omega_database_up', 'gauge'],
      ['omega_queue_jobs', 'gauge'],
      ['omega_queue_oldest_due_seconds', 'gauge'],
      ['omega_dead_letters', 'gauge'],
      ['omega_webhook_receipts', 'gauge'],
      ['omega_workers', 'gauge'],
      ['nodejs_eventloop_lag_p99_seconds', 'gauge'],
      ['process_resident_memory_bytes', 'gauge'],
      ['process_cpu_seconds_total', 'counter'],
    ])
      expect(families.get(name!), name).toBe(type);
    expect(sumOf('omega_info', { version })).toBe(1);
    expect(sumOf('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(sumOf('omega_workers')).toBe(1);
  });

  test('takes a platform key in either header, and nothing less', async () => {
    const anyone = clientOf(omega.url, null);
    const bearer = (token: string) => anyone.get('/metrics', { authorization: `Bearer ${token}` });
    expect((await bearer(omega.platformKey)).status).toBe(200);
    expect((await anyone.get('/metrics', { 'x-api-key': omega.platformKey })).status).toBe(200);

    expectProblem(await anyone.get('/metrics'), 401, 'unauthorized');
    expectProblem(await bearer(`omp_${'A'.repeat(43)}`), 401, 'unauthorized');
    const { body: session } = await api.post('/authentication/token', { staff_id: 12345 });
    for (const tenant of [key, session.token]) expectProblem(await bearer(tenant), 403, 'forbidden');
    const all = await createKey(omega.omega.database.db, {
      businessId: 1001,
      name: 'all scopes',
      scopes: ['read', 'send', 'manage'],
      now: new Date(omega.clock.now()),
    });
    expectProblem(await anyone.get('/metrics', { 'x-api-key': all.key }), 403, 'forbidden');
  });

  test('counts requests by operation and class of status, whatever the URL and the tenant', async () => {
    const count = (text: Awaited<ReturnType<typeof scrape>>, operation: string, status: string) =>
      text.sumOf('omega_http_request_duration_seconds_count', { operation, status });
    const before = await scrape();
    await api.get('/businesses/1001/conversations');
    await api.get('/businesses/1001/conversations?limit=1');
    await api.get('/businesses/4444/conversations');
    await api.get('/nowhere/at/all');
    await clientOf(omega.url, 'no key').get('/businesses/1001/conversations');
    const after = await scrape();
    const more = (operation: string, status: string) =>
      (count(after, operation, status) ?? 0) - (count(before, operation, status) ?? 0);
    expect(more('listConversations', '2xx')).toBe(2);
    expect(more('listConversations', '4xx')).toBe(2);
    expect(more('none', '4xx')).toBe(1);
    expect(
      after.sumOf('omega_http_request_duration_seconds_sum', {
        operation: 'listConversations',
        status: '2xx',
      }),
    ).toBeGreaterThan(0);
  });

  test('counts messages by channel and status, and calls of carriers by outcome', async () => {
    const before = await scrape();
    const to = ['+12025550123', '+15005550001'];
    for (const [i, one] of to.entries())
      expect(
        (await api.post('/sms/queue', { to: one, content: 'Hello', request_id: `metrics-${i}` })).status,
      ).toBe(202);
    // The same request again is no message more.
    await api.post('/sms/queue', { to: to[0], content: 'Hello', request_id: 'metrics-0' });
    await api.post('/messages', {
      channel: 'carrier-pigeon',
      direction: 'inbound',
      from: 'p1',
      content: 'Coo',
    });
    await omega.settled();
    const after = await scrape();
    const more = (name: string, labels: Record<string, string>) =>
      (after.sumOf(name, labels) ?? 0) - (before.sumOf(name, labels) ?? 0);
    const messages = (channel: string, status: string) => more('omega_messages_total', { channel, status });
    expect(messages('sms', 'queued')).toBe(2);
    expect(messages('sms', 'delivered')).toBe(1);
    expect(messages('sms', 'failed')).toBe(1);
    const calls = (outcome: string) =>
      more('omega_carrier_call_duration_seconds_count', { provider: 'simulator', act: 'send', outcome });
    expect(calls('accepted')).toBe(1);
    expect(calls('refused')).toBe(1);
  });

  test('no label names a business, a client, an address or a channel of a tenant', async () => {
    const { text, labels } = await scrape();
    // The process's own name has its number, which may be any.
    const named = (text.match(/\{[^}]*\}/g) ?? []).join('\n').replaceAll(/process="[^"]*"/g, '');
    expect(named).toContain('operation=');
    expect(named).not.toMatch(/1001|12025550123|lotus|carrier-pigeon|\/businesses/i);
    expect([...labels].sort()).toEqual(
      [
        'act',
        'channel',
        'kind',
        'le',
        'operation',
        'outcome',
        'process',
        'provider',
        'queue',
        'space',
        'state',
        'status',
        'source',
        'type',
        'version',
        'major',
        'minor',
        'patch',
      ]
        .filter((name) => labels.has(name))
        .sort(),
    );
  });

  test('tells what waits, for how long, what was given up and what stands in quarantine', async () => {
    const { db } = omega.omega.database;
    await api.post('/sms/queue', {
      to: '+12025550123',
      content: 'Later',
      send_at: new Date(omega.clock.now() + 3_600_000).toISOString(),
    });
    await sql`insert into dead_letters (dead_letter_id, queue, job, created_at)
      select gen_random_uuid(), 'fetch-media', '{}', now() from generate_series(1, 3)`.execute(db);
    await postAsTwilio(omega, '/twilio/sms/incoming', { MessageSid: 'SM1' }, { signature: 'wrong' });
    const { sumOf } = await scrape();
    expect(sumOf('omega_queue_jobs', { queue: 'send-message', state: 'later' })).toBe(1);
    expect(sumOf('omega_queue_jobs', { queue: 'send-message', state: 'due' })).toBe(0);
    expect(sumOf('omega_queue_oldest_due_seconds', { queue: 'send-message' })).toBe(0);
    expect(sumOf('omega_queue_jobs', { queue: 'wake-conversation', state: 'due' })).toBe(0);
    expect(sumOf('omega_dead_letters', { queue: 'fetch-media' })).toBe(3);
    expect(sumOf('omega_dead_letters', { queue: 'send-message' })).toBe(0);
    expect(sumOf('omega_webhook_receipts', { state: 'quarantined' })).toBe(1);
    expect(
      sumOf('omega_webhooks_received_total', { source: 'twilio.sms.incoming', state: 'quarantined' }),
    ).toBe(1);
  });

  test('tells a worker that has no HTTP by what it wrote beside its heartbeat, under its own name', async () => {
    const { db } = omega.omega.database;
    const family = {
      name: 'omega_carrier_call_duration_seconds',
      help: 'Calls of carriers, by provider, act (send, find) and outcome.',
      type: 'histogram',
      values: [
        {
          metricName: 'omega_carrier_call_duration_seconds_count',
          labels: { provider: 'twilio', act: 'send', outcome: 'accepted' },
          value: 41,
        },
      ],
    };
    const insert = (name: string, age: string) =>
      sql`
      insert into worker_heartbeats (process_id, name, version, started_at, beat_at, metrics)
      values (gen_random_uuid(), ${name}, ${version}, now(), now() - ${age}::interval, ${JSON.stringify([family])}::jsonb)`.execute(
        db,
      );
    await insert('messages-2:7', '2 seconds');
    await insert('messages-3:8', '2 minutes');
    const { sumOf, text, families } = await scrape();
    const calls = 'omega_carrier_call_duration_seconds_count';
    expect(sumOf(calls, { provider: 'twilio', process: 'messages-2:7' })).toBe(41);
    expect(text).not.toContain('messages-3:8');
    expect(sumOf('omega_workers')).toBe(2);
    expect(sumOf('omega_worker_heartbeat_age_seconds', { process: 'messages-2:7' })).toBeGreaterThanOrEqual(
      2,
    );
    // One family, however many processes it is of.
    expect(families.get('omega_carrier_call_duration_seconds')).toBe('histogram');
    expect(sumOf(calls, { provider: 'simulator', outcome: 'accepted' })).toBeGreaterThan(0);
  });

  test('asks the database once in five seconds, however often it is scraped', async () => {
    const { db } = omega.omega.database;
    const quarantined = async () =>
      readMetrics(await omega.platform.get('/metrics')).sumOf('omega_dead_letters', {
        queue: 'fetch-media',
      });
    await scrape();
    await sql`delete from dead_letters`.execute(db);
    expect(await quarantined()).toBe(3);
    await omega.tick(5_000);
    expect(await quarantined()).toBe(0);
  });

  test('a count ends at 10,000, and the process is told where the database cannot be asked', async () => {
    const { db } = omega.omega.database;
    await sql`insert into dead_letters (dead_letter_id, queue, job, created_at)
      select gen_random_uuid(), 'fetch-media', '{}', now() from generate_series(1, 10500)`.execute(db);
    expect((await scrape()).sumOf('omega_dead_letters', { queue: 'fetch-media' })).toBe(10_000);
    await sql`alter table dead_letters rename to dead_letters_elsewhere`.execute(db);
    const { sumOf } = await scrape();
    expect(sumOf('omega_database_up')).toBe(0);
    expect(sumOf('omega_dead_letters', { queue: 'fetch-media' })).toBeUndefined();
    expect(sumOf('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    await sql`alter table dead_letters_elsewhere rename to dead_letters`.execute(db);
    expect((await scrape()).sumOf('omega_database_up')).toBe(1);
  });
});
