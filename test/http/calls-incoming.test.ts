import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../server/core/log.ts';
import { createCarrierEvents } from '../../server/messages/index.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import {
  anywhere,
  callingLotus,
  downtown,
  newCallSid,
  newRecordingSid,
  postAsTwilio,
  publicUrl,
  twilioAccount,
} from '../support/twilio-calls.ts';
import { all, type Element, verbs } from '../support/twiml.ts';
import vectors from '../vectors/twilio_webhook_params.json' with { type: 'json' };

let omega: RunningOmega;
let api: Client;

/** Twilio's API as far as recordings go, and who asked for them. */
const twilio = createServer((request, response) => {
  fetched.push({ path: request.url!, authorization: request.headers.authorization });
  response.writeHead(request.url!.endsWith('.mp3') ? 200 : 404).end(sound);
});
const fetched: { path: string; authorization: string | undefined }[] = [];
/** An MP3 file: an empty ID3 tag, and one frame (MPEG 1, layer 3, 128 kbit/s). */
const sound = Buffer.concat([
  Buffer.from('49443304000000000000', 'hex'),
  Buffer.from('fffb9000', 'hex'),
  Buffer.alloc(413),
]);

beforeAll(async () => {
  await new Promise<void>((resolve) => twilio.listen(0, '127.0.0.1', resolve));
  omega = await startOmega({ publicUrl });
  const api_base_url = `http://127.0.0.1:${(twilio.address() as AddressInfo).port}`;
  const providers = { twilio: { ...twilioAccount, api_base_url } };
  ({ api } = await omega.business({ business_id: 1001, ...callingLotus, providers }));
});
afterAll(async () => {
  await omega.close();
  twilio.close();
});

let callers = 0;
const newCaller = () => `+1202555${String(1000 + callers++)}`;

/** A staff member takes a voice token, as their browser does. */
const comesOn = (staffId: number) => api.get(`/voice-calls/token?staff_id=${staffId}`);
const settings = (fields: object, location = 1) =>
  api.call('PUT', `/businesses/1001/locations/${location}/voice`, fields);

/** A client calls a number of the studio, as Twilio tells it. */
async function ring(to = downtown, from = newCaller(), CallSid = newCallSid()) {
  const about = { CallSid, From: from, Caller: from, To: to, Called: to, Direction: 'inbound' };
  const answer = await postAsTwilio(omega, '/voice-calls/twiml', { ...about, CallStatus: 'ringing' });
  const { twiml } = answer;
  const [dial] = all(twiml, 'Dial');
  return {
    from,
    CallSid,
    twiml,
    answer,
    /** What `<Dial>` came to. */
    dialed: (DialCallStatus: string, more: Record<string, string> = {}) =>
      postAsTwilio(omega, dial!.attributes.action!, {
        ...about,
        CallStatus: 'in-progress',
        DialCallStatus,
        ...more,
      }),
    /** A browser that rings tells how it goes. */
    leg: (CallStatus: string, identity = 'b1001_s12345', more: Record<string, string> = {}) =>
      postAsTwilio(omega, all(twiml, 'Client')[0]!.attributes.statusCallback!, {
        CallSid: newCallSid(),
        ParentCallSid: CallSid,
        From: from,
        To: `client:${identity}`,
        Direction: 'outbound-dial',
        CallStatus,
        ...more,
      }),
    /** The number's own callback. */
    status: (CallStatus: string, more: Record<string, string> = {}) =>
      postAsTwilio(omega, '/twilio/voice/status', { ...about, CallStatus, ...more }),
  };
}

