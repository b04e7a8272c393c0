import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../server/access/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

// A window that no run of this file outlasts, so what is counted stays counted.
const limits = { windowS: 3600, read: 5, send: 4, search: 3, wrongCredentials: 4 };
const list = '/businesses/1001/conversations';
let omega: RunningOmega;

beforeAll(async () => {
  omega = await startOmega({ limits, worker: false });
  await omega.business({ business_id: 1001 });
});
afterAll(() => omega.close());

/** A key of the business's that nobody has used. */
async function newKey(): Promise<Client> {
  const { key } = await createKey(omega.omega.database.db, {
    businessId: 1001,
    name: 'fresh',
    scopes: ['read', 'send', 'manage'],
    now: new Date(omega.clock.now()),
  });
  return omega.as(key);
}
const bucket = (answer: Answer) =>
  ['limit', 'remaining', 'reset'].map((name) => Number(answer.headers.get(`ratelimit-${name}`)));
const expectLimited = (answer: Answer) => {
  expectProblem(answer, 429, 'rate_limited');
  const retryAfter = Number(answer.headers.get('retry-after'));
  expect(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= limits.windowS).toBe(true);
};

describe('a key', () => {
  test('is told what is left with every answer, and 429 with Retry-After once nothing is', async () => {
    const api = await newKey();
    for (let left = limits.read - 1; left >= 0; left--) {
      const answer = await api.get(list);
      expect(answer.status).toBe(200);
      const [limit, remaining, reset] = bucket(answer);
      expect([limit, remaining]).toEqual([limits.read, left]);
      expect(reset).toBeGreaterThan(0);
      expect(reset).toBeLessThanOrEqual(limits.windowS);
    }
    const over = await api.get(list);
    expectLimited(over);
    expect(bucket(over).slice(0, 2)).toEqual([limits.read, 0]);
  });

  test('has a bucket for reading and one for sending', async () => {
    const api = await newKey();
    const text = () => api.post('/sms/queue', { to: '+12025550123', content: 'Hi' });
    for (let i = 0; i < limits.send; i++) expect((await text()).status).toBe(202);
    expectLimited(await text());
    expect(bucket(await api.get(list))).toEqual([limits.read, limits.read - 1, expect.any(Number)]);
  });

  test('is not charged for what another does', async () => {
    const [one, other] = [await newKey(), await newKey()];
    for (let i = 0; i <= limits.read; i++) await one.get(list);
    expectLimited(await one.get(list));
    expect((await other.get(list)).status).toBe(200);
  });

  test('that is over its limit writes nothing', async () => {
    const api = await newKey();
    const note = () => api.post('/businesses/1001/clients/77/conversations', { name: 'Eve' });
    for (let i = 0; i < limits.send; i++) await api.post('/session/expire', { staff_id: 12345 });
    expectLimited(await note());
    const made = await omega.omega.database.db
      .selectFrom('clients')
      .select('client_id')
      .where('business_id', '=', 1001)
      .where('client_id', '=', 77)
      .execute();
    expect(made).toEqual([]);
  });

  test('is charged for what is refused too: a loop of bad requests ends', async () => {
    const api = await newKey();
    for (let i = 0; i < limits.send; i++) expect((await api.post('/sms/queue', {})).status).toBe(422);
    expectLimited(await api.post('/sms/queue', {}));
  });
});

// Last: from here on this address is shut out.
test('guessing is throttled: after so many wrong credentials an address gets 429, and health stays open', async () => {
  const valid = await newKey();
  const guess = (i: number) => omega.as(`omk_${String(i).padStart(43, 'x')}`).get(list);
  for (let i = 0; i < limits.wrongCredentials; i++) expectProblem(await guess(i), 401, 'unauthorized');
  expectLimited(await guess(99));
  expectLimited(await omega.as(null).get(list, { authorization: 'Bearer oms_guess' }));
  // Nor does the right one tell itself apart now, or a guesser could go on.
  expectLimited(await valid.get(list));
  expect((await omega.as(null).get('/health')).status).toBe(200);
});
