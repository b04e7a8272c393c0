import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../../server/core/db/index.ts';
import { settleAttempts } from '../../server/messages/settle.ts';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.close());

const number = (i: number) => `+1202555${String(1000 + i).padStart(4, '0')}`;

test('300 messages with two workers: each is handed to the carrier once, in one attempt, and delivered', async () => {
  const answers = await atOnce(300, pair.apis, (api, i) =>
    api.post('/sms/queue', {
      to: number(i),
      content: `Message ${i}`,
      external_ref: { type: 'run', id: '300' },
    }),
  );
  expect(tally(answers)).toEqual({ 202: 300 });
  await pair.settled();
  const rows = await pair.rows(
    `select status, attempts,
       (select count(*)::int from attempts a where a.message_id = m.message_id) as tried,
       (select count(*)::int from simulator_messages s where s.message_id = m.message_id) as accepted
     from messages m where external_ref->>'id' = '300'`,
  );
  expect(rows).toEqual(answers.map(() => ({ status: 'delivered', attempts: 1, tried: 1, accepted: 1 })));
});

test("a business's events are numbered without a gap, at each moment that a reader looks", async () => {
  let writing = true;
  const gaps: unknown[] = [];
  let looks = 0;
  const reader = (async () => {
    while (writing) {
      gaps.push(
        ...(await pair.rows(
          `select count(*), max(sequence), min(sequence) from events where business_id = 1001
           having count(*) <> max(sequence) or min(sequence) <> 1`,
        )),
      );
      looks++;
    }
  })();
  const answers = await atOnce(200, pair.apis, (api, i) =>
    i % 3 === 0
      ? api.post('/simulator/inbound', { from: number(i), to: '+15005550006', content: `Reply ${i}` })
      : api.post('/sms/queue', { to: number(i), content: `Again ${i}` }),
  );
  await pair.settled();
  writing = false;
  await reader;
  expect(tally(answers)).toEqual({ 201: 67, 202: 133 });
  expect(looks).toBeGreaterThan(5);
  expect(gaps).toEqual([]);
  const numbered = await pair.rows<{ last: number; events: number }>(
    `select event_sequence::int as last, (select count(*)::int from events where business_id = 1001) as events
     from businesses where business_id = 1001`,
  );
  expect(numbered[0]!.events).toBe(numbered[0]!.last);
});

/** Everything that a late outcome could have changed. */
async function state(messageId: string) {
  return pair.rows(
    `select to_jsonb(m) as message,
       (select jsonb_agg(a order by attempt_no) from attempts a where a.message_id = m.message_id) as attempts,
       (select jsonb_agg(t order by entry_id) from message_timeline t where t.message_id = m.message_id) as timeline,
       (select count(*)::int from events) as events, (select count(*)::int from consents) as consents,
       (select count(*)::int from pgboss.job where data->>'message_id' = m.message_id::text) as jobs
     from messages m where m.message_id = $1`,
    [messageId],
  );
}

test('an outcome written down late, for an attempt that was settled meanwhile, changes nothing', async () => {
  const { body } = await pair.apis[0].post('/sms/queue', { to: number(900), content: 'Settled already' });
  await pair.settled();
  const before = await state(body.message_id);
  expect(before).toMatchObject([{ message: { status: 'delivered', attempts: 1 } }]);

  const message = {
    businessId: 1001,
    messageId: body.message_id,
    attemptNo: 1,
    supersededAttempts: 0,
    provider: 'simulator',
  };
  const late = [
    { kind: 'refused', code: '21610', message: 'unsubscribed' },
    { kind: 'refused', code: '20429', message: 'Too Many Requests' },
    { kind: 'unknown', detail: 'paused for an hour' },
    { kind: 'absent' },
    { kind: 'accepted', providerMessageId: 'SMlate', status: 'sending', providerStatus: 'queued' },
  ] as const;
  const { omega, clock } = pair.two;
  for (const outcome of late) {
    await inTransaction(omega.database.db, (tx) =>
      settleAttempts(tx, new Date(clock.now()), omega.queue, [{ message, outcome }]),
    );
    expect(await state(body.message_id)).toEqual(before);
  }
});

test('the same outcome told by two workers at once is written once', async () => {
  // Accepted, but the answer never comes: the attempt stays open until the carrier is asked.
  const { body } = await pair.apis[0].post('/sms/queue', { to: '+15005550010', content: 'Twice settled' });
  await pair.settled();
  await pair.rows(
    `update attempts set state = 'unknown', provider_message_id = null where message_id = $1 returning 1`,
    [body.message_id],
  );
  const [{ provider_message_id: providerMessageId }] = (await pair.rows<{ provider_message_id: string }>(
    `select provider_message_id from simulator_messages where message_id = $1`,
    [body.message_id],
  )) as [{ provider_message_id: string }];
  const outcome = {
    kind: 'accepted',
    providerMessageId,
    status: 'sending',
    providerStatus: 'queued',
  } as const;
  const message = {
    businessId: 1001,
    messageId: body.message_id,
    attemptNo: 1,
    supersededAttempts: 0,
    provider: 'simulator',
  };
  const entries = () =>
    pair.rows(`select 1 from message_timeline where kind = 'attempt.accepted' and message_id = $1`, [
      body.message_id,
    ]);
  const before = (await entries()).length;
  await Promise.all(
    [pair.one, pair.two].flatMap(({ omega }) =>
      Array.from({ length: 5 }, () =>
        inTransaction(omega.database.db, (tx) =>
          settleAttempts(tx, new Date(), omega.queue, [{ message, outcome }]),
        ),
      ),
    ),
  );
  expect(await entries()).toHaveLength(before + 1);
});
