import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, messagesOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const queue = (body: object) => api.post('/sms/queue', { content: 'See you at 9!', ...body });
let lastPhone = 0;
/** A number that nothing here knows yet. */
const newPhone = () => `+1202556${String(++lastPhone).padStart(4, '0')}`;

describe('POST /sms/queue', () => {
  test('answers 202 with the message, its conversation and client; a moment later it is delivered', async () => {
    const to = newPhone();
    const answer = await queue({ to, request_id: 'reminder-1' });
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({
      request_id: 'reminder-1',
      message_id: expect.stringMatching(/^[0-9a-f-]{14}7[0-9a-f-]{21}$/),
      conversation_id: expect.stringMatching(/^[0-9a-f-]{14}7[0-9a-f-]{21}$/),
      client_id: expect.any(Number),
      status: 'queued',
      segments: 1,
      encoding: 'GSM-7',
    });
    const now = new Date(omega.clock.now()).toISOString();
    await omega.settled();
    expect(await messageOf(api, 1001, answer.body)).toEqual({
      message_id: answer.body.message_id,
      conversation_id: answer.body.conversation_id,
      business_id: 1001,
      client_id: answer.body.client_id,
      channel: 'sms',
      direction: 'outbound',
      status: 'delivered',
      content: 'See you at 9!',
      subject: null,
      html: null,
      media_urls: [],
      attachments: [],
      from: '+15005550006',
      to,
      cc: [],
      bcc: [],
      reply_to: null,
      sent_by: null,
      sender_type: 'system',
      category: 'transactional',
      location_id: 1,
      segments: 1,
      encoding: 'GSM-7',
      provider: 'simulator',
      provider_message_id: expect.stringMatching(/^SM[0-9a-f]{32}$/),
      provider_status: 'delivered',
      error_code: null,
      error_message: null,
      reason: null,
      retryable: null,
      advice: null,
      attempts: 1,
      unread: false,
      auto_reply: false,
      external_ref: null,
      metadata: {},
      request_id: 'reminder-1',
      send_at: null,
      cancel_on_reply: false,
      occurred_at: now,
      created_at: now,
      sent_at: now,
      delivered_at: now,
      read_at: null,
      failed_at: null,
      opened_at: null,
      clicked_at: null,
      complained_at: null,
      unsubscribed_at: null,
      call: null,
      reply_text: null,
      sender_authentication: null,
      threading_reason: null,
    });
  });

  test('everything that the host says of a message comes back with it', async () => {
    const said = {
      location_id: 2,
      sent_by: 12345,
      sender_type: 'automation',
      category: 'marketing',
      media_urls: ['https://lotus.example/map.png', 'http://lotus.example/a?b=c%20d'],
      external_ref: { type: 'appointment', id: '8841', starts_at: '2026-03-11T09:00:00-05:00' },
      metadata: { order: 7, tags: ['a', null], deep: { er: { still: true } }, 'ünïcode 🎉': 1.5e-7 },
      request_id: 'A.z_0:9-',
    };
    const { body } = await queue({ to: newPhone(), ...said });
    const message = await messageOf(api, 1001, body);
    expect(message).toMatchObject(said);
    expect(message.external_ref).toEqual(said.external_ref);
    expect(message.metadata).toEqual(said.metadata);
  });

  test('who wrote it follows from sent_by: staff where one is named, else the system', async () => {
    const byStaff = await queue({ to: newPhone(), sent_by: 12346 });
    expect(await messageOf(api, 1001, byStaff.body)).toMatchObject({ sent_by: 12346, sender_type: 'staff' });
    const bySystem = await queue({ to: newPhone() });
    expect(await messageOf(api, 1001, bySystem.body)).toMatchObject({ sent_by: null, sender_type: 'system' });
  });
});

