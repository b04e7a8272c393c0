import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callersOf, rung } from '../support/callers.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { walkPages } from '../support/pages.ts';
import {
  anywhere,
  callingLotus,
  downtown,
  postAsTwilio,
  publicUrl,
  twilioAccount,
} from '../support/twilio-calls.ts';

let omega: RunningOmega;
let api: Client;
const base = '/businesses/1001/senders';
const first = '+15005550006';

beforeAll(async () => {
  omega = await startOmega({ publicUrl });
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let numbers = 0;
const newNumber = () => `+1202555${String(2000 + numbers++)}`;
const put = (body: object, client = api) => client.call('PUT', base, body);
const added = async (more: object = {}) => {
  const body = { channel: 'sms', address: newNumber(), provider: 'simulator', ...more };
  const answer = await put(body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body as { sender_id: string; address: string };
};
const remove = (id: string, body: object = {}) => api.call('DELETE', `${base}/${id}`, body);
const eventsOf = async (senderId: string) => {
  const events = await omega.omega.database.db
    .selectFrom('events')
    .select(['type', 'changed', 'data', 'actor'])
    .where('type', 'like', 'sender.%')
    .orderBy('sequence')
    .execute();
  return events.filter(({ data }) => data.sender_id === senderId);
};
const messageOf = async (id: string) =>
  omega.omega.database.db
    .selectFrom('messages')
    .selectAll()
    .where('message_id', '=', id)
    .executeTakeFirstOrThrow();

describe('listSenders', () => {
  test('shows what onboarding brought in, and which is the default of its channel', async () => {
    const { status, body } = await api.get(base);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      data: [
        {
          channel: 'sms',
          address: first,
          name: null,
          provider: 'simulator',
          location_id: 1,
          is_default: true,
          active: true,
          paused_at: null,
          paused_reason: null,
        },
        { channel: 'email', address: 'hello@lotus.example', name: 'Lotus Yoga', is_default: true },
      ],
      next_cursor: null,
      has_more: false,
    });
  });

  test('filters by channel and location, and pages are each row once', async () => {
    const { api: many } = await omega.business({
      business_id: 1002,
      senders: Array.from({ length: 7 }, (_, i) => ({
        channel: 'sms' as const,
        address: `+1202555900${i}`,
        provider: 'simulator' as const,
        ...(i % 2 === 0 && { location_id: 1 }),
      })),
    });
    const path = '/businesses/1002/senders';
    const rows = await walkPages<{ address: string; is_default: boolean }>(many, path, { limit: 2 });
    expect(rows.map((row) => row.address)).toEqual(Array.from({ length: 7 }, (_, i) => `+1202555900${i}`));
    // The oldest without a location.
    expect(rows.filter((row) => row.is_default).map((row) => row.address)).toEqual(['+12025559001']);
    expect((await many.get(`${path}?location_id=1`)).body.data).toHaveLength(4);
    expect((await many.get(`${path}?channel=email`)).body.data).toEqual([]);
    const sent = await many.post('/sms/queue', { to: '+12025550150', content: 'Hello' });
    expect((await messageOf(sent.body.message_id)).from_address).toBe('+12025559001');
  });

  test('tells where the account that a sender uses is paused', async () => {
    const { api: paused } = await omega.business({
      business_id: 1003,
      senders: [
        { channel: 'email', address: 'hello@paused.example', provider: 'postmark' },
        { channel: 'sms', address: '+12025558001', provider: 'simulator' },
      ],
      // What Postmark carries goes by SMTP.
      providers: { smtp: { url: 'smtp://127.0.0.1:9' } },
    });
    await omega.omega.database.db
      .updateTable('provider_accounts')
      .set({ paused_at: new Date(omega.clock.now()), paused_reason: 'account_config' })
      .where('business_id', '=', 1003)
      .execute();
    const { body } = await paused.get('/businesses/1003/senders');
    expect(body.data.map((row: Record<string, unknown>) => [row.paused_at, row.paused_reason])).toEqual([
      [new Date(omega.clock.now()).toISOString(), 'account_config'],
      [null, null],
    ]);
  });
});

describe('upsertSender', () => {
  test('adds a sender that messages can go from at once, asks its carrier, and tells it', async () => {
    await omega.tick(1_000);
    const answer = await put({
      channel: 'sms',
      address: '(202) 555-0190',
      provider: 'simulator',
      location_id: 2,
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      address: '+12025550190',
      location_id: 2,
      is_default: false,
      active: true,
    });
    await omega.settled();
    const asked = await omega.omega.database.db
      .selectFrom('onboarding_steps')
      .select('name')
      .where('business_id', '=', 1001)
      .where('updated_at', '=', new Date(omega.clock.now()))
      .orderBy('position')
      .execute();
    expect(asked.map(({ name }) => name)).toEqual(['provider_webhooks', 'test_message']);
    expect((await api.get('/business/1001/onboarding')).body.status).toBe('complete');
    const sent = await api.post('/sms/queue', { to: '+12025550101', from: '+12025550190', content: 'Hi' });
    expect(sent.status).toBe(202);
    const events = await eventsOf(answer.body.sender_id);
    expect(events).toMatchObject([
      { type: 'sender.added', data: { channel: 'sms', address: '+12025550190', provider: 'simulator' } },
    ]);
    expect(events[0]!.actor).toMatchObject({ type: 'key' });
    const onboarded = await omega.omega.database.db
      .selectFrom('events')
      .select('sequence')
      .where('business_id', '=', 1001)
      .where('type', '=', 'business.onboarded')
      .execute();
    expect(onboarded, 'the business is not brought in twice').toHaveLength(1);
  });

  test('changes what is named, leaves the rest, takes away what is null; the same again changes nothing', async () => {
    const mail = { channel: 'email', address: 'desk@lotus.example' };
    const { body: made } = await put({ ...mail, name: 'Desk', provider: 'simulator', location_id: 1 });
    const renamed = await put({ channel: 'email', address: 'Desk@Lotus.example', name: 'Front Desk' });
    expect(renamed.status).toBe(200);
    expect(renamed.body).toMatchObject({
      sender_id: made.sender_id,
      name: 'Front Desk',
      provider: 'simulator',
      location_id: 1,
    });
    expect(
      (await put({ ...mail, location_id: null, reply_domain: 'reply.lotus.example' })).body,
    ).toMatchObject({
      name: 'Front Desk',
      location_id: null,
      reply_domain: 'reply.lotus.example',
    });
    const again = await put({ ...mail, name: 'Front Desk' });
    expect(again.status).toBe(200);
    expect((await eventsOf(made.sender_id)).map(({ type, changed }) => [type, changed])).toEqual([
      ['sender.added', null],
      ['sender.changed', { name: { from: 'Desk', to: 'Front Desk' } }],
      [
        'sender.changed',
        {
          location_id: { from: 1, to: null },
          reply_domain: { from: null, to: 'reply.lotus.example' },
        },
      ],
    ]);
  });

  test('checks what onboarding checks, every fault at once and by its field', async () => {
    for (const [body, faults] of [
      [{ channel: 'sms', address: newNumber() }, ['provider required']],
      [{ channel: 'sms', address: 'x@y.example', provider: 'simulator' }, ['address invalid_format']],
      [{ channel: 'sms', address: newNumber(), provider: 'fax' }, ['provider invalid_value']],
      // Carries mail alone.
      [{ channel: 'sms', address: newNumber(), provider: 'smtp' }, ['provider invalid_value']],
      // This business has no account there.
      [{ channel: 'sms', address: newNumber(), provider: 'twilio' }, ['provider not_found']],
      [{ channel: 'email', address: 'a@b.example', provider: 'postmark' }, ['provider not_found']],
      [
        { channel: 'sms', address: newNumber(), provider: 'simulator', location_id: 9 },
        ['location_id not_found'],
      ],
      [
        {
          channel: 'email',
          address: 'nobody',
          name: 'Desk\r\nBcc: all@lotus.example',
          provider: 'smtp',
          location_id: 9,
          reply_domain: 'no domain',
        },
        [
          'address invalid_format',
          'location_id not_found',
          'name invalid_character',
          'provider not_found',
          'reply_domain invalid_format',
        ],
      ],
      [
        { channel: 'sms', address: newNumber(), provider: 'simulator', reply_domain: 'reply.lotus.example' },
        ['reply_domain invalid_value'],
      ],
    ] as const) {
      const answer = await put(body);
      expectProblem(answer, 422, 'invalid_parameters', JSON.stringify(body));
      expect(faultsOf(answer), JSON.stringify(body)).toEqual(faults);
    }
  });

  test('is for those who manage, and a repeated request adds once', async () => {
    const body = { channel: 'sms', address: newNumber(), provider: 'simulator', request_id: 'add-once' };
    const once = await put(body);
    const twice = await put(body);
    expect(twice.headers.get('idempotency-replayed')).toBe('true');
    expect(twice.body).toEqual(once.body);
    const session = await api.post('/authentication/token', { staff_id: 12346 });
    const staff = omega.as(null);
    const bearer = { authorization: `Bearer ${session.body.token}` };
    expect((await staff.get(base, bearer)).status).toBe(200);
    expectProblem(await staff.call('PUT', base, { ...body, request_id: 'other' }, bearer), 403, 'forbidden');
  });
});

describe('removeSender', () => {
  test('nothing new goes from it; past messages keep it, and a removed one is listed as such', async () => {
    const { sender_id, address } = await added({ location_id: 2 });
    const past = await api.post('/sms/queue', { to: '+12025550102', from: address, content: 'Hello' });
    await omega.settled();
    const answer = await remove(sender_id);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ sender_id, active: false, is_default: false });
    const refused = await api.post('/sms/queue', { to: '+12025550102', from: address, content: 'Again' });
    expectProblem(refused, 422, 'no_sender');
    expect(refused.body.detail).toContain('PUT /businesses/{business_id}/senders');
    expect(await messageOf(past.body.message_id)).toMatchObject({
      from_address: address,
      status: 'delivered',
    });
    const ids = async (query: string) =>
      (await api.get(`${base}?limit=100${query}`)).body.data.map(
        (row: { sender_id: string }) => row.sender_id,
      );
    expect(await ids('')).not.toContain(sender_id);
    expect(await ids('&active=false')).toContain(sender_id);
    // A second time it answers the same and tells nothing.
    expect((await remove(sender_id)).body).toEqual(answer.body);
    expect((await eventsOf(sender_id)).map(({ type }) => type)).toEqual(['sender.added', 'sender.removed']);
  });

  test('is 409 while messages are scheduled to go from it, unless they may: then they go from it', async () => {
    const { sender_id, address } = await added();
    const later = (minutes: number) => new Date(omega.clock.now() + minutes * 60_000).toISOString();
    const scheduled = [];
    for (const minutes of [5, 10])
      scheduled.push(
        (
          await api.post('/sms/queue', {
            to: '+12025550103',
            from: address,
            content: 'See you',
            send_at: later(minutes),
          })
        ).body.message_id,
      );
    const refused = await remove(sender_id);
    expectProblem(refused, 409, 'conflict');
    expect(refused.body.detail).toContain('2 messages are scheduled');
    await api.post(`/messages/${scheduled[0]}/cancel`);
    expect((await remove(sender_id)).body.detail).toContain('1 message is scheduled');
    expect((await api.get(`${base}?active=false`)).body.data).not.toContainEqual(
      expect.objectContaining({ sender_id }),
    );

    expect((await remove(sender_id, { scheduled: 'send' })).status).toBe(200);
    await omega.tick(11 * 60_000);
    expect(await messageOf(scheduled[0])).toMatchObject({ status: 'canceled' });
    expect(await messageOf(scheduled[1])).toMatchObject({ status: 'delivered', from_address: address });
  });

  test('a client who writes to it is heard, and the answer goes from another', async () => {
    const { sender_id, address } = await added({ location_id: 2 });
    await remove(sender_id);
    const from = '+12025550104';
    const inbound = await api.post('/simulator/inbound', { from, to: address, content: 'Still there?' });
    expect(inbound.status).toBe(201);
    expect(await messageOf(inbound.body.message_id)).toMatchObject({
      to_address: address,
      unread: true,
      location_id: 2,
    });
    const reply = await api.post('/sms/queue', { client_id: inbound.body.client_id, content: 'Yes' });
    expect((await messageOf(reply.body.message_id)).from_address).not.toBe(address);
    // A number that never was theirs is nobody's.
    const strange = await api.post('/simulator/inbound', { from, to: '+12025550999', content: 'Hello?' });
    expectProblem(strange, 422, 'no_sender');
  });

  test('it can be brought back with what it had', async () => {
    const { sender_id, address } = await added({ location_id: 2 });
    await remove(sender_id);
    const back = await put({ channel: 'sms', address });
    expect(back.status).toBe(201);
    expect(back.body).toMatchObject({ sender_id, active: true, location_id: 2, provider: 'simulator' });
    expect((await eventsOf(sender_id)).map(({ type }) => type)).toEqual([
      'sender.added',
      'sender.removed',
      'sender.added',
    ]);
  });

  test('one that is not there is 404', async () => {
    expectProblem(await remove('0198c2a4-0000-7000-8000-00000000fade'), 404, 'not_found');
  });

  test('of mail: what still comes to it reaches its business, and nobody else', async () => {
    const address = 'old@lotus.example';
    const { sender_id } = await added({ channel: 'email', address });
    await remove(sender_id);
    const inbound = await api.post('/simulator/inbound', {
      channel: 'email',
      from: 'ana@example.com',
      to: address,
      content: 'Still there?',
    });
    expect(inbound.status).toBe(201);
  });
});

