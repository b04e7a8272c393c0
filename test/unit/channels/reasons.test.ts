import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { providerRows } from '../../../server/channels/reasons.data.ts';
import { canonicalReasons, explain, retryDelayMs } from '../../../server/channels/reasons.ts';

describe("Twilio's codes mean what the table of the API says", () => {
  test.each([
    ['21610', 'opted_out', false],
    ['21211', 'invalid_address', false],
    ['21614', 'invalid_address', false],
    ['21635', 'landline', false],
    ['30006', 'landline', false],
    ['21608', 'account_config', false],
    ['21212', 'sender_config', false],
    ['21606', 'sender_config', false],
    ['21612', 'sender_config', false],
    ['21408', 'region_not_permitted', false],
    ['20003', 'account_config', false],
    ['20429', 'rate_limited', true],
    ['30001', 'rate_limited', true],
    ['21611', 'rate_limited', true],
    ['30002', 'account_config', false],
    ['30003', 'unreachable', true],
    ['30004', 'blocked', false],
    ['30005', 'invalid_address', false],
    ['30007', 'filtered', false],
    ['30008', 'unknown', true],
    ['30010', 'price', false],
    ['30011', 'media_unsupported', false],
    ['30034', 'sender_unregistered', false],
    ['30047', 'window', true],
    ['35115', 'invalid_request', false],
  ])('%s is %s, tried again by itself: %s', (code, reason, retryable) => {
    expect(explain('twilio', code)).toMatchObject({ reason, retryable });
    expect(explain('simulator', code)).toEqual(explain('twilio', code));
  });

  test('unreachable (30003) and unspecified (30008) failures are tried once more, and later', () => {
    for (const code of ['30003', '30008']) {
      const { retry } = explain('twilio', code);
      expect(retry!.maxAttempts).toBe(2);
      expect(retry!.firstDelayS).toBeGreaterThanOrEqual(300);
    }
  });

  test('a full sender queue (21611) is asked again after a minute at the soonest', () => {
    expect(explain('twilio', '21611').retry!.firstDelayS).toBeGreaterThanOrEqual(60);
  });

  test('21610, and no other code, goes to the consent ledger', () => {
    const codes = providerRows.flatMap(({ provider, codes }) =>
      codes.map((code) => [provider, code] as const),
    );
    expect(codes.filter(([provider, code]) => explain(provider, code).effect === 'opt_out')).toEqual([
      ['twilio', '21610'],
    ]);
  });
});

test('an answer with a status alone is understood: 401, 403, 429 and every 5xx', () => {
  expect(
    ['401', '403', '429', '500', '502', '503', '504', '599'].map((code) => explain('http', code).reason),
  ).toEqual(['account_config', 'account_config', 'rate_limited', ...Array(5).fill('server_error')]);
  expect(explain('http', '418').reason).toBe('unknown');
  expect(explain('twilio', '500').reason).toBe('unknown');
});

test('what is ours and not a provider’s is asked for by its name', () => {
  for (const reason of canonicalReasons) expect(explain('omega', reason.reason)).toEqual(reason);
  expect(explain('omega', 'no_answer')).toMatchObject({ retryable: false, final: false });
  expect(explain('omega', 'timeout')).toMatchObject({ retryable: true, final: false });
  expect(explain('omega', 'server_error')).toMatchObject({ retryable: true, final: false });
  expect(explain('omega', 'internal')).toMatchObject({ retryable: true, final: false });
  for (const reason of ['opted_out', 'erased', 'expired'])
    expect(explain('omega', reason)).toMatchObject({ retryable: false, final: true });
});

describe('a code without a row', () => {
  test('is unknown and never tried again by itself, and staff see the code', () => {
    expect(explain('twilio', '99999')).toMatchObject({ reason: 'unknown', retryable: false, retry: null });
    expect(explain('twilio', '99999').advice).toContain('99999');
    expect(explain('twilio', null)).toMatchObject({ reason: 'unknown', retryable: false, retry: null });
    expect(explain('a-carrier-yet-to-come', '21610').reason).toBe('unknown');
  });

  test('whatever it holds, it is shown short and printable, and finds nothing it should not', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary', maxLength: 100 }),
        (provider, code) => {
          const { reason, advice } = explain(provider, code);
          expect(reason).toBe('unknown');
          expect(advice).toMatch(/^[\x20-\x7e]{1,200}$/);
        },
      ),
    );
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(explain('twilio', name).reason).toBe('unknown');
      expect(explain('omega', name).reason).toBe('unknown');
      expect(explain(name, name).reason).toBe('unknown');
    }
  });
});

