import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dumpText } from '../support/dump.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { lotus } from '../support/lotus.ts';
import { type Answer, type RunningOmega, startOmega } from '../support/omega.ts';

const steps = ['profile', 'locations', 'staff', 'senders', 'provider_webhooks', 'keys', 'test_message'];
let omega: RunningOmega;

beforeAll(async () => {
  omega = await startOmega();
});
afterAll(() => omega.close());

const onboard = (plan: object, headers?: Record<string, string>): Promise<Answer> =>
  omega.platform.post('/business/onboard', { ...lotus, ...plan }, headers);
const onboarding = (businessId: number) => omega.platform.get(`/business/${businessId}/onboarding`);
const names = (answer: Answer) => answer.body.steps.map((step: { name: string }) => step.name);
const rows = (businessId: number, table: 'locations' | 'staffs' | 'senders') =>
  omega.omega.database.db.selectFrom(table).selectAll().where('business_id', '=', businessId).execute();

describe('onboardBusiness: POST /business/onboard', () => {
  test('answers 202 with the first key and the steps; what needs the carriers runs on to the end', async () => {
    const answer = await onboard({ business_id: 1 });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ business_id: 1, status: 'running' });
    expect(answer.body.api_key).toMatch(/^omk_[\w-]{43}$/);
    expect(names(answer)).toEqual(steps);
    const pending = answer.body.steps.filter((step: { status: string }) => step.status === 'pending');
    expect(pending.map((step: { name: string }) => step.name)).toEqual(['provider_webhooks', 'test_message']);

    await omega.settled();
    const done = await onboarding(1);
    expect(done.status).toBe(200);
    expect(done.body).toEqual({
      business_id: 1,
      status: 'complete',
      steps: steps.map((name) => ({ name, status: 'done' })),
    });
  });

  test('the first key may read, send and manage its business, and no other', async () => {
    const { body } = await onboard({ business_id: 2 });
    const api = omega.as(body.api_key);
    expect((await api.get('/businesses/2/conversations')).status).toBe(200);
    expect((await api.post('/sms/queue', { to: '+12025550123', content: 'Hello' })).status).toBe(202);
    expect((await api.post('/authentication/token', { staff_id: 12345 })).status).toBe(200);
    expect((await api.get('/business/2/onboarding')).status).toBe(200);
    const existing = await api.get('/business/1/onboarding');
    const missing = await api.get('/business/999999/onboarding');
    expectProblem(existing, 403, 'forbidden');
    expectProblem(missing, 403, 'forbidden');
    expect(existing.body.detail).toBe(missing.body.detail);
  });

  test('posted again it brings up to date what is named, removes nothing, and shows no key', async () => {
    await onboard({ business_id: 3 });
    const again = await onboard({
      business_id: 3,
      name: 'Lotus & Moon',
      locations: [{ location_id: 2, name: 'Harbor East', time_zone: 'America/Chicago' }],
      staffs: [
        { staff_id: 12345, name: 'Mia Chen-Diaz', email: 'Mia@Lotus.Example', phone: '(202) 555-0188' },
      ],
      senders: [{ channel: 'sms', address: '(500) 555-0006', provider: 'simulator', location_id: 2 }],
    });
    expect(again.status).toBe(202);
    expect(again.body).not.toHaveProperty('api_key');
    await omega.settled();
    expect((await onboarding(3)).body.status).toBe('complete');

    const business = await omega.omega.database.db
      .selectFrom('businesses')
      .select('name')
      .where('business_id', '=', 3)
      .executeTakeFirst();
    expect(business?.name).toBe('Lotus & Moon');
    expect(await rows(3, 'locations')).toMatchObject([
      { location_id: 1, name: 'Downtown' },
      { location_id: 2, name: 'Harbor East', time_zone: 'America/Chicago' },
    ]);
    const staffs = (await rows(3, 'staffs')) as { staff_id: number }[];
    expect(staffs.sort((a, b) => a.staff_id - b.staff_id)).toMatchObject([
      // As it was written and as it is kept: mail without case, phones in E.164, the role by default.
      {
        staff_id: 12345,
        name: 'Mia Chen-Diaz',
        email: 'mia@lotus.example',
        phone: '+12025550188',
        role: 'staff',
      },
      { staff_id: 12346, name: 'Noah Diaz' },
    ]);
    const senders = (await rows(3, 'senders')) as { channel: string }[];
    expect(senders.sort((a, b) => (a.channel < b.channel ? -1 : 1))).toMatchObject([
      { channel: 'email', address: 'hello@lotus.example' },
      { channel: 'sms', address: '+15005550006', location_id: 2 },
    ]);
  });

  test('the same request_id gives the first answer again, key and all; with another body it is 422', async () => {
    const first = await onboard({ business_id: 4, request_id: 'onboard-4' });
    const again = await onboard({ business_id: 4 }, { 'idempotency-key': 'onboard-4' });
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.status).toBe(202);
    expect(again.body).toEqual(first.body);
    expect(again.body.api_key).toMatch(/^omk_/);
    expectProblem(
      await onboard({ business_id: 4, name: 'Other', request_id: 'onboard-4' }),
      422,
      'request_id_reused',
    );
  });

  test('without senders the steps at the carriers are skipped, with what to do', async () => {
    await onboard({ business_id: 5, senders: [] });
    await omega.settled();
    const { body } = await onboarding(5);
    expect(body.status).toBe('complete');
    const skipped = body.steps.filter((step: { status: string }) => step.status === 'skipped');
    expect(skipped).toEqual([
      { name: 'provider_webhooks', status: 'skipped', remedy: expect.stringContaining('senders') },
      { name: 'test_message', status: 'skipped', remedy: expect.stringContaining('senders') },
    ]);
  });

  test('a step that cannot be done is failed with its error and its remedy, and posting it right completes it', async () => {
    const sender = { channel: 'sms', address: '+15005550006' };
    // An account that is not there fails whether or not this Omega knows the carrier.
    await onboard({ business_id: 6, senders: [{ ...sender, provider: 'resend' }] });
    await omega.settled();
    const failed = await onboarding(6);
    expect(failed.body.status).toBe('failed');
    expect(failed.body.steps.find((step: { status: string }) => step.status === 'failed')).toEqual({
      name: 'provider_webhooks',
      status: 'failed',
      error: expect.stringContaining('resend'),
      remedy: expect.stringMatching(/onboarding again/),
    });
    // Everything that is wrong is told at once.
    expect(failed.body.steps.at(-1)).toMatchObject({ name: 'test_message', status: 'failed' });

    await onboard({ business_id: 6, senders: [{ ...sender, provider: 'simulator' }] });
    await omega.settled();
    expect((await onboarding(6)).body).toEqual({
      business_id: 6,
      status: 'complete',
      steps: steps.map((name) => ({ name, status: 'done' })),
    });
  });

  test('every fault is told at once with its path, and nothing is written', async () => {
    const answer = await onboard({
      business_id: 7,
      country: 'UK',
      time_zone: 'Mars/Olympus',
      locations: [{ location_id: 1, name: 'Downtown', time_zone: '+02:00' }],
      staffs: [
        { staff_id: 1, name: 'A', email: 'a@b.example,c@d.example', location_ids: [1, 77] },
        { staff_id: 2, name: 'B', phone: '12', location_ids: [77] },
      ],
      senders: [
        { channel: 'sms', address: 'not a number!', provider: 'simulator' },
        { channel: 'email', address: 'nobody', provider: 'simulator', location_id: 78 },
      ],
    });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual([
      'country invalid_value',
      'locations.0.time_zone invalid_value',
      'senders.0.address invalid_format',
      'senders.1.address invalid_format',
      'senders.1.location_id not_found',
      'staffs.0.email invalid_format',
      'staffs.0.location_ids.1 not_found',
      'staffs.1.location_ids.0 not_found',
      'staffs.1.phone invalid_format',
      'time_zone invalid_value',
    ]);
    expectProblem(await onboarding(7), 404, 'not_found');
  });

  test('what the schema refuses is told at once too, with the paths of lists', async () => {
    const answer = await omega.platform.post('/business/onboard', {
      business_id: 0,
      country: 'us',
      time_zone: 'America/New_York',
      staffs: [{ staff_id: 1, name: '', rôle: 'manager' }],
      senders: [{ channel: 'fax', address: '+15005550006', provider: 'simulator' }],
      providers: { twilio: { account_sid: 'AC1' } },
    });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual([
      'business_id too_small',
      'country invalid_format',
      'name required',
      'providers.twilio.account_sid invalid_format',
      'providers.twilio.auth_token required',
      'senders.0.channel invalid_value',
      'staffs.0.name too_short',
      'staffs.0.rôle unknown_field',
    ]);
  });

  test('staff and senders may name a location that an earlier onboarding brought', async () => {
    await onboard({ business_id: 8 });
    const answer = await onboard({
      business_id: 8,
      locations: undefined,
      staffs: [{ staff_id: 9, name: 'Kai', location_ids: [1, 2, 2] }],
      senders: [],
    });
    expect(answer.status).toBe(202);
    const places = await omega.omega.database.db
      .selectFrom('staff_locations')
      .select('location_id')
      .where('business_id', '=', 8)
      .where('staff_id', '=', 9)
      .orderBy('location_id')
      .execute();
    expect(places).toEqual([{ location_id: 1 }, { location_id: 2 }]);
  });
});

