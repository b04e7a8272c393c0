import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scope } from '../../contract/index.ts';
import { createKey } from '../../server/access/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

const manager = 12345;
const list = '/businesses/1001/conversations';
let omega: RunningOmega;
let anyone: Client;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  anyone = omega.as(null);
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega?.close());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const sessionOf = async (from: Client = api) =>
  (await from.post('/authentication/token', { staff_id: manager })).body as {
    token: string;
    session_id: string;
  };
const keyOf = async (scopes: readonly Scope[], expiresAt: Date | null = null) => {
  const now = new Date(omega.clock.now());
  const { db } = omega.omega.database;
  const { key, keyId } = await createKey(db, { businessId: 1001, name: 'test', scopes, now, expiresAt });
  return { api: omega.as(key), keyId };
};

describe('a session', () => {
  test('makes no session, also as a manager: it could outlive its own end', async () => {
    const { token } = await sessionOf();
    const answer = await anyone.post('/authentication/token', { staff_id: manager }, bearer(token));
    expectProblem(answer, 403, 'forbidden');
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  test('ends when the key that made it runs out', async () => {
    const key = await keyOf(['read', 'send', 'manage'], new Date(omega.clock.now() + 60_000));
    const { token } = await sessionOf(key.api);
    await omega.tick(59_999);
    expect((await anyone.get(list, bearer(token))).status).toBe(200);
    await omega.tick(1);
    expectProblem(await anyone.get(list, bearer(token)), 401, 'unauthorized');
  });

  test("is not answered with another session's answer: the same request_id is 422, and ends nothing", async () => {
    const [one, two] = [await sessionOf(), await sessionOf()];
    const body = { request_id: 'sign-out' };
    expect((await anyone.post('/session/expire', body, bearer(one.token))).body).toEqual({ expired: 1 });
    expectProblem(await anyone.post('/session/expire', body, bearer(two.token)), 422, 'request_id_reused');
    const own = await anyone.post('/session/expire', { request_id: 'sign-out-2' }, bearer(two.token));
    expect(own.body).toEqual({ expired: 1 });
    expectProblem(await anyone.get(list, bearer(two.token)), 401, 'unauthorized');
  });
});

describe('a key without the scope manage', () => {
  test.each([[['read']], [['read', 'send']]] as [Scope[]][])('of %s ends no session', async (scopes) => {
    const { token, session_id } = await sessionOf();
    const key = await keyOf(scopes);
    for (const named of [{ session_id }, { token }, { staff_id: manager }])
      expectProblem(await key.api.post('/session/expire', named), 403, 'forbidden');
    expect((await anyone.get(list, bearer(token))).status).toBe(200);
  });
});

describe('noting that a key was used', () => {
  const usedAt = async (keyId: string) =>
    (
      await omega.omega.database.db
        .selectFrom('api_keys')
        .select('last_used_at')
        .where('key_id', '=', keyId)
        .executeTakeFirstOrThrow()
    ).last_used_at;

  test('is done once a minute', async () => {
    const key = await keyOf(['read']);
    await key.api.get(list);
    const first = await usedAt(key.keyId);
    expect(first).toEqual(new Date(omega.clock.now()));
    await omega.tick(59_999);
    await key.api.get(list);
    expect(await usedAt(key.keyId)).toEqual(first);
    await omega.tick(1);
    await key.api.get(list);
    expect(await usedAt(key.keyId)).toEqual(new Date(omega.clock.now()));
  });

  test('decides no answer: where the database refuses it, reads go on', async () => {
    const key = await keyOf(['read']);
    const { db } = omega.omega.database;
    // What a full disk does to a write.
    await sql`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$`.execute(db);
    await sql`create trigger refuse before update on api_keys execute function refuse()`.execute(db);
    expect((await key.api.get(list)).status).toBe(200);
    expect(await usedAt(key.keyId)).toBeNull();
    await sql`drop trigger refuse on api_keys`.execute(db);
  });
});
