import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listKeys, revokeKey } from '../../server/access/index.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

const manager = 12345;
const staff = 12346;
const list = '/businesses/1001/conversations';
let omega: RunningOmega;
let anyone: Client;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  anyone = omega.as(null);
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const tokenFor = (staffId: number, more: object = {}): Promise<Answer> =>
  api.post('/authentication/token', { staff_id: staffId, ...more });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const cookieOf = (token: string) => ({ cookie: `omega_session=${token}` });
const works = async (headers: Record<string, string>) => (await anyone.get(list, headers)).status === 200;

describe('generateAuthToken: POST /authentication/token', () => {
  test('gives a session of 12 hours for one staff member of the business', async () => {
    const { status, body } = await tokenFor(manager);
    expect(status).toBe(200);
    expect(body).toEqual({
      token: expect.stringMatching(/^oms_[\w-]{43}$/),
      session_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      business_id: 1001,
      staff_id: manager,
      expires_at: new Date(omega.clock.now() + 43_200_000).toISOString(),
    });
    expect(await works(bearer(body.token))).toBe(true);
  });

  test('also as a cookie: HttpOnly, SameSite=Lax, for the API alone, as long as the session', async () => {
    const answer = await tokenFor(manager, { ttl_s: 3600 });
    const [cookie, ...others] = answer.headers.getSetCookie();
    expect(others).toEqual([]);
    const [pair, ...attributes] = cookie!.split('; ');
    expect(pair).toBe(`omega_session=${answer.body.token}`);
    expect(attributes.sort()).toEqual([
      `Expires=${new Date(answer.body.expires_at).toUTCString()}`,
      'HttpOnly',
      'Path=/omega',
      'SameSite=Lax',
    ]);
    expect(await works(cookieOf(answer.body.token))).toBe(true);
  });

  test('the cookie is Secure where the public address is https', async () => {
    const secure = await startOmega({ publicUrl: 'https://omega.example', worker: false });
    const there = await secure.business({ business_id: 1001 });
    const answer = await there.api.post('/authentication/token', { staff_id: manager });
    await secure.close();
    expect(answer.headers.getSetCookie()[0]!.split('; ')).toContain('Secure');
  });

  test('ends by itself after ttl_s, to the second', async () => {
    const { body } = await tokenFor(staff, { ttl_s: 60 });
    await omega.tick(59_999);
    expect(await works(bearer(body.token))).toBe(true);
    await omega.tick(1);
    expectProblem(await anyone.get(list, bearer(body.token)), 401, 'unauthorized');
  });

  test.each([
    [59, 'too_small'],
    [2_592_001, 'too_large'],
    [60.5, 'invalid_type'],
    ['3600', 'invalid_type'],
  ])('a ttl_s of %s is 422', async (ttl_s, code) => {
    const answer = await tokenFor(staff, { ttl_s });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual([`ttl_s ${code}`]);
  });

  test('a staff member of another business is 404, as one that nobody has, and so is one who is no longer active', async () => {
    await omega.business({
      business_id: 2002,
      locations: [],
      senders: [],
      staffs: [{ staff_id: 777, name: 'Elsewhere' }],
    });
    const others = await tokenFor(777);
    const nobodys = await tokenFor(778);
    expectProblem(others, 404, 'not_found');
    expectProblem(nobodys, 404, 'not_found');
    expect(others.body.detail).toBe(nobodys.body.detail);
    expect(others.headers.getSetCookie()).toEqual([]);

    const { body } = await tokenFor(staff);
    const setActive = async (more: object) => {
      const staffs = [{ staff_id: staff, name: 'Noah Diaz', ...more }];
      const plan = { business_id: 1001, name: 'Lotus Yoga', country: 'US', time_zone: 'America/New_York' };
      expect((await omega.platform.post('/business/onboard', { ...plan, staffs })).status).toBe(202);
    };
    await setActive({ active: false });
    expectProblem(await tokenFor(staff), 404, 'not_found');
    expect(await works(bearer(body.token))).toBe(false);
    expect((await api.get(`/businesses/1001/staffs/${staff}`)).body.active).toBe(false);
    await setActive({});
    expect((await tokenFor(staff)).status).toBe(200);
  });

  test('a platform key must say which business', async () => {
    const answer = await omega.platform.post('/authentication/token', { staff_id: manager });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['business_id required']);
    const named = await omega.platform.post('/authentication/token', {
      business_id: 1001,
      staff_id: manager,
    });
    expect(named.status).toBe(200);
  });

  test('the same request_id gives the same session again, cookie and all', async () => {
    const first = await tokenFor(manager, { request_id: 'sign-in-1' });
    const again = await tokenFor(manager, { request_id: 'sign-in-1' });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect(again.headers.getSetCookie()).toEqual(first.headers.getSetCookie());
  });
});