describe('the client', () => {
  test('of an unknown number is made, provisional, with an id from 2^40 upward', async () => {
    const to = newPhone();
    const { body } = await queue({ to });
    expect(body.client_id).toBeGreaterThanOrEqual(2 ** 40);
    expect(Number.isSafeInteger(body.client_id)).toBe(true);
    expect((await rowOf(api, 1001, body)).client).toEqual({
      client_id: body.client_id,
      name: null,
      phone: to,
      email: null,
      provisional: true,
    });
    const again = await queue({ to });
    expect(again.body).toMatchObject({ client_id: body.client_id, conversation_id: body.conversation_id });
  });

  test("named by id and number is made the host's, and from then on either names them", async () => {
    const to = newPhone();
    const { body } = await queue({ client_id: 501, to });
    expect(body.client_id).toBe(501);
    expect((await rowOf(api, 1001, body)).client).toMatchObject({ phone: to, provisional: false });
    for (const named of [{ client_id: 501 }, { to }]) {
      const again = await queue(named);
      expect(again.body).toMatchObject({ client_id: 501, conversation_id: body.conversation_id });
      expect(await messageOf(api, 1001, again.body)).toMatchObject({ to });
    }
  });

  test('of a known id and a new number gets this message there, and keeps the first number as theirs', async () => {
    const [first, second] = [newPhone(), newPhone()];
    await queue({ client_id: 502, to: first });
    const { body } = await queue({ client_id: 502, to: second });
    expect(await messageOf(api, 1001, body)).toMatchObject({ client_id: 502, to: second });
    expect((await rowOf(api, 1001, body)).client.phone).toBe(first);
    expect((await queue({ to: second })).body.client_id).toBe(502);
  });

  test('of an unknown id alone is 404; without id and number it is 422', async () => {
    expectProblem(await queue({ client_id: 999_999 }), 404, 'not_found');
    const answer = await queue({});
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['client_id required']);
  });

  test('who has no phone cannot be texted: 422 no_address', async () => {
    await api.post('/businesses/1001/clients/503/conversations', { email: 'ana@example.com' });
    const answer = await queue({ client_id: 503 });
    expectProblem(answer, 422, 'no_address');
    expect(faultsOf(answer)).toEqual(['to required']);
  });

  test("is read in the business's country where the number is a national one", async () => {
    const uk = await omega.business({
      business_id: 44,
      country: 'GB',
      time_zone: 'Europe/London',
      senders: [{ channel: 'sms', address: '07700 900001', provider: 'simulator' }],
    });
    const { body } = await uk.api.post('/sms/queue', { to: '07700 900123', content: 'Hello' });
    expect(await messageOf(uk.api, 44, body)).toMatchObject({ to: '+447700900123', from: '+447700900001' });
    const national = await queue({ to: '(202) 557-0001' });
    expect(await messageOf(api, 1001, national.body)).toMatchObject({ to: '+12025570001' });
  });

  test.each(['12', 'not a number', '+1 202 555 0123 ext. 5', '+12025550123, +12025550124', ' '])(
    'with the number %j is 422 on `to`',
    async (to) => {
      const answer = await queue({ to });
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual(['to invalid_format']);
    },
  );
});

describe('the sender', () => {
  const numbers = { general: '+12025559900', one: '+12025559901', two: '+12025559902' };
  const provider = 'simulator' as const;
  let many: Client;
  beforeAll(async () => {
    ({ api: many } = await omega.business({
      business_id: 2002,
      locations: [1, 2, 3].map((location_id) => ({ location_id, name: `Location ${location_id}` })),
      senders: [
        { channel: 'email', address: 'hello@lotus.example', provider },
        { channel: 'sms', address: numbers.one, provider, location_id: 1 },
        { channel: 'sms', address: numbers.general, provider },
        { channel: 'sms', address: numbers.two, provider, location_id: 2 },
      ],
    }));
  });
  const fromOf = async (body: object) => {
    const answer = await many.post('/sms/queue', { to: newPhone(), content: 'Hello', ...body });
    return {
      ...answer,
      from: answer.status === 202 ? (await messageOf(many, 2002, answer.body)).from : null,
    };
  };

  test('is the one of the location, else one of no location', async () => {
    expect((await fromOf({ location_id: 1 })).from).toBe(numbers.one);
    expect((await fromOf({ location_id: 2 })).from).toBe(numbers.two);
    expect((await fromOf({ location_id: 3 })).from).toBe(numbers.general);
    expect((await fromOf({})).from).toBe(numbers.general);
  });

  test('is the one named, in whatever form, and wherever it stands', async () => {
    expect((await fromOf({ from: numbers.two, location_id: 1 })).from).toBe(numbers.two);
    expect((await fromOf({ from: '(202) 555-9901' })).from).toBe(numbers.one);
  });

  test("that is not the business's is 422 no_sender, and so is an address of another channel", async () => {
    for (const from of ['+12025559999', '+15005550006']) {
      const answer = await fromOf({ from });
      expectProblem(answer, 422, 'no_sender');
      expect(faultsOf(answer)).toEqual(['from not_found']);
    }
    const mail = await fromOf({ from: 'hello@lotus.example' });
    expectProblem(mail, 422, 'invalid_parameters');
    expect(faultsOf(mail)).toEqual(['from invalid_format']);
  });

  test('where there is none it is 422 no_sender, and nothing is written', async () => {
    const bare = await omega.business({ business_id: 3003, senders: [] });
    const answer = await bare.api.post('/sms/queue', { to: newPhone(), content: 'Hello' });
    expectProblem(answer, 422, 'no_sender');
    expect(answer.body.detail).toContain('PUT /businesses/{business_id}/senders');
    expect((await bare.api.get('/businesses/3003/conversations')).body.data).toEqual([]);
  });

  test('a location or a staff member that the business does not have is 404', async () => {
    expectProblem(await fromOf({ location_id: 9 }), 404, 'not_found');
    expectProblem(await fromOf({ sent_by: 9 }), 404, 'not_found');
  });
});