test('no secret is ever answered, nor kept in clear: credentials, keys, tokens', async () => {
  const secrets = {
    twilio: {
      account_sid: `AC${'a1'.repeat(16)}`,
      auth_token: 'twilio-token-planted',
      api_key_secret: 'twilio-secret-planted',
    },
    smtp: { url: 'smtps://user:smtp-password-planted@mail.example:465' },
    sendgrid: { api_key: 'SG.planted-key' },
    mailgun: { signing_key: 'mailgun-planted' },
    postmark: { username: 'postmark-user-planted', password: 'postmark-password-planted' },
    resend: { signing_secret: 'whsec_planted' },
  };
  const answers = [await onboard({ business_id: 9, providers: secrets, request_id: 'planted' })];
  const key: string = answers[0]!.body.api_key;
  const session = await omega
    .as(key)
    .post('/authentication/token', { staff_id: 12345, request_id: 'planted-too' });
  await omega.settled();
  answers.push(
    await onboarding(9),
    await onboard({ business_id: 9, providers: secrets, request_id: 'planted' }),
  );
  for (const answer of answers)
    expect(JSON.stringify(answer.body)).not.toMatch(/planted"|planted-|token-planted/);

  const kept = await dumpText(omega.omega.database.db);
  // The dump is one that shows what is there.
  expect(kept).toContain('Lotus Yoga');
  const planted = Object.values(secrets).flatMap((fields) => Object.values(fields));
  for (const secret of [...planted, 'smtp-password-planted', key, session.body.token, omega.platformKey])
    expect(kept.includes(secret), `${secret.slice(0, 12)}… in clear`).toBe(false);
});

test('getOnboarding: GET /business/{business_id}/onboarding of a business that nobody brought in is 404 for a platform key', async () => {
  const answer = await onboarding(404404);
  expectProblem(answer, 404, 'not_found');
  expect(answer.body.detail).toContain('POST /business/onboard');
});
