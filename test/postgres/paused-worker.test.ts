import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { lotus } from '../support/lotus.ts';
import { rowsOf, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type OmegaProcess, startProcess } from '../support/process.ts';

/**
 * A worker that stands still past its lease (a full machine, a paused VM) and then goes on, while
 * another has taken its message over.
 */
let postgres: TestPostgres;
let url: string;
const running: OmegaProcess[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createDatabase('omega');
});
afterAll(async () => {
  await Promise.all(running.map((process) => process.kill()));
  await postgres?.stop();
});

async function start(options: { leaseS: number; carrierDeadlineMs: number }): Promise<OmegaProcess> {
  const omega = await startProcess({ database: { kind: 'postgres', url, poolSize: 10 }, ...options });
  running.push(omega);
  return omega;
}

function state(messageId: string) {
  return rowsOf<Record<string, unknown>>(
    url,
    `select status, attempts, provider_message_id,
       (select jsonb_agg(a order by attempt_no) from attempts a where a.message_id = m.message_id) as tried,
       (select jsonb_agg(t.kind order by entry_id) from message_timeline t where t.message_id = m.message_id) as timeline,
       (select count(*)::int from events e where e.data->>'message_id' = m.message_id::text) as events,
       (select count(*)::int from simulator_messages s where s.message_id = m.message_id) as accepted
     from messages m where m.message_id = $1`,
    [messageId],
  );
}

test('what another worker has settled meanwhile stays as it is when the paused one goes on', async () => {
  const paused = await start({ leaseS: 9, carrierDeadlineMs: 8_000 });
  await paused.platform.post('/business/onboard', lotus);
  // Accepted, but the answer never comes: the worker hangs in the call for the whole of its deadline.
  const { body } = await paused.platform.post('/sms/queue', {
    business_id: 1001,
    to: '+15005550016',
    content: 'Paused in the call',
  });
  await eventually(async () => expect(await state(body.message_id)).toMatchObject([{ accepted: 1 }]), 10);
  paused.pause();
  expect(await state(body.message_id)).toMatchObject([{ status: 'sending', tried: [{ state: 'claimed' }] }]);

  const other = await start({ leaseS: 9, carrierDeadlineMs: 8_000 });
  await eventually(async () => {
    expect(await state(body.message_id)).toMatchObject([{ status: 'delivered' }]);
    // Its own job, taken over after the lease, is done too.
    expect(
      await rowsOf(url, `select 1 from pgboss.job where state in ('created', 'retry', 'active')`),
    ).toEqual([]);
  }, 50);
  const settled = await state(body.message_id);
  expect(settled).toMatchObject([{ attempts: 1, accepted: 1, tried: [{ state: 'accepted' }] }]);

  paused.resume();
  // Ends when its batch is written down: by then it has tried to write the outcome it had.
  expect(await paused.stop()).toBe(0);
  expect(await state(body.message_id)).toEqual(settled);
  expect(await other.stop()).toBe(0);
});
