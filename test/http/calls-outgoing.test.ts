import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import {
  anywhere,
  callingLotus,
  downtown,
  newCallSid,
  type Posted,
  postAsTwilio,
  publicUrl,
  twilioAccount,
} from '../support/twilio-calls.ts';
import { all, verbs } from '../support/twiml.ts';

let omega: RunningOmega;
let api: Client;
/** Mia, who works downtown, in her browser. */
let mia: Client;

beforeAll(async () => {
  omega = await startOmega({ publicUrl });
  ({ api } = await omega.business({ business_id: 1001, ...callingLotus }));
  await omega.business({ business_id: 1002, name: 'Zen', providers: {} });
  mia = await signIn(12345);
});
afterAll(() => omega.close());

async function signIn(staffId: number, ttl_s?: number): Promise<Client> {
  const { body } = await api.post('/authentication/token', { staff_id: staffId, ttl_s });
  const client = clientOf(omega.url, null);
  return {
    ...client,
    get: (path) => client.get(path, { authorization: `Bearer ${body.token}` }),
    post: (path, json) => client.post(path, json, { authorization: `Bearer ${body.token}` }),
  };
}

/** A JSON Web Token (RFC 7519), its signature checked with the key's secret. */
function readToken(token: string) {
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const hmac = createHmac('sha256', twilioAccount.api_key_secret).update(`${header}.${payload}`);
  expect(signature).toBe(hmac.digest('base64url'));
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  return { header: read(header), payload: read(payload) };
}

describe('getVoiceToken: a voice token', () => {
  test('has the claims of Twilio’s documentation, is bound to staff and business, and holds an hour', async () => {
    const { status, body } = await mia.get('/voice-calls/token');
    expect(status).toBe(200);
    expect(body).toEqual({
      token: expect.any(String),
      identity: 'b1001_s12345',
      expires_at: new Date(omega.clock.now() + 3_600_000).toISOString(),
    });
    const { header, payload } = readToken(body.token);
    // https://www.twilio.com/docs/iam/access-tokens, "Anatomy of an Access Token"
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT', cty: 'twilio-fpa;v=1' });
    const { iat, exp, jti, ...claims } = payload;
    expect(claims).toEqual({
      iss: twilioAccount.api_key_sid,
      sub: twilioAccount.account_sid,
      grants: {
        identity: 'b1001_s12345',
        voice: { incoming: { allow: true }, outgoing: { application_sid: twilioAccount.twiml_app_sid } },
      },
    });
    expect(jti).toBe(`${twilioAccount.api_key_sid}-${iat}`);
    expect(exp - iat).toBe(3600);
  });

  test('ends with the session that it is given to', async () => {
    const { body } = await (await signIn(12345, 600)).get('/voice-calls/token');
    const { iat, exp } = readToken(body.token).payload;
    expect(exp - iat).toBe(600);
    expect(body.expires_at).toBe(new Date(omega.clock.now() + 600_000).toISOString());
  });

  test('takes a key that names who calls, of the business alone, and a session for itself alone', async () => {
    expect((await api.get('/voice-calls/token?staff_id=12346')).body.identity).toBe('b1001_s12346');
    expect(faultsOf(await api.get('/voice-calls/token'))).toEqual(['staff_id required']);
    expectProblem(await api.get('/voice-calls/token?staff_id=99'), 404, 'not_found');
    expectProblem(await mia.get('/voice-calls/token?staff_id=12346'), 422, 'invalid_parameters');
  });

  test('is 422 and names what to onboard where the business has no account, or half of one', async () => {
    const none = await omega.platform.get('/voice-calls/token?business_id=1002&staff_id=12345');
    expectProblem(none, 422, 'not_configured');
    const { account_sid, auth_token, api_key_sid } = twilioAccount;
    await omega.business({
      business_id: 1002,
      providers: { twilio: { account_sid, auth_token, api_key_sid } },
    });
    const half = await omega.platform.get('/voice-calls/token?business_id=1002&staff_id=12345');
    expect(faultsOf(half)).toEqual([
      'providers.twilio.api_key_secret required',
      'providers.twilio.twiml_app_sid required',
    ]);
  });
});