describe('the table', () => {
  const all = [
    ...canonicalReasons,
    ...providerRows.flatMap(({ provider, codes }) => codes.map((code) => explain(provider, code))),
  ];

  test('never calls a failure both final and worth another try, and plans exactly the tries it promises', () => {
    for (const row of all) {
      expect(row.final && row.retryable).toBe(false);
      expect(row.retry !== null).toBe(row.retryable);
      if (row.retry) {
        expect(row.retry.maxAttempts).toBeGreaterThan(1);
        expect(row.retry.firstDelayS).toBeGreaterThan(0);
        expect(row.retry.maxDelayS).toBeGreaterThanOrEqual(row.retry.firstDelayS);
      }
    }
  });

  test('names each reason once, lists each code once, and advises in whole sentences', () => {
    const names = canonicalReasons.map(({ reason }) => reason);
    expect(new Set(names).size).toBe(names.length);
    const keys = providerRows.flatMap(({ provider, codes }) => codes.map((code) => `${provider} ${code}`));
    expect(new Set(keys).size).toBe(keys.length);
    for (const { advice } of all) expect(advice).toMatch(/^[A-Z].{20,200}\.$/);
  });
});

describe('the wait before another try', () => {
  const policy = fc
    .record({
      maxAttempts: fc.integer({ min: 2, max: 50 }),
      firstDelayS: fc.integer({ min: 1, max: 3_600 }),
      extraS: fc.integer({ min: 0, max: 86_400 }),
    })
    .map(({ extraS, ...rest }) => ({ ...rest, maxDelayS: rest.firstDelayS + extraS }));
  const attempt = fc.integer({ min: 1, max: 5_000 });
  const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('lies between the first and the longest delay, in whole milliseconds, after any number of attempts', () => {
    fc.assert(
      fc.property(policy, attempt, draw, (plan, attemptNo, drawn) => {
        const delayMs = retryDelayMs(plan, attemptNo, () => drawn);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(plan.firstDelayS * 1_000);
        expect(delayMs).toBeLessThanOrEqual(plan.maxDelayS * 1_000);
        expect(delayMs).toBeLessThanOrEqual(plan.firstDelayS * 1_000 * 2 ** attemptNo);
      }),
    );
  });

  test('grows with the attempts until the cap, for the same draw', () => {
    fc.assert(
      fc.property(policy, attempt, draw, (plan, attemptNo, drawn) => {
        const [now, next] = [attemptNo, attemptNo + 1].map((n) => retryDelayMs(plan, n, () => drawn));
        expect(next).toBeGreaterThanOrEqual(now!);
      }),
    );
  });

  test('uses the whole window: its ends are reached, so that a burst is spread as wide as can be', () => {
    const plan = { maxAttempts: 9, firstDelayS: 2, maxDelayS: 900 };
    expect(retryDelayMs(plan, 3, () => 0)).toBe(2_000);
    expect(retryDelayMs(plan, 3, () => 1 - Number.EPSILON)).toBe(16_000);
    expect(retryDelayMs(plan, 30, () => 1 - Number.EPSILON)).toBe(900_000);
  });

  test('is never below Retry-After up to a day, and above it by no more than the longest delay', () => {
    fc.assert(
      fc.property(
        policy,
        attempt,
        draw,
        fc.integer({ min: 0, max: 86_400_000 }),
        (plan, n, drawn, retryAfterMs) => {
          const delayMs = retryDelayMs(plan, n, () => drawn, retryAfterMs);
          expect(delayMs).toBeGreaterThanOrEqual(retryAfterMs);
          expect(delayMs).toBeLessThanOrEqual(retryAfterMs + plan.maxDelayS * 1_000);
        },
      ),
    );
  });

  test('is a number of sense for a Retry-After without sense', () => {
    const plan = { maxAttempts: 9, firstDelayS: 2, maxDelayS: 900 };
    for (const odd of [Number.NaN, -1, Number.NEGATIVE_INFINITY])
      expect(retryDelayMs(plan, 1, () => 0, odd)).toBe(2_000);
    for (const odd of [1e15, Number.POSITIVE_INFINITY])
      expect(retryDelayMs(plan, 1, () => 0, odd)).toBe(86_400_000);
  });
});
