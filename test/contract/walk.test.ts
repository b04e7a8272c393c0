import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation, Scope } from '../../contract/index.ts';
import { createKey, revokeKey } from '../../server/access/index.ts';
import { compileAnswer, compileInput } from '../../server/core/http/validation.ts';
import {
  callable,
  exampleRequest,
  guarded,
  operations,
  parts,
  type Things,
  wire,
} from '../support/contract-requests.ts';
import { dumpBusiness } from '../support/dump.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { readyFor } from '../support/ready.ts';
import { businessWithThings } from '../support/things.ts';

const scopes: readonly Scope[] = ['read', 'send', 'manage'];
let omega: RunningOmega;
let api: Client;
let things: Things;

beforeAll(async () => {
  omega = await startOmega();
  // The examples are of November 2026, and nothing may be recorded that is still to come.
  await omega.tick(Date.parse('2026-12-01T09:00:00Z') - omega.clock.now());
  ({ api, things } = await businessWithThings(omega, 1001));
});
afterAll(() => omega.close());

const callerFor = (row: Operation): Client => (row.auth === 'platform' ? omega.platform : api);

/** Sends the row's example; `change` may add to what goes over the wire. */
function send(
  row: Operation,
  client: Client,
  change: {
    headers?: Record<string, string>;
    path?: (path: string) => string;
    body?: unknown;
    about?: Things;
  } = {},
): Promise<Answer> {
  const { path, body, headers } = wire(row, exampleRequest(row, change.about ?? things));
  const to = change.path?.(path) ?? path;
  return client.call(row.method, to, 'body' in change ? change.body : body, {
    ...headers,
    ...change.headers,
  });
}

describe('without valid credentials every operation that needs them is 401, and nothing changes', () => {
  const bad: Record<string, Record<string, string>> = {
    'no credentials': {},
    'a wrong key': { 'x-api-key': `omk_${'A'.repeat(43)}` },
    'an empty key': { 'x-api-key': '' },
    'a key of 10,000 characters': { 'x-api-key': 'k'.repeat(10_000) },
    'a bearer without a token': { authorization: 'Bearer' },
    'a bearer of two words': { authorization: 'Bearer one two' },
    'a wrong bearer token': { authorization: `Bearer oms_${'A'.repeat(43)}` },
    'another scheme': { authorization: 'Basic dXNlcjpwYXNzd29yZA==' },
    'a wrong cookie': { cookie: `omega_session=oms_${'A'.repeat(43)}` },
  };

  beforeAll(async () => {
    const { db } = omega.omega.database;
    const now = new Date(omega.clock.now());
    const of = { businessId: things.business_id, name: 'short-lived', scopes, now };
    const revoked = await createKey(db, of);
    await revokeKey(db, revoked.keyId, now);
    bad['a revoked key'] = { 'x-api-key': revoked.key };
    const old = await createKey(db, { ...of, expiresAt: new Date(now.getTime() - 1) });
    bad['an expired key'] = { 'x-api-key': old.key };
    const short = await api.post('/authentication/token', { staff_id: things.staff_id, ttl_s: 60 });
    bad['an expired session'] = { authorization: `Bearer ${short.body.token}` };
    await omega.tick(60_000);
    const ended = await api.post('/authentication/token', { staff_id: things.staff_id });
    await api.post('/session/expire', { session_id: ended.body.session_id });
    bad['an ended session'] = { authorization: `Bearer ${ended.body.token}` };
    bad['the cookie of an ended session'] = { cookie: `omega_session=${ended.body.token}` };
  });

  test.each(guarded)('%s', async (_, row) => {
    const before = await dumpBusiness(omega.omega.database.db, things.business_id);
    for (const [what, headers] of Object.entries(bad)) {
      const answer = await send(row, clientOf(omega.url, null), { headers });
      expectProblem(answer, 401, 'unauthorized', what);
      expect(answer.headers.get('www-authenticate'), what).toContain('Bearer');
    }
    expect(await dumpBusiness(omega.omega.database.db, things.business_id)).toEqual(before);
  });
});

describe('credentials that may not do it get 403, and nothing changes', () => {
  test.each(guarded)('%s', async (_, row) => {
    const { db } = omega.omega.database;
    const now = new Date(omega.clock.now());
    const lacking = scopes.filter((scope) => scope !== row.auth);
    const { key } = await createKey(db, {
      businessId: things.business_id,
      name: 'lacking',
      scopes: row.auth === 'platform' ? scopes : lacking,
      now,
    });
    const before = await dumpBusiness(db, things.business_id);
    expectProblem(await send(row, omega.as(key)), 403, 'forbidden');
    const { api_keys: _keys, ...after } = await dumpBusiness(db, things.business_id);
    expect({ ...after, api_keys: before.api_keys }).toEqual(before);
  });

  test.each(guarded.filter(([, row]) => row.auth === 'manage' || row.auth === 'platform'))(
    '%s, to the session of a staff member who is no manager',
    async (_, row) => {
      const staffId = things.staff_id + 5;
      await omega.business({
        business_id: things.business_id,
        locations: [],
        staffs: [{ staff_id: staffId, name: 'Noah Diaz', role: 'staff' }],
        senders: [],
      });
      const { body } = await api.post('/authentication/token', { staff_id: staffId });
      const headers = { authorization: `Bearer ${body.token}` };
      expectProblem(await send(row, clientOf(omega.url, null), { headers }), 403, 'forbidden');
    },
  );
});