describe('a session', () => {
  test('acts for its business alone', async () => {
    const { body } = await tokenFor(manager);
    for (const businessId of [2002, 999_999])
      expectProblem(
        await anyone.get(`/businesses/${businessId}/conversations`, bearer(body.token)),
        403,
        'forbidden',
      );
  });

  test('may do what the role may at this moment: a manager loses the scope manage once they are staff', async () => {
    const { body } = await tokenFor(manager);
    const manage = () => anyone.post('/authentication/token', { staff_id: staff }, bearer(body.token));
    // The scope is there; only a key may do this.
    expect((await manage()).body.detail).toBe('This takes a key, not a session.');
    const role = (role: 'manager' | 'staff') =>
      omega.business({
        business_id: 1001,
        staffs: [{ staff_id: manager, name: 'Mia Chen', role }],
      });
    await role('staff');
    expect((await manage()).body.detail).toBe('These credentials lack the scope manage.');
    const send = { to: '+12025550123', content: 'Hello' };
    expect((await anyone.post('/sms/queue', send, bearer(body.token))).status).toBe(202);
    await role('manager');
  });

  test('writes as its own staff member and as nobody else', async () => {
    const { body } = await tokenFor(staff);
    const text = { to: '+12025550124', content: 'See you!' };
    const sent = await anyone.post('/sms/queue', text, bearer(body.token));
    expect(sent.status).toBe(202);
    const other = await anyone.post('/sms/queue', { ...text, sent_by: manager }, bearer(body.token));
    expectProblem(other, 422, 'invalid_parameters');
    expect(faultsOf(other)).toEqual(['sent_by invalid_value']);
    const { body: page } = await api.get(
      `/businesses/1001/clients/${sent.body.client_id}/conversations/${sent.body.conversation_id}/messages`,
    );
    expect(page.data).toMatchObject([{ sent_by: staff, sender_type: 'staff' }]);
  });

  test('counts as a cookie only where the browser meant it: what another page makes it post is 401', async () => {
    const { body } = await tokenFor(manager);
    const post = (site: string) =>
      anyone.post(
        '/sms/queue',
        { to: '+12025550123', content: 'Hello' },
        { ...cookieOf(body.token), 'sec-fetch-site': site },
      );
    expectProblem(await post('cross-site'), 401, 'unauthorized');
    expectProblem(await post('same-site'), 401, 'unauthorized');
    expect((await post('same-origin')).status).toBe(202);
    expect((await post('none')).status).toBe(202);
    // Following a link from elsewhere reads, and is what SameSite=Lax lets through.
    const read = await anyone.get(list, { ...cookieOf(body.token), 'sec-fetch-site': 'cross-site' });
    expect(read.status).toBe(200);
  });

  test('ends with the key that made it', async () => {
    const { key } = await omega.business({ business_id: 3003 });
    const { body } = await omega.as(key).post('/authentication/token', { staff_id: manager });
    const mine = () => anyone.get('/businesses/3003/conversations', bearer(body.token));
    expect((await mine()).status).toBe(200);
    const [row] = await listKeys(omega.omega.database.db, 3003);
    await revokeKey(omega.omega.database.db, row!.key_id, new Date(omega.clock.now()));
    expectProblem(await mine(), 401, 'unauthorized');
  });

  test('a key may be sent as a bearer too, for clients that know nothing else', async () => {
    const { key } = await omega.business({ business_id: 4004 });
    expect((await anyone.get('/businesses/4004/conversations', bearer(key))).status).toBe(200);
    // X-API-KEY is looked at first, and a wrong one is not made good by a cookie.
    const both = { 'x-api-key': 'omk_wrong', ...bearer(key) };
    expectProblem(await anyone.get('/businesses/4004/conversations', both), 401, 'unauthorized');
  });
});

