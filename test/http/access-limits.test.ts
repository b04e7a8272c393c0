import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultLimits } from '../../server/core/http/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createOmega } from '../../server/omega.ts';
import { engineOfTests } from '../support/engine.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega, testSecret } from '../support/omega.ts';

const list = '/businesses/1001/conversations';
const limits = { ...defaultLimits, wrongCredentials: 5 };

describe('wrong credentials', () => {
  let omega: RunningOmega;
  let api: Client;
  beforeAll(async () => {
    omega = await startOmega({ limits, worker: false });
    ({ api } = await omega.business({ business_id: 1001 }));
  });
  afterAll(() => omega?.close());

  test('are throttled by address, and never who comes from there with valid ones', async () => {
    const guess = (i: number) => omega.as(`omk_guess ${i}`).get(list);
    for (let i = 0; i < 5; i++) expectProblem(await guess(i), 401, 'unauthorized');
    const throttled = await guess(5);
    expectProblem(throttled, 429, 'rate_limited');
    expect(Number(throttled.headers.get('retry-after'))).toBeGreaterThan(0);
    for (let i = 0; i < 10; i++) expect((await api.get(list)).status).toBe(200);
    expectProblem(await omega.as(null).get(list), 429, 'rate_limited');
  });
});

describe('X-Forwarded-For', () => {
  /** Statuses of one guess too many through a proxy, each in the name of another address. */
  async function guesses(trustProxy?: number | string[]): Promise<number[]> {
    const omega = await createOmega({
      database: { kind: 'memory', engine: await engineOfTests() },
      secret: testSecret,
      log: createLog({ level: 'fatal', pretty: false }),
      server: true,
      worker: false,
      simulator: false,
      basePath: '/omega',
      publicUrl: 'http://127.0.0.1',
      limits,
      trustProxy,
    });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const answer = await omega.http!.inject({
        url: `/omega${list}`,
        remoteAddress: '10.0.0.1',
        headers: { 'x-api-key': 'omk_guess', 'x-forwarded-for': `203.0.113.${i}` },
      });
      statuses.push(answer.statusCode);
    }
    await omega.close();
    return statuses;
  }

  test('is not believed unless configured: anyone could name any address', async () => {
    expect(await guesses()).toEqual([401, 401, 401, 401, 401, 429]);
    expect(await guesses(['10.1.0.0/16'])).toEqual([401, 401, 401, 401, 401, 429]);
  });

  test('is believed of so many proxies, or of those addresses', async () => {
    expect(await guesses(1)).toEqual([401, 401, 401, 401, 401, 401]);
    expect(await guesses(['10.0.0.0/16'])).toEqual([401, 401, 401, 401, 401, 401]);
  });
});
