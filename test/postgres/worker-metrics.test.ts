import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createOmega, type Omega } from '../../server/omega.ts';
import { eventually } from '../support/eventually.ts';
import { readMetrics } from '../support/metrics.ts';
import { type Client, type RunningOmega, startOmega, testSecret } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let database: DatabaseTarget;
/** Answers HTTP and does no job. */
let server: RunningOmega;
/** The other way round. */
let worker: Omega | undefined;
let api: Client;

beforeAll(async () => {
  postgres = await startPostgres();
  database = { kind: 'postgres', url: await postgres.createDatabase('apart'), poolSize: 4 };
});
beforeAll(async () => {
  server = await startOmega({ database, realTime: true, worker: false });
  ({ api } = await server.business({ business_id: 1001 }));
});
afterAll(async () => {
  await worker?.close();
  await server?.close();
  await postgres?.stop();
});

const ready = async () => {
  const { status, body } = await server.as(null).get('/health/ready');
  return { status, failed: body.checks.filter((check: { state: string }) => check.state !== 'ok') };
};

test('a server tells of the worker beside it: that it lives, what it sent, and when it is gone', async () => {
  const { status } = await api.post('/sms/queue', { to: '+12025550123', content: 'Hello' });
  expect(status).toBe(202);
  expect(await ready()).toMatchObject({ status: 503, failed: [{ name: 'worker', state: 'failed' }] });

  worker = await createOmega({
    database,
    secret: testSecret,
    log: createLog({ level: 'fatal', pretty: false }),
    server: false,
    worker: true,
    simulator: true,
    basePath: '/omega',
    publicUrl: 'http://127.0.0.1',
    beatEveryMs: 200,
  });
  expect(worker.http).toBeNull();
  expect(await ready()).toMatchObject({ status: 200 });
  const sent = { provider: 'simulator', act: 'send', outcome: 'accepted' };
  await eventually(async () => {
    // What the database says is kept for five seconds, which pass meanwhile.
    const { sumOf } = readMetrics(await server.platform.get('/metrics'));
    expect(sumOf('omega_workers')).toBe(1);
    expect(sumOf('omega_carrier_call_duration_seconds_count', sent)).toBe(1);
    expect(sumOf('omega_messages_total', { channel: 'sms', status: 'delivered' })).toBe(1);
    // Counted where it was written: by the server.
    expect(sumOf('omega_messages_total', { channel: 'sms', status: 'queued' })).toBe(1);
  });

  await worker.close();
  worker = undefined;
  expect(await ready()).toMatchObject({ status: 503, failed: [{ name: 'worker', state: 'failed' }] });
});
