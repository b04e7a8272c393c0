import { afterAll, beforeAll, expect, test } from 'vitest';
import { atOnce, type Pair, startPair } from '../support/pair.ts';

/** What changes its mind about a message at the very moment that a worker takes it. */
let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.close());

const outcomes = () =>
  pair.rows<{ content: string; status: string; attempts: number; accepted: number }>(
    `select m.content, m.status, m.attempts,
       (select count(*)::int from simulator_messages s where s.message_id = m.message_id) as accepted
     from messages m where m.direction = 'outbound' and m.channel = 'sms'`,
  );

test('cancelMessage against a worker that sends: each is canceled and never sent, or sent once and not canceled', async () => {
  const answers = await atOnce(40, pair.apis, async (api, i) => {
    const queued = await api.post('/sms/queue', { to: `+120255510${10 + i}`, content: `cancel ${i}` });
    return { i, ...(await api.post(`/messages/${queued.body.message_id}/cancel`)) };
  });
  expect(answers.filter(({ status }) => status !== 200 && status !== 409).map(({ body }) => body)).toEqual(
    [],
  );
  await pair.settled();
  const found = new Map((await outcomes()).map((row) => [row.content, row]));
  for (const { i, status } of answers) {
    expect(found.get(`cancel ${i}`)).toMatchObject(
      status === 200
        ? { status: 'canceled', attempts: 0, accepted: 0 }
        : { status: 'delivered', attempts: 1, accepted: 1 },
    );
  }
});

test('rescheduleMessage and updateExternalRef from all sides at once: each is sent once at most', async () => {
  const ref = (i: number) => `race-${i}`;
  const starts = Date.now() + 86_400_000;
  const scheduled = await atOnce(10, pair.apis, (api, i) =>
    api.post('/sms/queue', {
      to: `+120255520${10 + i}`,
      content: `move ${i}`,
      send_at: new Date(starts - 3_600_000).toISOString(),
      external_ref: { type: 'appointment', id: ref(i), starts_at: new Date(starts).toISOString() },
    }),
  );
  const answers = await atOnce(40, pair.apis, (api, at) => {
    const i = at % 10;
    if (at < 20)
      return api.post(`/messages/${scheduled[i]!.body.message_id}/reschedule`, {
        send_at: new Date(Date.now() - 1000).toISOString(),
      });
    const action = at < 30 ? 'canceled' : 'moved';
    return api.post(`/external-refs/appointment/${ref(i)}`, {
      action,
      ...(action === 'moved' && { starts_at: new Date(Date.now() + 3_000_000).toISOString() }),
    });
  });
  expect(answers.filter(({ status }) => status !== 200 && status !== 409).map(({ body }) => body)).toEqual(
    [],
  );
  await pair.settled();
  const moved = (await outcomes()).filter(({ content }) => content.startsWith('move '));
  expect(moved).toHaveLength(10);
  for (const row of moved) {
    expect(['canceled', 'delivered']).toContain(row.status);
    expect([row.attempts, row.accepted]).toEqual(row.status === 'delivered' ? [1, 1] : [0, 0]);
  }
});

test('answers that are sent, suppressed, canceled and retried while their clients write: nobody waits crosswise', async () => {
  const phone = (i: number) => `+120255530${10 + (Math.floor(i / 5) % 5)}`;
  await atOnce(5, pair.apis, (api, i) => api.post('/sms/queue', { to: phone(i * 5), content: 'first' }));
  const answers = await atOnce(100, pair.apis, async (api, i) => {
    switch (i % 5) {
      case 0:
        return api.post('/simulator/inbound', {
          from: phone(i),
          to: '+15005550006',
          content: i % 2 ? 'STOP' : 'START',
        });
      case 1:
        return api.post('/simulator/inbound', {
          from: phone(i),
          to: '+15005550006',
          content: `question ${i}`,
        });
      case 2: {
        const { body } = await api.post('/sms/queue', {
          to: phone(i),
          content: `answer ${i}`,
          sent_by: 12345,
        });
        return api.post('/sms/status', { message_id: body.message_id, status: 'undelivered' });
      }
      case 3: {
        const { body } = await api.post('/sms/queue', {
          to: phone(i),
          content: `off ${i}`,
          sent_by: 12345,
        });
        return api.post(`/messages/${body.message_id}/cancel`);
      }
      default:
        return api.post('/messages/retry', { limit: 5 });
    }
  });
  const wrong = answers.filter(({ status }) => ![200, 201, 202, 409].includes(status));
  expect(wrong.map(({ status, body }) => ({ status, body }))).toEqual([]);
  await pair.settled();
  expect(await pair.rows(`select queue, error from dead_letters`)).toEqual([]);
  expect(
    await pair.rows(
      `select content from messages m where 1 < (select count(*) from simulator_messages s where s.message_id = m.message_id)
         and not exists (select 1 from message_timeline t where t.message_id = m.message_id and t.kind = 'retried')`,
    ),
  ).toEqual([]);
  expect(
    await pair.rows(`select deadlocks::int from pg_stat_database where datname = current_database()`),
  ).toEqual([{ deadlocks: 0 }]);
});
