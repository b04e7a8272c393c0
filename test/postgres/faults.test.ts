import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Answer } from '../support/omega.ts';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';
import { connect, endConnections } from '../support/postgres.ts';

let pair: Pair;
beforeAll(async () => {
  // Connections that die take running jobs with them; a lease of two seconds brings those back.
  pair = await startPair({ leaseS: 4, lockTimeoutMs: 300 });
});
afterAll(() => pair?.close());

const number = (i: number) => `+1202555${String(2000 + i).padStart(4, '0')}`;

/** The only refusal that an absent database may cause. */
function expectUnavailable(answer: Answer) {
  expect(answer.status, JSON.stringify(answer.body)).toBe(503);
  expect(answer.body.code).toBe('unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

/** Every message of the run is delivered in the end, each accepted once. */
async function expectAllDelivered(messageIds: string[]) {
  await eventually(async () => {
    const [{ delivered }] = (await pair.rows<{ delivered: number }>(
      `select count(*)::int as delivered from messages where message_id = any($1) and status = 'delivered'`,
      [messageIds],
    )) as [{ delivered: number }];
    expect(delivered).toBe(messageIds.length);
  }, 100);
  expect(
    await pair.rows(
      `select message_id from simulator_messages where message_id = any($1) group by message_id having count(*) > 1`,
      [messageIds],
    ),
  ).toEqual([]);
}

describe('connections that the server ends', () => {
  test('while requests run: each gets 503 or its answer, and who repeats gets through with one message', async () => {
    const kills = endConnections(pair.url, 40);
    const refused: Answer[] = [];
    const health: Answer[] = [];
    const answers: Answer[] = [];
    for (let round = 0; round < 8; round++) {
      const [some, alive] = await Promise.all([
        atOnce(20, pair.apis, async (api, i) => {
          const body = {
            to: number(round * 20 + i),
            content: 'Through the storm',
            request_id: `s-${round}-${i}`,
          };
          for (;;) {
            const answer = await api.post('/sms/queue', body);
            if (answer.status === 202) return answer;
            refused.push(answer);
          }
        }),
        pair.apis[0].get('/health'),
      ]);
      answers.push(...some);
      health.push(alive);
    }
    expect(await kills).toBeGreaterThan(40);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expectUnavailable(answer);
    expect(tally(health)).toEqual({ 200: 8 });

    // Over: the next requests are answered again.
    await eventually(async () => {
      const after = await atOnce(10, pair.apis, (api) => api.get('/health/db'));
      expect(tally(after)).toEqual({ 200: 10 });
    }, 50);
    expect(await pair.rows(`select 1 from messages where content = 'Through the storm'`)).toHaveLength(160);
    await expectAllDelivered(answers.map(({ body }) => body.message_id));
  });
});

describe('a database that is stopped and started', () => {
  test('503 with Retry-After while it is down, /health stays green, and all recovers without a restart', async () => {
    const before = await atOnce(20, pair.apis, (api, i) =>
      api.post('/sms/queue', { to: number(300 + i), content: 'Before the stop' }),
    );
    expect(tally(before)).toEqual({ 202: 20 });
    await pair.postgres.halt();
    try {
      for (const api of pair.apis) {
        expectUnavailable(await api.post('/sms/queue', { to: number(1), content: 'While it is down' }));
        expectUnavailable(await api.get('/businesses/1001/conversations'));
        expectUnavailable(await api.get('/health/db'));
        expect((await api.get('/health')).status).toBe(200);
      }
    } finally {
      await pair.postgres.restart();
    }
    const again = await eventually(async () => {
      const answers = await atOnce(10, pair.apis, (api, i) =>
        api.post('/sms/queue', {
          to: number(320 + i),
          content: 'After the start',
          request_id: `after-${i}`,
        }),
      );
      expect(tally(answers)).toEqual({ 202: 10 });
      return answers;
    }, 50);
    expect((await pair.apis[0].get('/health/db')).status).toBe(200);
    await expectAllDelivered([...before, ...again].map(({ body }) => body.message_id));
  });
});

test('a Postgres that has become read only, as a primary that was failed over: 503 with Retry-After, until it is one again', async () => {
  const admin = await connect(pair.url);
  const name = new URL(pair.url).pathname.slice(1);
  const readOnly = async (is: 'on' | 'off') => {
    await admin.query('set default_transaction_read_only = off');
    await admin.query(`alter database ${name} set default_transaction_read_only = ${is}`);
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'omega%'`,
    );
  };
  await readOnly('on');
  const body = { to: number(300), content: 'After the failover', request_id: 'read-only' };
  const refused: Answer[] = [];
  // The first may meet a connection that has just ended, the next ones meet new ones.
  for (let i = 0; i < 3; i++) refused.push(await pair.apis[0].post('/sms/queue', body));
  await readOnly('off');
  await admin.end();
  for (const answer of refused) expectUnavailable(answer);
  const taken = await eventually(async () => {
    const answer = await pair.apis[0].post('/sms/queue', body);
    expect(answer.status).toBe(202);
    return answer;
  });
  await expectAllDelivered([taken.body.message_id]);
});

describe('a lock that somebody holds', () => {
  test('on a request that still runs: 409 with Retry-After, and the same request goes through afterwards', async () => {
    const holder = await connect(pair.url);
    await holder.query('begin');
    await holder.query(
      `insert into requests (business_id, request_id, operation, fingerprint, created_at) values (1001, 'held', 'queueSms', 'x', now())`,
    );
    const body = { to: number(400), content: 'Held', request_id: 'held' };
    // Through both processes, and with an innocent neighbour that waits in the same batch.
    const [first, neighbour, second] = await Promise.all([
      pair.apis[0].post('/sms/queue', body),
      pair.apis[0].post('/sms/queue', { to: number(401), content: 'A neighbour' }),
      pair.apis[1].post('/sms/queue', body),
    ]);
    for (const answer of [first, second]) {
      expect(answer.status).toBe(409);
      expect(answer.body.code).toBe('request_in_progress');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(neighbour.status).toBe(202);
    await holder.query('rollback');
    await holder.end();
    expect((await pair.apis[1].post('/sms/queue', body)).status).toBe(202);
    await expectAllDelivered([neighbour.body.message_id]);
  });

  test("on the business's row, which every write takes last: 409, and nothing of the write remains", async () => {
    const holder = await connect(pair.url);
    await holder.query('begin');
    await holder.query('select 1 from businesses where business_id = 1001 for update');
    const answer = await pair.apis[0].post('/sms/queue', {
      to: number(402),
      content: 'Nothing remains',
      request_id: 'row-held',
    });
    expect(answer.status).toBe(409);
    expect(await pair.rows(`select 1 from messages where content = 'Nothing remains'`)).toEqual([]);
    expect(await pair.rows(`select 1 from requests where request_id = 'row-held'`)).toEqual([]);
    expect(await pair.rows(`select 1 from addresses where address = $1`, [number(402)])).toEqual([]);
    await holder.query('rollback');
    await holder.end();
  });
});
