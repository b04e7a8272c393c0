import { sql } from 'kysely';
import { expect } from 'vitest';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { type CrashRun, crashTimes } from './crash.ts';
import { eventually } from './eventually.ts';
import { type RunningOmega, startOmega } from './omega.ts';

/** Starts Omega once more, lets it do what is left, and holds the run's answers against what is there. */
export async function expectNothingLost(database: DatabaseTarget, run: CrashRun): Promise<void> {
  expect(run.wrong.map(({ status, body }) => ({ status, body }))).toEqual([]);
  const omega = await startOmega({ database, realTime: true, ...crashTimes });
  try {
    await eventually(async () => expect(await omega.omega.queue.depth()).toEqual([]), 100);
    await expectAnswersKept(omega, run);
    await expectBooksAgree(omega, run);
  } finally {
    await omega.close();
  }
}

/** Every message that a 2xx named is returned by GET, and where it was queued, it is delivered. */
async function expectAnswersKept(omega: RunningOmega, run: CrashRun): Promise<void> {
  const found = new Map<string, { status: string; request_id: string }>();
  const places = new Map(
    run.answered.map(({ body }) => [
      body.conversation_id,
      `/businesses/1001/clients/${body.client_id}/conversations/${body.conversation_id}/messages`,
    ]),
  );
  for (const path of places.values()) {
    let cursor = '';
    do {
      const { status, body } = await omega.platform.get(`${path}?limit=100${cursor && `&cursor=${cursor}`}`);
      expect(status).toBe(200);
      for (const message of body.data) found.set(message.message_id, message);
      cursor = body.next_cursor ?? '';
    } while (cursor);
  }
  const lost = run.answered.filter(({ body }) => !found.has(body.message_id));
  expect(lost).toEqual([]);
  const unfinished = run.answered
    .filter(({ kind }) => kind === 'queue' || kind === 'status')
    .filter(({ body }) => found.get(body.message_id)!.status !== 'delivered')
    .map(({ kind, body }) => ({ kind, id: body.message_id, status: found.get(body.message_id)!.status }));
  expect(unfinished).toEqual([]);
}

/** The carrier's own books are the witness: nothing was handed over twice. Then ours against themselves. */
async function expectBooksAgree(omega: RunningOmega, run: CrashRun): Promise<void> {
  const { db } = omega.omega.database;
  const rows = async (statement: ReturnType<typeof sql>) => (await statement.execute(db)).rows;
  const none = async (what: string, statement: ReturnType<typeof sql>) =>
    expect({ [what]: await rows(statement) }).toEqual({ [what]: [] });

  await none(
    'handed over twice',
    sql`select message_id, count(*) from simulator_messages group by 1 having count(*) > 1`,
  );
  await none(
    'queued, and not once at the carrier',
    sql`select message_id, status from messages m where direction = 'outbound' and attempts > 0
        and 1 <> (select count(*) from simulator_messages s where s.message_id = m.message_id)`,
  );
  await none(
    'written twice for one request',
    sql`select request_id, count(*) from messages group by 1 having count(*) > 1`,
  );
  await none('dead letters', sql`select queue, job, error from dead_letters`);
  await none(
    'attempts left open or miscounted',
    sql`select message_id, attempts from messages m where exists (select 1 from attempts a
          where a.message_id = m.message_id and a.state in ('claimed', 'unknown'))
        or attempts <> (select count(*) from attempts a where a.message_id = m.message_id)`,
  );
  await none(
    'counters that disagree with the messages',
    sql`select conversation_id from conversations c where unread_count <>
        (select count(*) from messages m where m.conversation_id = c.conversation_id and m.unread)`,
  );
  await none(
    'delivered more than once to readers',
    sql`select data->>'message_id' from events where type = 'message.delivered' group by 1 having count(*) > 1`,
  );
  expect(
    await rows(sql`select count(*)::int = max(sequence) and min(sequence) = 1 as gapless from events`),
  ).toEqual([{ gapless: true }]);

  const asked = run.answered.filter(({ kind }) => kind !== 'status').length;
  expect(await rows(sql`select count(*)::int as messages from messages`)).toEqual([{ messages: asked }]);
}