async function messagesOf(phone: string) {
  const { body: page } = await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(phone)}`);
  const conversation = page.data[0];
  const { body } = await api.get(
    `/businesses/1001/clients/${conversation.client.client_id}/conversations/${conversation.conversation_id}/messages?order=oldest`,
  );
  return { conversation, messages: body.data };
}

async function callOf(phone: string) {
  const { conversation, messages } = await messagesOf(phone);
  const [call] = messages.filter((one: { channel: string }) => one.channel === 'voice');
  const { unread_count, waiting_since, last_message } = conversation;
  if (last_message.message_id === call.message_id) expect(last_message.call_outcome).toBe(call.call?.outcome);
  return { ...call, unread_count, waiting: waiting_since !== null };
}

const said = (twiml: Element) => all(twiml, 'Say').map(({ text }) => text);
const rung = (twiml: Element) => all(twiml, 'Identity').map(({ text }) => text);

describe('a client calls', () => {
  test('told with every parameter that Twilio posts, is taken as with the few that count', async () => {
    const form = { ...vectors.incoming_call, CallSid: newCallSid(), From: newCaller(), To: downtown };
    const { status, twiml } = await postAsTwilio(omega, '/voice-calls/twiml', {
      ...form,
      AccountSid: twilioAccount.account_sid,
    });
    expect([status, verbs(twiml)]).toEqual([200, ['Say', 'Record', 'Hangup']]);
    expect(await callOf(form.From)).toMatchObject({ direction: 'inbound', call: { outcome: 'missed' } });
  });

  test('with nobody on: voicemail, and a provisional client’s call that is unread and waiting', async () => {
    const call = await ring();
    expect(verbs(call.twiml)).toEqual(['Say', 'Record', 'Hangup']);
    expect(await callOf(call.from)).toMatchObject({
      channel: 'voice',
      direction: 'inbound',
      status: 'received',
      from: call.from,
      to: downtown,
      location_id: 1,
      unread: true,
      unread_count: 1,
      waiting: true,
      call: { outcome: 'missed', duration_s: 0 },
    });
  });

  test('rings the staff of the location who are on, all at once, and tells their browsers who it is about', async () => {
    await settings({ greeting: 'Thank you for calling <Lotus> & co.', ring_seconds: 25 });
    await comesOn(12345);
    await comesOn(12346);
    const call = await ring();
    expect(verbs(call.twiml)).toEqual(['Say', 'Dial']);
    expect(said(call.twiml)).toEqual(['Thank you for calling <Lotus> & co.']);
    // Noah works at the harbor.
    expect(rung(call.twiml)).toEqual(['b1001_s12345']);
    expect(all(call.twiml, 'Dial')[0]!.attributes).toMatchObject({ timeout: '25', answerOnBridge: 'true' });
    const { message_id, conversation_id, client_id } = await callOf(call.from);
    const parameters = all(call.twiml, 'Parameter').map(({ attributes: { name, value } }) => [name, value]);
    expect(Object.fromEntries(parameters)).toEqual({
      message_id,
      conversation_id,
      client_id: String(client_id),
    });
    expect(rung((await ring(anywhere)).twiml).sort()).toEqual(['b1001_s12345', 'b1001_s12346']);
    await settings({});
  });

  test('a token that ran out, a session that ended and staff who left are not rung; all_staff rings who is not on', async () => {
    const { body } = await api.post('/authentication/token', { staff_id: 12346 });
    await omega.tick(3_600_000);
    const asNoah = { authorization: `Bearer ${body.token}` };
    await omega.as(null).get('/voice-calls/token', asNoah);
    expect(rung((await ring(anywhere)).twiml)).toEqual(['b1001_s12346']);
    await omega.as(null).post('/session/expire', {}, asNoah);
    expect(rung((await ring(anywhere)).twiml)).toEqual([]);
    await settings({ ring: 'all_staff' });
    expect(rung((await ring()).twiml)).toEqual(['b1001_s12345']);
    await settings({});
    await comesOn(12345);
    const { db } = omega.omega.database;
    const active = (is: boolean) =>
      db.updateTable('staffs').set({ active: is }).where('staff_id', '=', 12345).execute();
    await active(false);
    expect(rung((await ring()).twiml)).toEqual([]);
    await active(true);
  });

  test('answered: read, nobody waits, with who took it and how long they talked', async () => {
    await comesOn(12345);
    const call = await ring();
    expect(await callOf(call.from)).toMatchObject({ unread: true, call: { outcome: 'ringing' } });
    await call.leg('in-progress');
    expect(await callOf(call.from)).toMatchObject({
      unread: false,
      unread_count: 0,
      waiting: false,
      call: { outcome: 'in_progress', answered_by: 12345 },
    });
    await omega.tick(61_000);
    expect(verbs((await call.dialed('completed', { DialCallDuration: '61' })).twiml)).toEqual(['Hangup']);
    await call.leg('completed', undefined, { CallDuration: '61' });
    await call.status('completed', { CallDuration: '75' });
    expect(await callOf(call.from)).toMatchObject({
      unread: false,
      provider_status: 'completed',
      call: { outcome: 'completed', answered_by: 12345, duration_s: 61 },
    });
  });

  test('not answered: voicemail, which the call keeps; it stays unread and waiting', async () => {
    await comesOn(12345);
    const call = await ring();
    await call.leg('no-answer');
    const next = await call.dialed('no-answer');
    expect(verbs(next.twiml)).toEqual(['Say', 'Record', 'Hangup']);
    expect((await callOf(call.from)).call.outcome).toBe('missed');
    const [record] = all(next.twiml, 'Record');
    const RecordingSid = newRecordingSid();
    const recordingPath = `/2010-04-01/Accounts/${twilioAccount.account_sid}/Recordings/${RecordingSid}`;
    const recording = {
      CallSid: call.CallSid,
      From: call.from,
      RecordingSid,
      RecordingUrl: `https://api.twilio.com${recordingPath}`,
      RecordingDuration: '12',
    };
    expect(verbs((await postAsTwilio(omega, record!.attributes.action!, recording)).twiml)).toEqual([
      'Hangup',
    ]);
    await postAsTwilio(omega, record!.attributes.recordingStatusCallback!, {
      ...recording,
      RecordingStatus: 'completed',
    });
    await call.status('completed');
    expect(await callOf(call.from)).toMatchObject({
      unread: true,
      waiting: true,
      call: { outcome: 'voicemail', recording: { kind: 'voicemail', duration_s: 12 }, answered_at: null },
    });

    // Its sound is fetched once, with the account's credentials, and served by a link that expires.
    await omega.settled();
    const { api_key_sid: user, api_key_secret: password } = twilioAccount;
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const ofThis = fetched.filter(({ path }) => path.startsWith(recordingPath));
    expect(ofThis).toEqual([{ path: `${recordingPath}.mp3`, authorization }]);
    const { message_id, attachments, media_urls } = await callOf(call.from);
    expect(media_urls).toEqual([]);
    expect(attachments).toMatchObject([{ filename: 'recording.mp3', content_type: 'audio/mpeg' }]);
    const { body: link } = await api.get(
      `/businesses/1001/messages/${message_id}/attachments/${attachments[0].attachment_id}/link`,
    );
    const path = link.url.slice(`${publicUrl}/omega`.length);
    const file = await fetch(omega.url + path);
    expect(Buffer.from(await file.arrayBuffer()).equals(sound)).toBe(true);
    await omega.tick(600_000);
    expect((await omega.as(null).get(path)).status).toBe(404);
  });

  test('a caller who hangs up while it rings has a missed call, and is asked for no voicemail', async () => {
    await comesOn(12345);
    const call = await ring();
    const after = await call.dialed('no-answer', { CallStatus: 'completed' });
    expect(verbs(after.twiml)).toEqual(['Hangup']);
    expect(await callOf(call.from)).toMatchObject({ unread: true, call: { outcome: 'missed' } });
  });

  test('a call that Omega never answered is told by the number’s callback alone, and missed', async () => {
    const from = newCaller();
    const form = { CallSid: newCallSid(), From: from, To: downtown, CallStatus: 'no-answer' };
    await postAsTwilio(omega, '/twilio/voice/status', form);
    expect(await callOf(from)).toMatchObject({ unread: true, call: { outcome: 'missed' } });
  });

  test('withheld numbers are one client, whom nobody can call or text', async () => {
    await settings({ missed_call_text: 'Sorry!' });
    for (const from of ['anonymous', '+266696687', 'Restricted', '', 'sip:x@y.example']) {
      const { answer } = await ring(downtown, from);
      expect(answer.status).toBe(200);
    }
    await omega.tick(300_000);
    const { conversation, messages } = await messagesOf('anonymous');
    expect(messages.map((one: { channel: string }) => one.channel)).toEqual(Array(5).fill('voice'));
    expect(conversation.client.provisional).toBe(true);
    await settings({});
  });

  test('a number that is no voice sender of the account is rejected', async () => {
    const { twiml } = await ring('+12125559999');
    expect(verbs(twiml)).toEqual(['Reject']);
  });

  test('unsigned it is 403 and rings nobody; kept, and replayed in vain', async () => {
    const from = newCaller();
    const form = { CallSid: newCallSid(), From: from, To: downtown };
    const answer = await postAsTwilio(omega, '/voice-calls/twiml', form, { signature: 'bm8=' });
    expectProblem(answer, 403, 'invalid_signature');
    const { body } = await omega.platform.get('/webhook-receipts?state=quarantined');
    expect(body.data[0]).toMatchObject({
      source: 'twilio.voice.call',
      url: `${publicUrl}/omega/voice-calls/twiml`,
    });
    const { body: none } = await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(from)}`);
    expect(none.data).toEqual([]);
  });

  test.each([
    '/voice-calls/twiml',
    '/voice-calls/dial-result',
    '/voice-calls/voicemail',
    '/voice-calls/recording-notice',
    '/twilio/voice/status',
    '/twilio/voice/recording',
  ])('%s believes nothing without a signature, or with that of another path', async (path) => {
    const call = await ring();
    const before = await callOf(call.from);
    const to = `${path}?business_id=1001&call_sid=${call.CallSid}&kind=voicemail`;
    const form = {
      ...{ CallSid: call.CallSid, From: call.from, To: downtown, CallStatus: 'completed' },
      ...{ DialCallStatus: 'completed', DialCallDuration: '60' },
      ...{
        RecordingSid: newRecordingSid(),
        RecordingUrl: 'https://api.twilio.com/x',
        RecordingDuration: '9',
      },
    };
    const elsewhere = getExpectedTwilioSignature(twilioAccount.auth_token, `${publicUrl}/omega/elsewhere`, {
      AccountSid: twilioAccount.account_sid,
      ...form,
    });
    for (const signature of ['', 'bm8=', elsewhere])
      expectProblem(await postAsTwilio(omega, to, form, { signature }), 403, 'invalid_signature');
    expect(await callOf(call.from)).toEqual(before);
  });

  test('a form without a CallSid is kept as unreadable, and the caller hears an apology', async () => {
    const { twiml } = await postAsTwilio(omega, '/voice-calls/twiml', { From: newCaller(), To: downtown });
    expect(said(twiml)[0]).toMatch(/try again later/);
  });
});

describe('callbacks of a call', () => {
  test('come to the same in any order, twice each', async () => {
    await comesOn(12345);
    const reference = await ring();
    type Call = Awaited<ReturnType<typeof ring>>;
    // What one call's Twilio tells; each is posted in the URL that the reference's TwiML names for its own call.
    const tellings: ((call: Call) => Promise<unknown>)[] = [
      (call) => call.leg('ringing'),
      (call) => call.leg('in-progress'),
      (call) => call.leg('completed', undefined, { CallDuration: '40' }),
      (call) => call.leg('canceled', 'b1001_s12346'),
      (call) => call.dialed('completed', { DialCallDuration: '40' }),
      (call) => call.status('completed', { CallDuration: '44' }),
    ];
    for (const tell of tellings) await tell(reference);
    const expected = shape(await callOf(reference.from));
    expect(expected).toMatchObject({ unread: false, call: { outcome: 'completed', duration_s: 40 } });
    for (const order of [
      [5, 4, 3, 2, 1, 0],
      [2, 5, 0, 4, 1, 3],
      [4, 1, 5, 3, 0, 2],
    ]) {
      const call = await ring();
      for (const at of order) await Promise.all([tellings[at]!(call), tellings[at]!(call)]);
      expect(shape(await callOf(call.from)), String(order)).toEqual(expected);
    }
  });

  /** Without what differs between two calls: ids, people, times. */
  const shape = ({
    status,
    provider_status,
    unread,
    unread_count,
    waiting,
    call,
  }: Record<string, unknown>) => {
    const { outcome, answered_by, duration_s, recording } = call as { [name: string]: unknown };
    return {
      ...{ status, provider_status, unread, unread_count, waiting },
      call: { outcome, answered_by, duration_s, recording },
    };
  };

  test('of a leg that come before the call is known wait for it', async () => {
    await comesOn(12345);
    const known = await ring();
    const url = all(known.twiml, 'Client')[0]!.attributes.statusCallback!;
    const CallSid = newCallSid();
    const from = newCaller();
    await postAsTwilio(omega, url.replace(known.CallSid, CallSid), {
      CallSid: newCallSid(),
      ParentCallSid: CallSid,
      From: from,
      To: 'client:b1001_s12345',
      CallStatus: 'in-progress',
    });
    await ring(downtown, from, CallSid);
    expect(await callOf(from)).toMatchObject({ unread: true, call: { outcome: 'ringing' } });
    const { database, queue, secrets } = omega.omega;
    await createCarrierEvents({
      ...{ db: database.db, queue, secrets, clock: omega.clock },
      log: createLog({ level: 'fatal', pretty: false }),
    }).resume();
    expect(await callOf(from)).toMatchObject({
      unread: false,
      call: { outcome: 'in_progress', answered_by: 12345 },
    });
  });

  test('that name another business’s call have no effect there', async () => {
    await omega.business({
      business_id: 2002,
      senders: [{ channel: 'voice', address: '+13125550100', provider: 'twilio' }],
      providers: { twilio: { account_sid: `AC${'9'.repeat(32)}`, auth_token: 'of the other' } },
    });
    await comesOn(12345);
    const call = await ring();
    const other = { account_sid: `AC${'9'.repeat(32)}`, auth_token: 'of the other' };
    const url = all(call.twiml, 'Client')[0]!.attributes.statusCallback!;
    const form = { CallSid: newCallSid(), To: 'client:b1001_s12345', CallStatus: 'in-progress' };
    expect((await postAsTwilio(omega, url, form, { account: other })).status).toBe(403);
    const theirs = url.replace('business_id=1001', 'business_id=2002');
    expect((await postAsTwilio(omega, theirs, form, { account: other })).status).toBe(200);
    expect((await callOf(call.from)).call.outcome).toBe('ringing');
  });

  test('make events that tell what became of the call', async () => {
    await comesOn(12345);
    const call = await ring();
    await call.leg('in-progress');
    await call.leg('completed', undefined, { CallDuration: '5' });
    const { message_id } = await callOf(call.from);
    const rows = await omega.omega.database.db
      .selectFrom('events')
      .select(['type', 'data'])
      .where('type', 'like', 'call.%')
      .orderBy('sequence')
      .execute();
    const types = rows.filter(({ data }) => data.message_id === message_id).map(({ type }) => type);
    expect(types).toEqual(['call.started', 'call.answered', 'call.completed']);
  });
});

describe('hours', () => {
  const weekdays = { tuesday: [{ opens: '09:00', closes: '18:00' }] };

  test('closed, a caller hears so and may leave a message, and nobody is rung', async () => {
    await comesOn(12345);
    // It is Tuesday, noon in New York, and the harbor has hours of its own.
    const set = await settings({
      hours: weekdays,
      closed_on: ['2026-03-10'],
      closed_greeting: 'We are closed.',
    });
    expect(set.body).toMatchObject({ open_now: false });
    const closed = await ring();
    expect(verbs(closed.twiml)).toEqual(['Say', 'Say', 'Record', 'Hangup']);
    expect(said(closed.twiml)[0]).toBe('We are closed.');
    expect((await settings({ hours: weekdays })).body).toMatchObject({ open_now: true, closed_on: [] });
    expect(rung((await ring()).twiml)).toEqual(['b1001_s12345']);
    expect((await settings({ hours: {} })).body).toMatchObject({ open_now: false });
    await settings({});
  });

  test('settings are read back, are the location’s own, and are refused where they are no times', async () => {
    const shown = await api.get('/businesses/1001/locations/2/voice');
    expect(shown.body).toMatchObject({ location_id: 2, hours: null, open_now: true, voicemail: true });
    expectProblem(
      await settings({ hours: { monday: [{ opens: '9', closes: '25:00' }] } }),
      422,
      'invalid_parameters',
    );
    expect(faultsOf(await settings({ hours: { funday: [] } }))).toContain('hours.funday unknown_field');
    expectProblem(await settings({}, 99), 404, 'not_found');
    expectProblem(await api.get('/businesses/1001/locations/99/voice'), 404, 'not_found');
  });

  test('without voicemail a caller hears that nobody can answer', async () => {
    await settings({ voicemail: false, hours: {} });
    const { twiml } = await ring();
    expect(verbs(twiml)).toEqual(['Say', 'Hangup']);
    await settings({});
  });
});

describe('a missed call is answered by a text', () => {
  const textsOf = async (phone: string) =>
    (await messagesOf(phone)).messages.filter((one: { channel: string }) => one.channel === 'sms');

  test('when the location says so: from the number called, once an hour, and the client still waits', async () => {
    await settings({ missed_call_text: 'Sorry we missed you! Write to us here.', hours: {} });
    const call = await ring();
    await call.status('completed');
    await call.status('completed');
    expect(await textsOf(call.from)).toEqual([]);
    await omega.tick(15_000);
    await omega.settled();
    expect(await textsOf(call.from)).toMatchObject([
      {
        content: 'Sorry we missed you! Write to us here.',
        status: 'delivered',
        from: downtown,
        sender_type: 'automation',
      },
    ]);
    const again = await ring(downtown, call.from);
    await again.status('completed');
    await omega.tick(300_000);
    expect(await textsOf(call.from)).toHaveLength(1);
    expect(await callOf(call.from)).toMatchObject({ waiting: true, unread_count: 2 });
  });

  test('not to who was answered after all, opted out of texts, or where the location says nothing', async () => {
    await settings({ missed_call_text: 'Sorry!' });
    await comesOn(12345);
    const late = await ring();
    await late.status('completed');
    await late.leg('in-progress');
    const out = await ring();
    await api.post('/simulator/inbound', { from: out.from, to: downtown, content: 'STOP' });
    await out.dialed('no-answer', { CallStatus: 'completed' });
    await omega.tick(15_000);
    expect(await textsOf(late.from)).toEqual([]);
    const texts = await textsOf(out.from);
    expect(texts.at(-1)).toMatchObject({ direction: 'outbound', status: 'suppressed', reason: 'opted_out' });
    await settings({});
    const silent = await ring();
    await silent.dialed('no-answer', { CallStatus: 'completed' });
    await omega.tick(300_000);
    expect(await textsOf(silent.from)).toEqual([]);
  });
});

test('whatever is signed is answered with TwiML, kept, and gives no fault of ours', async () => {
  const call = await ring();
  const values = fc.constantFrom(
    ...[
      '',
      '\0',
      'a\0b',
      '\ud83d',
      '😀',
      '-1',
      '1e9',
      '9'.repeat(400),
      'x'.repeat(20_000),
      "'; drop table messages;--",
    ],
    ...[
      'client:b1001_s12345',
      'client:b1001_s99',
      'client:\0',
      downtown,
      call.from,
      '+1',
      '__proto__',
      '<Hangup/>',
    ],
    ...['completed', 'in-progress', 'no-answer', 'absent', 'Tue, 99 Foo 2026', `RE${'1'.repeat(32)}`],
  );
  const form = fc.dictionary(
    fc.constantFrom(
      ...[
        'From',
        'To',
        'CallStatus',
        'DialCallStatus',
        'DialCallDuration',
        'CallDuration',
        'Timestamp',
        'Direction',
      ],
      ...[
        'RecordingSid',
        'RecordingUrl',
        'RecordingStatus',
        'RecordingDuration',
        'client_id',
        'conversation_id',
      ],
      ...['ParentCallSid', '__proto__', 'constructor', '\0'],
    ),
    values,
    { maxKeys: 9 },
  );
  const where = fc.constantFrom(
    ...[
      '/voice-calls/twiml',
      '/voice-calls/dial-result',
      '/voice-calls/voicemail',
      '/voice-calls/recording-notice',
    ],
    ...['/twilio/voice/status', '/twilio/voice/recording'],
  );
  const place = fc.constantFrom(
    '',
    `?business_id=1001&call_sid=${call.CallSid}`,
    '?business_id=1001&call_sid=%00',
  );
  await fc.assert(
    fc.asyncProperty(where, place, form, async (path, query, fields) => {
      const posted = await postAsTwilio(omega, path + query, { ...fields, CallSid: newCallSid() });
      expect(posted.status).toBe(200);
    }),
    { numRuns: 150 },
  );
  const { body } = await omega.platform.get('/webhook-receipts?state=failed');
  const { body: kept } = await omega.platform.get('/webhook-receipts?state=kept');
  expect([...body.data, ...kept.data]).toEqual([]);
});

test('the simulator plays a client who calls and is missed', async () => {
  const number = '+12125550123';
  await omega.business({
    business_id: 1001,
    senders: [{ channel: 'voice', address: number, provider: 'simulator' }],
  });
  const from = newCaller();
  const answer = await api.post('/simulator/inbound', { channel: 'voice', from, to: number });
  expect(answer.status).toBe(201);
  expect(await callOf(from)).toMatchObject({ unread: true, waiting: true, call: { outcome: 'missed' } });
});

test('erasing the client takes the call’s recording and what it was read from with it', async () => {
  const call = await ring();
  const { client_id, message_id } = await callOf(call.from);
  await call.status('completed');
  expect((await api.call('DELETE', `/businesses/1001/clients/${client_id}`, {})).status).toBe(200);
  await call.status('completed');
  const { db } = omega.omega.database;
  const row = await db
    .selectFrom('messages')
    .select(['call', 'from_address'])
    .where('message_id', '=', message_id)
    .executeTakeFirstOrThrow();
  expect(row).toEqual({ call: null, from_address: null });
});