test.each(callable.filter(([, row]) => row.auth === 'public'))(
  '%s answers without credentials',
  async (_, row) => {
    const answer = await send(row, clientOf(omega.url, null));
    expect(answer.status).toBe(row.example?.status);
    expect(answer.headers.get('x-request-id')).toMatch(/.+/);
  },
);

describe('the example works as it stands, with a slash at the end of the path or without', () => {
  test.each(callable)('%s', async (id, row) => {
    const ready = () => readyFor(id, { omega, api, things });
    const plain = await send(row, callerFor(row), { about: await ready() });
    const slashed = await send(row, callerFor(row), {
      about: await ready(),
      path: (path) => path.replace(/(\?|$)/, '/$1'),
    });
    expect(Object.keys(row.output)).toContain(String(plain.status));
    expect(Object.keys(row.output)).toContain(String(slashed.status));
  });
});

describe('an unknown query parameter is 422 and named', () => {
  test.each(guarded)('%s', async (_, row) => {
    const path = (was: string) => `${was}${was.includes('?') ? '&' : '?'}misspelt_field=1`;
    const answer = await send(row, callerFor(row), { path });
    expectProblem(answer, 422, 'unknown_field');
    expect(answer.body.errors).toEqual([
      { path: 'misspelt_field', message: expect.any(String), code: 'unknown_field' },
    ]);
  });
});

describe('of a body', () => {
  const withBody = operations.filter(([, row]) => row.input.body);

  test.each(withBody)('%s: an unknown field is 422 and named', async (_, row) => {
    const { body } = wire(row, exampleRequest(row, things));
    const misspelt = { ...(body as object), misspelt_field: 1 };
    const answer = await send(row, callerFor(row), { body: misspelt });
    expectProblem(answer, 422, 'unknown_field');
    expect(answer.body.errors).toEqual([
      { path: 'misspelt_field', message: expect.any(String), code: 'unknown_field' },
    ]);
  });

  test.each(withBody)('%s: what is not JSON is 400', async (_, row) => {
    // A deletion needs no body, whatever its content type announces.
    const nothing = row.method === 'DELETE' ? [] : [''];
    for (const body of ['{"a":', 'not json', "{'a': 1}", '{"a":1}}', '\u0000', ...nothing]) {
      const answer = await send(row, callerFor(row), {
        body,
        headers: { 'content-type': 'application/json' },
      });
      expectProblem(answer, 400, 'invalid_json', JSON.stringify(body));
    }
  });

  test.each(withBody)('%s: JSON that is no object is 422', async (_, row) => {
    for (const body of ['null', '[]', '"text"', '1', 'true']) {
      const answer = await send(row, callerFor(row), { body });
      expectProblem(answer, 422, 'invalid_parameters', body);
    }
  });

  test.each(withBody)('%s: another content type is 415', async (_, row) => {
    const { body } = wire(row, exampleRequest(row, things));
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      const answer = await send(row, callerFor(row), { body, headers: { 'content-type': type } });
      expectProblem(answer, 415, 'unsupported_media_type', type);
    }
  });

  test.each(withBody)('%s: more bytes than it takes are 413', async (_, row) => {
    const body = JSON.stringify({ filler: 'x'.repeat((row.bodyLimit ?? 1024 * 1024) + 1) });
    expectProblem(await send(row, callerFor(row), { body }), 413, 'body_too_large');
  });
});

describe('the example fits its schemas', () => {
  test.each(operations)('%s', (_, row) => {
    const { example } = row;
    expect(example, 'every operation has an example').toBeDefined();
    for (const part of parts) {
      const schema = row.input[part];
      // A stream, or what a carrier posts, is read by the operation, and so is its example by the tests of it.
      if (part === 'body' && (row.bodyStream || row.webhook)) continue;
      if (!schema) {
        expect(example?.[part], `${part} that the operation does not read`).toBeUndefined();
        continue;
      }
      const check = compileInput(schema, 'body');
      check(structuredClone(example?.[part] ?? {}));
      expect(check.errors ?? [], part).toEqual([]);
    }
    const output = row.output[example!.status];
    expect(output, `an answer of ${example!.status}`).toBeDefined();
    const check = compileAnswer(output!);
    check(example!.answer);
    expect(check.errors ?? []).toEqual([]);
  });
});

test('a method that a path does not have is 405 and tells which it has', async () => {
  for (const path of new Set(operations.map(([, row]) => row.path))) {
    const rows = operations.filter(([, row]) => row.path === path).map(([, row]) => row);
    const none = ['PATCH', 'DELETE', 'PUT'].find((method) => !rows.some((row) => row.method === method))!;
    const answer = await api.call(none, wire(rows[0]!, exampleRequest(rows[0]!, things)).path);
    expectProblem(answer, 405, 'method_not_allowed', path);
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(rows.map((row) => row.method).sort());
  }
});

test('a path that is none is 404, whatever it is made of, and tells where the API is described', async () => {
  for (const path of [
    '/nowhere',
    '/sms',
    '/businesses/%zz',
    `/businesses/${'1'.repeat(300)}/conversations`,
  ]) {
    const answer = await api.get(path);
    expectProblem(answer, 404, 'not_found', path);
  }
  expect((await api.get('/nowhere')).body.detail).toContain('/omega/openapi.json');
});
