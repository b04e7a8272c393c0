import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callersOf, newCaller, rung, said } from '../support/callers.ts';
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
import { all, verbs } from '../support/twiml.ts';
import vectors from '../vectors/twilio_webhook_params.json' with { type: 'json' };

let omega: RunningOmega;
let api: Client;
let callers: ReturnType<typeof callersOf>;

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
  callers = callersOf(omega, api);
});
afterAll(async () => {
  await omega.close();
  twilio.close();
});

describe('handleTwimlCall: a client calls', () => {
  test('told with every parameter that Twilio posts, is taken as with the few that count', async () => {
    const form = { ...vectors.incoming_call, CallSid: newCallSid(), From: newCaller(), To: downtown };
    const { status, twiml } = await postAsTwilio(omega, '/voice-calls/twiml', {
      ...form,
      AccountSid: twilioAccount.account_sid,
    });
    expect([status, verbs(twiml)]).toEqual([200, ['Say', 'Record', 'Hangup']]);
    expect(await callers.callOf(form.From)).toMatchObject({
      direction: 'inbound',
      call: { outcome: 'missed' },
    });
  });

  test('with nobody on: voicemail, and a provisional client’s call that is unread and waiting', async () => {
    const call = await callers.ring();
    expect(verbs(call.twiml)).toEqual(['Say', 'Record', 'Hangup']);
    expect(await callers.callOf(call.from)).toMatchObject({
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
    await callers.settings({ greeting: 'Thank you for calling <Lotus> & co.', ring_seconds: 25 });
    await callers.comesOn(12345);
    await callers.comesOn(12346);
    const call = await callers.ring();
    expect(verbs(call.twiml)).toEqual(['Say', 'Dial']);
    expect(said(call.twiml)).toEqual(['Thank you for calling <Lotus> & co.']);
    // Noah works at the harbor.
    expect(rung(call.twiml)).toEqual(['b1001_s12345']);
    expect(all(call.twiml, 'Dial')[0]!.attributes).toMatchObject({ timeout: '25', answerOnBridge: 'true' });
    const { message_id, conversation_id, client_id } = await callers.callOf(call.from);
    const parameters = all(call.twiml, 'Parameter').map(({ attributes: { name, value } }) => [name, value]);
    expect(Object.fromEntries(parameters)).toEqual({
      message_id,
      conversation_id,
      client_id: String(client_id),
    });
    expect(rung((await callers.ring(anywhere)).twiml).sort()).toEqual(['b1001_s12345', 'b1001_s12346']);
    await callers.settings({});
  });

  test('a token that ran out, a session that ended and staff who left are not rung; all_staff rings who is not on', async () => {
    const { body } = await api.post('/authentication/token', { staff_id: 12346 });
    await omega.tick(3_600_000);
    const asNoah = { authorization: `Bearer ${body.token}` };
    await omega.as(null).get('/voice-calls/token', asNoah);
    expect(rung((await callers.ring(anywhere)).twiml)).toEqual(['b1001_s12346']);
    await omega.as(null).post('/session/expire', {}, asNoah);
    expect(rung((await callers.ring(anywhere)).twiml)).toEqual([]);
    await callers.settings({ ring: 'all_staff' });
    expect(rung((await callers.ring()).twiml)).toEqual(['b1001_s12345']);
    await callers.settings({});
    await callers.comesOn(12345);
    const { db } = omega.omega.database;
    const active = (is: boolean) =>
      db.updateTable('staffs').set({ active: is }).where('staff_id', '=', 12345).execute();
    await active(false);
    expect(rung((await callers.ring()).twiml)).toEqual([]);
    await active(true);
  });

  test('answered: read, nobody waits, with who took it and how long they talked', async () => {
    await callers.comesOn(12345);
    const call = await callers.ring();
    expect(await callers.callOf(call.from)).toMatchObject({ unread: true, call: { outcome: 'ringing' } });
    await call.leg('in-progress');
    expect(await callers.callOf(call.from)).toMatchObject({
      unread: false,
      unread_count: 0,
      waiting: false,
      call: { outcome: 'in_progress', answered_by: 12345 },
    });
    await omega.tick(61_000);
    expect(verbs((await call.dialed('completed', { DialCallDuration: '61' })).twiml)).toEqual(['Hangup']);
    await call.leg('completed', undefined, { CallDuration: '61' });
    await call.status('completed', { CallDuration: '75' });
    expect(await callers.callOf(call.from)).toMatchObject({
      unread: false,
      provider_status: 'completed',
      call: { outcome: 'completed', answered_by: 12345, duration_s: 61 },
    });
  });

  test('handleDialResult, handleVoicemail: not answered: voicemail, which the call keeps; it stays unread and waiting', async () => {
    await callers.comesOn(12345);
    const call = await callers.ring();
    await call.leg('no-answer');
    const next = await call.dialed('no-answer');
    expect(verbs(next.twiml)).toEqual(['Say', 'Record', 'Hangup']);
    expect((await callers.callOf(call.from)).call.outcome).toBe('missed');
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
    expect(await callers.callOf(call.from)).toMatchObject({
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
    const { message_id, attachments, media_urls } = await callers.callOf(call.from);
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
    await callers.comesOn(12345);
    const call = await callers.ring();
    const after = await call.dialed('no-answer', { CallStatus: 'completed' });
    expect(verbs(after.twiml)).toEqual(['Hangup']);
    expect(await callers.callOf(call.from)).toMatchObject({ unread: true, call: { outcome: 'missed' } });
  });

  test('a call that Omega never answered is told by the number’s callback alone, and missed', async () => {
    const from = newCaller();
    const form = { CallSid: newCallSid(), From: from, To: downtown, CallStatus: 'no-answer' };
    await postAsTwilio(omega, '/twilio/voice/status', form);
    expect(await callers.callOf(from)).toMatchObject({ unread: true, call: { outcome: 'missed' } });
  });

  test('withheld numbers are one client, whom nobody can call or text', async () => {
    await callers.settings({ missed_call_text: 'Sorry!' });
    for (const from of ['anonymous', '+266696687', 'Restricted', '', 'sip:x@y.example']) {
      const { answer } = await callers.ring(downtown, from);
      expect(answer.status).toBe(200);
    }
    await omega.tick(300_000);
    const { conversation, messages } = await callers.messagesOf('anonymous');
    expect(messages.map((one: { channel: string }) => one.channel)).toEqual(Array(5).fill('voice'));
    expect(conversation.client.provisional).toBe(true);
    await callers.settings({});
  });

  test('a number that is no voice sender of the account is rejected', async () => {
    const { twiml } = await callers.ring('+12125559999');
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
    const call = await callers.ring();
    const before = await callers.callOf(call.from);
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
    expect(await callers.callOf(call.from)).toEqual(before);
  });

  test('a form without a CallSid is kept as unreadable, and the caller hears an apology', async () => {
    const { twiml } = await postAsTwilio(omega, '/voice-calls/twiml', { From: newCaller(), To: downtown });
    expect(said(twiml)[0]).toMatch(/try again later/);
  });
});

describe('hours', () => {
  const weekdays = { tuesday: [{ opens: '09:00', closes: '18:00' }] };

  test('closed, a caller hears so and may leave a message, and nobody is rung', async () => {
    await callers.comesOn(12345);
    // It is Tuesday, noon in New York, and the harbor has hours of its own.
    const set = await callers.settings({
      hours: weekdays,
      closed_on: ['2026-03-10'],
      closed_greeting: 'We are closed.',
    });
    expect(set.body).toMatchObject({ open_now: false });
    const closed = await callers.ring();
    expect(verbs(closed.twiml)).toEqual(['Say', 'Say', 'Record', 'Hangup']);
    expect(said(closed.twiml)[0]).toBe('We are closed.');
    expect((await callers.settings({ hours: weekdays })).body).toMatchObject({
      open_now: true,
      closed_on: [],
    });
    expect(rung((await callers.ring()).twiml)).toEqual(['b1001_s12345']);
    expect((await callers.settings({ hours: {} })).body).toMatchObject({ open_now: false });
    await callers.settings({});
  });

  test('getVoiceSettings, setVoiceSettings: settings are read back, are the location’s own, and are refused where they are no times', async () => {
    const shown = await api.get('/businesses/1001/locations/2/voice');
    expect(shown.body).toMatchObject({ location_id: 2, hours: null, open_now: true, voicemail: true });
    expectProblem(
      await callers.settings({ hours: { monday: [{ opens: '9', closes: '25:00' }] } }),
      422,
      'invalid_parameters',
    );
    expect(faultsOf(await callers.settings({ hours: { funday: [] } }))).toContain(
      'hours.funday unknown_field',
    );
    expectProblem(await callers.settings({}, 99), 404, 'not_found');
    expectProblem(await api.get('/businesses/1001/locations/99/voice'), 404, 'not_found');
  });

  test('without voicemail a caller hears that nobody can answer', async () => {
    await callers.settings({ voicemail: false, hours: {} });
    const { twiml } = await callers.ring();
    expect(verbs(twiml)).toEqual(['Say', 'Hangup']);
    await callers.settings({});
  });
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
  expect(await callers.callOf(from)).toMatchObject({
    unread: true,
    waiting: true,
    call: { outcome: 'missed' },
  });
});

test('erasing the client takes the call’s recording and what it was read from with it', async () => {
  const call = await callers.ring();
  const { client_id, message_id } = await callers.callOf(call.from);
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