describe('the content', () => {
  test.each([
    ['a'.repeat(160), 1, 'GSM-7'],
    ['a'.repeat(161), 2, 'GSM-7'],
    ['a'.repeat(1530), 10, 'GSM-7'],
    ['é€'.repeat(50), 1, 'GSM-7'],
    ['ë'.repeat(70), 1, 'UCS-2'],
    ['ë'.repeat(71), 2, 'UCS-2'],
    // A pair of surrogates is never cut, so a segment of 67 units holds 33.
    ['🎉'.repeat(330), 10, 'UCS-2'],
  ])('of %.5s… counts its segments as the phone network does', async (content, segments, encoding) => {
    const { status, body } = await queue({ to: '+12025550199', content });
    expect(status).toBe(202);
    expect(body).toMatchObject({ segments, encoding });
  });

  test('of more than 10 segments is 422 and tells which characters cost', async () => {
    for (const content of ['a'.repeat(1531), '🎉'.repeat(331)]) {
      const answer = await queue({ to: newPhone(), content });
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual(['content too_long']);
      expect(answer.body.detail).toContain('11 segments');
      expect(answer.body.detail.includes('🎉')).toBe(content.startsWith('🎉'));
    }
  });

  test('has 1 to 1,600 characters, counted as people count them', async () => {
    for (const [content, code] of [
      ['', 'too_short'],
      ['a'.repeat(1601), 'too_long'],
    ]) {
      const answer = await queue({ to: newPhone(), content });
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual([`content ${code}`]);
    }
  });
});

describe('a time to send at', () => {
  const inAnHour = () => new Date(omega.clock.now() + 3_600_000);

  test('in the future schedules: nothing goes out before, and it is delivered when it is due', async () => {
    const send_at = inAnHour().toISOString();
    const { status, body } = await queue({ to: newPhone(), send_at });
    expect(status).toBe(202);
    expect(body.status).toBe('scheduled');
    await omega.tick(3_590_000);
    expect(await messageOf(api, 1001, body)).toMatchObject({ status: 'scheduled', attempts: 0, send_at });
    await omega.tick(10_000);
    expect(await messageOf(api, 1001, body)).toMatchObject({
      status: 'delivered',
      attempts: 1,
      sent_at: send_at,
    });
  });

  test('is read with its offset and shown in UTC', async () => {
    const inNewYork = new Date(omega.clock.now() + 7_200_000 - 4 * 3_600_000)
      .toISOString()
      .replace('Z', '-04:00');
    const { body } = await queue({ to: newPhone(), send_at: inNewYork });
    expect((await messageOf(api, 1001, body)).send_at).toBe(new Date(inNewYork).toISOString());
  });

  test('that is over sends now', async () => {
    const { body } = await queue({ to: newPhone(), send_at: '2026-01-01T00:00:00Z' });
    expect(body.status).toBe('queued');
    await omega.settled();
    expect((await messageOf(api, 1001, body)).status).toBe('delivered');
  });

  test('is at most 400 days ahead', async () => {
    const days = (count: number) => new Date(omega.clock.now() + count * 86_400_000).toISOString();
    expect((await queue({ to: newPhone(), send_at: days(400) })).body.status).toBe('scheduled');
    const answer = await queue({ to: newPhone(), send_at: days(401) });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['send_at too_large']);
  });

  test.each([
    'tomorrow',
    '2026-03-11',
    '2026-03-11T09:00:00',
    '2026-13-01T00:00:00Z',
    '2026-12-31T23:59:60Z',
    1_800_000_000,
  ])('of %j is 422', async (send_at) => {
    const answer = await queue({ to: newPhone(), send_at });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)[0]).toMatch(/^send_at invalid_(format|type)$/);
  });
});

test('what is wrong is told all at once, in what only the rules see too', async () => {
  const answer = await queue({
    from: '!',
    content: 'a'.repeat(1600),
    send_at: '2030-01-01T00:00:00Z',
  });
  expectProblem(answer, 422, 'invalid_parameters');
  expect(faultsOf(answer)).toEqual([
    'client_id required',
    'content too_long',
    'from invalid_format',
    'send_at too_large',
  ]);
});

test('a misspelt send_at must not send now: an unknown field is 422, and nothing is written', async () => {
  const to = newPhone();
  const answer = await queue({ to, sent_at: '2026-03-11T09:00:00Z' });
  expectProblem(answer, 422, 'unknown_field');
  expect(faultsOf(answer)).toEqual(['sent_at unknown_field']);
  const { body } = await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(to)}`);
  expect(body.data).toEqual([]);
});

test('a platform key names the business; one that is not there is 404', async () => {
  const text = { to: newPhone(), content: 'Hello' };
  const sent = await omega.platform.post('/sms/queue', { business_id: 1001, ...text });
  expect(sent.status).toBe(202);
  expect(await messagesOf(omega.platform, 1001, sent.body)).toHaveLength(1);
  expectProblem(await omega.platform.post('/sms/queue', text), 422, 'invalid_parameters');
  expectProblem(await omega.platform.post('/sms/queue', { business_id: 404404, ...text }), 404, 'not_found');
});
