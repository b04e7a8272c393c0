import { afterAll, beforeAll, expect, test } from 'vitest';
import { lotus } from '../support/lotus.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let omega: RunningOmega;
beforeAll(async () => {
  postgres = await startPostgres();
  const url = await postgres.createDatabase('onboarding');
  omega = await startOmega({ database: { kind: 'postgres', url, poolSize: 10 }, realTime: true });
});
afterAll(async () => {
  await omega?.close();
  await postgres?.stop();
});

test('of first onboardings at once one gives out a key, and one key there is', async () => {
  for (const business_id of [1, 2, 3, 4, 5]) {
    const plan = { ...lotus, business_id };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => omega.platform.post('/business/onboard', plan)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(202));
    expect(answers.filter(({ body }) => body.api_key)).toHaveLength(1);
    const keys = await omega.omega.database.db
      .selectFrom('api_keys')
      .select('name')
      .where('business_id', '=', business_id)
      .execute();
    expect(keys).toHaveLength(1);
  }
});
