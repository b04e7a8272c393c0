import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf } from '../support/reading.ts';

const to = '+12025550123';
let omega: RunningOmega;
let api: Client;
let key: string;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

describe('a body that means harm', () => {
  const raw = (metadata: string) =>
    api.post('/sms/queue', `{"to":"${to}","content":"Hi","metadata":${metadata}}`);

  test('with __proto__, or constructor.prototype, is refused and reaches no prototype', async () => {
    for (const metadata of [
      '{"__proto__":{"polluted":1}}',
      '{"a":{"__proto__":[]}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
    ])
      expectProblem(await raw(metadata), 400, 'invalid_json', metadata);
    expectProblem(
      await api.post('/sms/queue', '{"__proto__":{"to":"+12025550123"},"content":"Hi"}'),
      400,
      'invalid_json',
    );
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('with names that objects have by birth keeps them as data', async () => {
    const metadata = {
      constructor: 'a',
      toString: 'b',
      hasOwnProperty: 1,
      valueOf: null,
      prototype: { length: 0 },
    };
    const { body } = await raw(JSON.stringify(metadata));
    expect((await messageOf(api, 1001, body)).metadata).toEqual(metadata);
    expectProblem(await api.post('/sms/queue', { to, content: 'Hi', toString: 'x' }), 422, 'unknown_field');
  });

  test('that nests deeper than 32 is 422; a million brackets are no danger', async () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    const fits = await raw(nested(31));
    expect(fits.status).toBe(202);
    expect((await messageOf(api, 1001, fits.body)).metadata).toEqual(JSON.parse(nested(31)));
    expectProblem(await raw(nested(33)), 422, 'invalid_parameters');
    expectProblem(await raw('['.repeat(500_000) + ']'.repeat(500_000)), 422, 'invalid_parameters');
    expectProblem(await raw('['.repeat(900_000)), 400, 'invalid_json');
  });

  test('with an item that nests 200,000 deep is told so for that item, and the others are recorded', async () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    const good = { channel: 'sms', direction: 'inbound', from: to, content: 'Hi' };
    for (const bad of [deep, JSON.stringify({ ...good, metadata: { a: 0 } }).replace('0}', `${deep}}`)]) {
      const answer = await api.post('/messages', `{"messages":[${bad},${JSON.stringify(good)}]}`);
      expect(answer.status).toBe(200);
      expect(answer.body.results).toMatchObject([
        { status: 422, error: { code: 'invalid_parameters' } },
        { status: 201 },
      ]);
    }
  });

  test('with a million fields, or faults, is answered at once and in few words', async () => {
    const fields = Array.from({ length: 60_000 }, (_, i) => `"f${i}":1`).join(',');
    const many = await api.post('/sms/queue', `{${fields}}`);
    expectProblem(many, 422, 'invalid_parameters');
    expect(many.body.errors.length).toBeLessThanOrEqual(100);
    const urls = await api.post('/sms/queue', {
      to,
      content: 'Hi',
      media_urls: Array(200_000).fill(1),
    });
    expectProblem(urls, 422, 'invalid_parameters');
    expect(urls.body.errors.length).toBeLessThanOrEqual(100);
    expect(faultsOf(urls)).toContain('media_urls too_many');
  });

  test('with the same field twice counts as the last of them', async () => {
    const body = `{"to":"${to}","content":"first","content":"second"}`;
    const answer = await api.post('/sms/queue', body);
    expect((await messageOf(api, 1001, answer.body)).content).toBe('second');
  });

  test('with numbers beyond what can be kept is 422, or comes back as it is', async () => {
    for (const business of ['1e400', '-0.5', '9007199254740992', '"1001"', 'true'])
      expectProblem(
        await api.post('/sms/queue', `{"business_id":${business},"to":"+12025550123","content":"Hi"}`),
        422,
        'invalid_parameters',
        business,
      );
    const metadata = { big: 1e308, small: 5e-324, safe: Number.MAX_SAFE_INTEGER, negative: -1.5 };
    const { body } = await raw(JSON.stringify(metadata));
    expect((await messageOf(api, 1001, body)).metadata).toEqual(metadata);
  });

  test('in another encoding than UTF-8 is 400: half a letter is not quietly replaced', async () => {
    const body = Buffer.concat([
      Buffer.from(`{"to":"${to}","content":"caf`),
      Buffer.from([0xe9]),
      Buffer.from('"}'),
    ]);
    const response = await fetch(`${omega.url}/sms/queue`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body,
    });
    const answer = { status: response.status, headers: response.headers, body: await response.json() };
    expectProblem(answer, 400, 'invalid_encoding');
  });
});

describe('addresses that a parser could run away on', () => {
  test.each([
    ['to', '9'.repeat(64)],
    ['to', '+'.repeat(64)],
    ['to', '(('.repeat(32)],
    ['from', 'a@'.repeat(32)],
    ['to', '１２０２５５５０１２３'],
    ['to', 'tel:+12025550123;ext=1;phone-context=x'],
  ])('%s: %s', async (field, value) => {
    const answer = await api.post('/sms/queue', { to, content: 'Hi', [field]: value });
    expect(answer.status).toBeLessThan(500);
  });

  test('mail addresses of every bad shape are refused, and none brings a second recipient', async () => {
    const path = '/businesses/1001/clients/8001/conversations';
    for (const email of [
      'a@b.example,c@d.example',
      'a@b.example\r\nBcc: c@d.example',
      '"a b"@c.example',
      'a@[127.0.0.1]',
      `${'a'.repeat(65)}@b.example`,
      '<a@b.example>',
      'a@b',
      'a@b..example',
      'ä@b.example',
      'a@b.example\0',
    ]) {
      const answer = await api.post(path, { email });
      expectProblem(answer, 422, 'invalid_parameters', email);
      expect(answer.body.errors[0].path).toBe('email');
    }
  });
});