describe('removeSender, of numbers at Twilio', () => {
  let calling: Client;
  let callers: ReturnType<typeof callersOf>;
  const senders = '/businesses/5005/senders';
  const removed = async (path: string, client: Client, address: string, channel: string) => {
    const { body } = await client.get(`${path}?channel=${channel}`);
    const { sender_id } = body.data.find((one: { address: string }) => one.address === address);
    expect((await client.call('DELETE', `${path}/${sender_id}`, {})).status).toBe(200);
  };

  beforeAll(async () => {
    ({ api: calling } = await omega.business({
      ...callingLotus,
      business_id: 5005,
      senders: [...callingLotus.senders!, { channel: 'sms', address: anywhere, provider: 'twilio' }],
    }));
    callers = callersOf(omega, calling);
  });

  test('a call to it rings as before', async () => {
    await removed(senders, calling, downtown, 'voice');
    expect((await calling.get('/voice-calls/token?staff_id=12345')).status).toBe(200);
    const { twiml } = await callers.ring(downtown);
    expect(rung(twiml)).toHaveLength(1);
  });

  test('a text to it is its last business’s, also where the account is shared; who uses it now comes first', async () => {
    const { api: sister } = await omega.business({
      business_id: 5006,
      senders: [{ channel: 'sms', address: '+12125550177', provider: 'twilio' }],
      providers: { twilio: twilioAccount },
    });
    const text = (from: string) =>
      postAsTwilio(omega, '/twilio/sms/incoming', {
        MessageSid: `SM${from.slice(-10).padStart(32, '0')}`,
        From: from,
        To: anywhere,
        Body: 'Hello?',
        NumMedia: '0',
      });
    const heard = async (client: Client, businessId: number, from: string) =>
      (await client.get(`/businesses/${businessId}/conversations?client=${encodeURIComponent(from)}`)).body
        .data.length;
    await removed(senders, calling, anywhere, 'sms');
    expect((await text('+12025550131')).status).toBe(200);
    expect([await heard(calling, 5005, '+12025550131'), await heard(sister, 5006, '+12025550131')]).toEqual([
      1, 0,
    ]);

    const taken = await sister.call('PUT', '/businesses/5006/senders', {
      channel: 'sms',
      address: anywhere,
      provider: 'twilio',
    });
    expect(taken.status).toBe(201);
    await text('+12025550132');
    expect([await heard(calling, 5005, '+12025550132'), await heard(sister, 5006, '+12025550132')]).toEqual([
      0, 1,
    ]);
  });
});