describe('expireSession: POST /session/expire', () => {
  const expire = (body: object, headers?: Record<string, string>) =>
    (headers ? anyone : api).post('/session/expire', body, headers);

  test('with a session ends that one and clears its cookie; the next request is 401', async () => {
    const { body } = await tokenFor(manager);
    const other = await tokenFor(manager);
    const ended = await expire({}, cookieOf(body.token));
    expect(ended.status).toBe(200);
    expect(ended.body).toEqual({ expired: 1 });
    expect(ended.headers.getSetCookie()[0]).toMatch(/^omega_session=; .*Expires=Thu, 01 Jan 1970/);
    expectProblem(await anyone.get(list, cookieOf(body.token)), 401, 'unauthorized');
    expectProblem(await anyone.get(list, bearer(body.token)), 401, 'unauthorized');
    expect(await works(bearer(other.body.token))).toBe(true);
  });

  test('with a session it ends no other', async () => {
    const mine = await tokenFor(staff);
    const other = await tokenFor(manager);
    for (const named of [
      { session_id: other.body.session_id },
      { token: other.body.token },
      { staff_id: manager },
    ]) {
      expectProblem(await expire(named, bearer(mine.body.token)), 403, 'forbidden');
    }
    expect(await works(bearer(other.body.token))).toBe(true);
    const itself = await expire({ session_id: mine.body.session_id }, bearer(mine.body.token));
    expect(itself.body).toEqual({ expired: 1 });
  });

  test('with a key ends one by its id or its token, once', async () => {
    const [byId, byToken] = [await tokenFor(staff), await tokenFor(staff)];
    expect((await expire({ session_id: byId.body.session_id })).body).toEqual({ expired: 1 });
    expect((await expire({ session_id: byId.body.session_id })).body).toEqual({ expired: 0 });
    expect(await works(bearer(byId.body.token))).toBe(false);
    expect((await expire({ token: byToken.body.token })).body).toEqual({ expired: 1 });
    expect(await works(bearer(byToken.body.token))).toBe(false);
  });

  test("with a key ends every session of a staff member, and none of anybody else's", async () => {
    await expire({ staff_id: staff });
    const [one, two, other] = [await tokenFor(staff), await tokenFor(staff), await tokenFor(manager)];
    expect((await expire({ staff_id: staff })).body).toEqual({ expired: 2 });
    expect(await works(bearer(one.body.token))).toBe(false);
    expect(await works(bearer(two.body.token))).toBe(false);
    expect(await works(bearer(other.body.token))).toBe(true);
  });

  test("leaves another business's sessions alone, by id, token and staff", async () => {
    const there = await omega.business({ business_id: 5005 });
    const { body } = await there.api.post('/authentication/token', { staff_id: staff });
    await expire({ staff_id: staff });
    for (const named of [{ session_id: body.session_id }, { token: body.token }])
      expect((await expire(named)).body).toEqual({ expired: 0 });
    expect((await anyone.get('/businesses/5005/conversations', bearer(body.token))).status).toBe(200);
  });

  test('with a key it must say what to end', async () => {
    const answer = await expire({});
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['session_id required']);
  });
});