/** A browser's `Device.connect({ params })`, as Twilio posts it to the TwiML App's URL. */
function connect(params: Record<string, string>, from = 'client:b1001_s12345', CallSid = newCallSid()) {
  return postAsTwilio(omega, '/voice-calls/twiml', {
    CallSid,
    From: from,
    Caller: from,
    CallStatus: 'ringing',
    Direction: 'inbound',
    ApplicationSid: twilioAccount.twiml_app_sid,
    ...params,
  });
}

async function callOf(clientId: number) {
  const { body } = await api.get(`/businesses/1001/clients/${clientId}`);
  const thread = body.conversations?.[0] ?? body.conversation;
  const list = await api.get(
    `/businesses/1001/clients/${clientId}/conversations/${thread.conversation_id}/messages?channel=voice`,
  );
  return list.body.data[0];
}

/** What is said to the staff member in place of a call. */
const refusal = (posted: Posted): string => {
  expect(verbs(posted.twiml)).toEqual(['Say', 'Hangup']);
  return posted.twiml.children[0]!.text;
};

describe('handleTwimlCall: a call from the browser', () => {
  beforeAll(async () => {
    // They are on: each holds a voice token.
    for (const staffId of [12345, 12346]) await api.get(`/voice-calls/token?staff_id=${staffId}`);
    await api.call('PUT', '/businesses/1001/clients/501', { name: 'Ana Lima', phones: ['+12025550123'] });
    await api.call('PUT', '/businesses/1001/clients/502', { name: 'Jon', phones: ['+442079460958'] });
    await api.call('PUT', '/businesses/1001/clients/503', { name: 'No Phone' });
  });

  test('dials the client from the number of the staff member’s location, and is a message from the start', async () => {
    const posted = await connect({ client_id: '501' });
    expect(posted.headers.get('content-type')).toContain('text/xml');
    expect(verbs(posted.twiml)).toEqual(['Dial']);
    const [dial] = all(posted.twiml, 'Dial');
    expect(dial!.attributes).toMatchObject({ callerId: downtown, answerOnBridge: 'true' });
    expect(dial!.attributes.record).toBeUndefined();
    expect(all(posted.twiml, 'Number').map(({ text }) => text)).toEqual(['+12025550123']);
    expect(await callOf(501)).toMatchObject({
      channel: 'voice',
      direction: 'outbound',
      status: 'sending',
      from: downtown,
      to: '+12025550123',
      sent_by: 12345,
      sender_type: 'staff',
      unread: false,
      call: { outcome: 'ringing', duration_s: null, answered_at: null, recording: null },
    });
  });

  test('takes the client of a conversation, or a number as people write it, which makes a provisional client', async () => {
    const { conversation_id } = await callOf(501);
    const byThread = await connect({ conversation_id });
    expect(all(byThread.twiml, 'Number').map(({ text }) => text)).toEqual(['+12025550123']);
    const byNumber = await connect({ To: '(202) 555-0177' });
    expect(all(byNumber.twiml, 'Number').map(({ text }) => text)).toEqual(['+12025550177']);
    const { body } = await api.get('/businesses/1001/clients?q=%2B12025550177');
    expect(body.data).toMatchObject([{ provisional: true }]);
  });

  test('posted twice by Twilio is one call', async () => {
    const CallSid = newCallSid();
    await api.call('PUT', '/businesses/1001/clients/510', { name: 'Twice', phones: ['+12025550110'] });
    const [one, two] = await Promise.all([
      connect({ client_id: '510' }, undefined, CallSid),
      connect({ client_id: '510' }, undefined, CallSid),
    ]);
    expect(one!.body).toBe(two!.body);
    const thread = await callOf(510);
    const { body } = await api.get(
      `/businesses/1001/clients/510/conversations/${thread.conversation_id}/messages`,
    );
    expect(body.data).toHaveLength(1);
  });

  test('a second staff member, of a location without a number, calls from the one of no location', async () => {
    const posted = await connect({ client_id: '501' }, 'client:b1001_s12346');
    expect(all(posted.twiml, 'Dial')[0]!.attributes.callerId).toBe(anywhere);
  });

  test.each([
    ['premium-rate', { To: '+19005550123' }, /costs extra/],
    ['abroad and nobody’s', { To: '+442079460000' }, /abroad/],
    ['the Caribbean, under the same calling code, and nobody’s', { To: '+18762345678' }, /abroad/],
    ['an emergency number', { To: '911' }, /no phone number/],
    ['another browser', { To: 'client:b1001_s12346' }, /no phone number/],
    ['a SIP address', { To: 'sip:a@b.example' }, /no phone number/],
    ['two numbers', { To: '+12025550123,+12025550124' }, /no phone number/],
    ['nothing at all', {}, /no number/],
    ['a client without a phone', { client_id: '503' }, /no phone number/],
    ['an unknown client', { client_id: '99' }, /no such client/],
    ['no id', { client_id: '1e3x' }, /no such client/],
    ['another’s conversation', { conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11' }, /no such conv/],
    ['a broken conversation', { conversation_id: "1' or 1=1" }, /no such conv/],
    ['its own number', { To: downtown }, /you call from/],
  ])('%s is not dialed, and the staff member hears why', async (_, params, why) => {
    expect(refusal(await connect(params))).toMatch(why);
  });

  test('a number abroad that a client has is dialed', async () => {
    const posted = await connect({ client_id: '502' });
    expect(all(posted.twiml, 'Number').map(({ text }) => text)).toEqual(['+442079460958']);
  });

  test('a client who asked not to be called is not dialed', async () => {
    await api.call('PUT', '/businesses/1001/clients/504', { name: 'Leave Me', phones: ['+12025550144'] });
    await api.post('/businesses/1001/consents', {
      client_id: 504,
      channel: 'voice',
      state: 'revoked',
      category: 'all',
      source: 'front_desk',
      evidence: { note: 'asked at the desk' },
    });
    expect(refusal(await connect({ client_id: '504' }))).toMatch(/asked not to be called/);
  });

  test('an identity of another business, of nobody, or of one who left may not call', async () => {
    for (const from of ['client:b1003_s12345', 'client:b1001_s99', 'client:mia', 'client:b1001_s12345_x'])
      expect(refusal(await connect({ client_id: '501' }, from))).toMatch(/may not call/);
    const { db } = omega.omega.database;
    await db.updateTable('staffs').set({ active: false }).where('staff_id', '=', 12346).execute();
    expect(refusal(await connect({ client_id: '501' }, 'client:b1001_s12346'))).toMatch(/may not call/);
    await db.updateTable('staffs').set({ active: true }).where('staff_id', '=', 12346).execute();
  });

  test('a token whose session ended calls no more, though Twilio takes it until it runs out', async () => {
    await omega.business({
      ...{ business_id: 1001, locations: [], senders: [] },
      staffs: [{ staff_id: 12349, name: 'Liv Berg' }],
    });
    const liv = await signIn(12349);
    const calls = () => connect({ client_id: '501' }, 'client:b1001_s12349');
    expect(refusal(await calls())).toMatch(/may not call/);
    await liv.get('/voice-calls/token');
    expect(verbs((await calls()).twiml)).toEqual(['Dial']);
    await liv.post('/session/expire', {});
    expect(refusal(await calls())).toMatch(/may not call/);
  });

  test('unsigned, or signed with another token, is 403, has no effect and dials nobody', async () => {
    const form = { CallSid: newCallSid(), From: 'client:b1001_s12345', client_id: '501' };
    const wrong = await postAsTwilio(omega, '/voice-calls/twiml', form, {
      account: { ...twilioAccount, auth_token: 'another' },
    });
    expectProblem(wrong, 403, 'invalid_signature');
    const { rows } = await countCalls(form.CallSid);
    expect(rows).toBe(0);
  });

  const countCalls = async (callSid: string) => ({
    rows: (
      await omega.omega.database.db
        .selectFrom('messages')
        .select('message_id')
        .where('provider_message_id', '=', callSid)
        .execute()
    ).length,
  });
});

describe('how a call from the browser ends', () => {
  /** Starts a call to a new client and tells what the dialed leg reports. */
  async function dialed(last: string) {
    const clientId = 600 + Number(last);
    await api.call('PUT', `/businesses/1001/clients/${clientId}`, { phones: [`+1202555${last}`] });
    const CallSid = newCallSid();
    const { twiml } = await connect({ client_id: String(clientId) }, undefined, CallSid);
    const leg = newCallSid();
    const status = (CallStatus: string, more: Record<string, string> = {}) =>
      postAsTwilio(omega, all(twiml, 'Number')[0]!.attributes.statusCallback!, {
        CallSid: leg,
        ParentCallSid: CallSid,
        From: downtown,
        To: `+1202555${last}`,
        Direction: 'outbound-dial',
        CallStatus,
        ...more,
      });
    const result = (DialCallStatus: string, more: Record<string, string> = {}) =>
      postAsTwilio(omega, all(twiml, 'Dial')[0]!.attributes.action!, {
        CallSid,
        From: 'client:b1001_s12345',
        CallStatus: 'in-progress',
        DialCallSid: leg,
        DialCallStatus,
        ...more,
      });
    return { clientId, status, result, CallSid };
  }

  test('answered: delivered, with its duration; ringing before that is sent', async () => {
    const { clientId, status, result } = await dialed('0201');
    await status('ringing');
    expect(await callOf(clientId)).toMatchObject({ status: 'sent', call: { outcome: 'ringing' } });
    await status('in-progress');
    expect(await callOf(clientId)).toMatchObject({ status: 'delivered', call: { outcome: 'in_progress' } });
    await omega.tick(31_000);
    await status('completed', { CallDuration: '31' });
    expect(verbs((await result('completed', { DialCallDuration: '31' })).twiml)).toEqual(['Hangup']);
    expect(await callOf(clientId)).toMatchObject({
      status: 'delivered',
      provider_status: 'completed',
      call: { outcome: 'completed', duration_s: 31 },
    });
  });

  test.each([
    ['busy', '0202', 'busy', 'undelivered', 'busy', /busy/],
    ['no-answer', '0203', 'no_answer', 'undelivered', 'unanswered', /Nobody answered/],
    ['failed', '0204', 'failed', 'failed', 'call_failed', /could not be put through/],
  ])(
    '%s: the staff member hears it, and the message says so',
    async (told, last, outcome, status, reason, heard) => {
      const call = await dialed(last);
      expect(refusal(await call.result(told))).toMatch(heard);
      await call.status(told);
      expect(await callOf(call.clientId)).toMatchObject({
        status,
        reason,
        advice: expect.stringMatching(/.+/),
        provider_status: told,
        call: { outcome, duration_s: 0 },
      });
    },
  );

  test('canceled: the staff member hung up while it rang', async () => {
    const call = await dialed('0205');
    expect(verbs((await call.result('canceled')).twiml)).toEqual(['Hangup']);
    expect(await callOf(call.clientId)).toMatchObject({
      status: 'undelivered',
      call: { outcome: 'canceled' },
    });
  });

  test('is never sent by a retry: it was a call of staff', async () => {
    const call = await dialed('0206');
    await call.result('no-answer');
    const { message_id } = await callOf(call.clientId);
    const retried = await api.post('/messages/retry', { message_ids: [message_id], force: true });
    expect(retried.body).toMatchObject({ retried: 0, skipped: [{ message_id, reason: 'recorded' }] });
  });
});

test('handleRecordingNotice: with recording on, the client hears the notice when they pick up, and the recording is noted', async () => {
  const set = await api.call('PUT', '/businesses/1001/locations/1/voice', {
    record: true,
    recording_notice: 'Calls are recorded <for training> & quality.',
  });
  expect(set.body).toMatchObject({ record: true, ring_seconds: 20, voicemail: true });
  await api.call('PUT', '/businesses/1001/clients/700', { phones: ['+12025550170'] });
  const CallSid = newCallSid();
  const { twiml } = await connect({ client_id: '700' }, undefined, CallSid);
  const [dial] = all(twiml, 'Dial');
  expect(dial!.attributes.record).toBe('record-from-answer-dual');
  const notice = await postAsTwilio(omega, all(twiml, 'Number')[0]!.attributes.url!, {
    CallSid: newCallSid(),
    ParentCallSid: CallSid,
  });
  expect(all(notice.twiml, 'Say').map(({ text }) => text)).toEqual([
    'Calls are recorded <for training> & quality.',
  ]);
  await postAsTwilio(omega, dial!.attributes.recordingStatusCallback!, {
    CallSid,
    RecordingSid: `RE${'7'.repeat(32)}`,
    RecordingUrl: `https://api.twilio.com/2010-04-01/Accounts/${twilioAccount.account_sid}/Recordings/RE${'7'.repeat(32)}`,
    RecordingStatus: 'completed',
    RecordingDuration: '29',
  });
  expect((await callOf(700)).call.recording).toEqual({ kind: 'conversation', duration_s: 29 });
  await api.call('PUT', '/businesses/1001/locations/1/voice', {});
});
