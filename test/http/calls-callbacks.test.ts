import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../server/core/log.ts';
import { createCarrierEvents } from '../../server/messages/index.ts';
import { callersOf, newCaller } from '../support/callers.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { callingLotus, downtown, newCallSid, postAsTwilio, publicUrl } from '../support/twilio-calls.ts';
import { all } from '../support/twiml.ts';

let omega: RunningOmega;
let api: Client;
let callers: ReturnType<typeof callersOf>;

beforeAll(async () => {
  omega = await startOmega({ publicUrl });
  ({ api } = await omega.business({ business_id: 1001, ...callingLotus }));
  callers = callersOf(omega, api);
});
afterAll(() => omega.close());

describe('updateTwilioVoiceStatus, updateTwilioVoiceRecording: callbacks of a call', () => {
  test('come to the same in any order, twice each', async () => {
    await callers.comesOn(12345);
    const reference = await callers.ring();
    type Call = Awaited<ReturnType<typeof callers.ring>>;
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
    const expected = shape(await callers.callOf(reference.from));
    expect(expected).toMatchObject({ unread: false, call: { outcome: 'completed', duration_s: 40 } });
    for (const order of [
      [5, 4, 3, 2, 1, 0],
      [2, 5, 0, 4, 1, 3],
      [4, 1, 5, 3, 0, 2],
    ]) {
      const call = await callers.ring();
      for (const at of order) await Promise.all([tellings[at]!(call), tellings[at]!(call)]);
      expect(shape(await callers.callOf(call.from)), String(order)).toEqual(expected);
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
    await callers.comesOn(12345);
    const known = await callers.ring();
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
    await callers.ring(downtown, from, CallSid);
    expect(await callers.callOf(from)).toMatchObject({ unread: true, call: { outcome: 'ringing' } });
    const { database, queue, secrets } = omega.omega;
    await createCarrierEvents({
      ...{ db: database.db, queue, secrets, clock: omega.clock },
      log: createLog({ level: 'fatal', pretty: false }),
    }).resume();
    expect(await callers.callOf(from)).toMatchObject({
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
    await callers.comesOn(12345);
    const call = await callers.ring();
    const other = { account_sid: `AC${'9'.repeat(32)}`, auth_token: 'of the other' };
    const url = all(call.twiml, 'Client')[0]!.attributes.statusCallback!;
    const form = { CallSid: newCallSid(), To: 'client:b1001_s12345', CallStatus: 'in-progress' };
    expect((await postAsTwilio(omega, url, form, { account: other })).status).toBe(403);
    const theirs = url.replace('business_id=1001', 'business_id=2002');
    expect((await postAsTwilio(omega, theirs, form, { account: other })).status).toBe(200);
    expect((await callers.callOf(call.from)).call.outcome).toBe('ringing');
  });

  test('make events that tell what became of the call', async () => {
    await callers.comesOn(12345);
    const call = await callers.ring();
    await call.leg('in-progress');
    await call.leg('completed', undefined, { CallDuration: '5' });
    const { message_id } = await callers.callOf(call.from);
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

describe('a missed call is answered by a text', () => {
  const textsOf = async (phone: string) =>
    (await callers.messagesOf(phone)).messages.filter((one: { channel: string }) => one.channel === 'sms');

  test('when the location says so: from the number called, once an hour, and the client still waits', async () => {
    await callers.settings({ missed_call_text: 'Sorry we missed you! Write to us here.', hours: {} });
    const call = await callers.ring();
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
    const again = await callers.ring(downtown, call.from);
    await again.status('completed');
    await omega.tick(300_000);
    expect(await textsOf(call.from)).toHaveLength(1);
    expect(await callers.callOf(call.from)).toMatchObject({ waiting: true, unread_count: 2 });
  });

  test('not to who was answered after all, opted out of texts, or where the location says nothing', async () => {
    await callers.settings({ missed_call_text: 'Sorry!' });
    await callers.comesOn(12345);
    const late = await callers.ring();
    await late.status('completed');
    await late.leg('in-progress');
    const out = await callers.ring();
    await api.post('/simulator/inbound', { from: out.from, to: downtown, content: 'STOP' });
    await out.dialed('no-answer', { CallStatus: 'completed' });
    await omega.tick(15_000);
    expect(await textsOf(late.from)).toEqual([]);
    const texts = await textsOf(out.from);
    expect(texts.at(-1)).toMatchObject({ direction: 'outbound', status: 'suppressed', reason: 'opted_out' });
    await callers.settings({});
    const silent = await callers.ring();
    await silent.dialed('no-answer', { CallStatus: 'completed' });
    await omega.tick(300_000);
    expect(await textsOf(silent.from)).toEqual([]);
  });
});

test('whatever is signed is answered with TwiML, kept, and gives no fault of ours', async () => {
  const call = await callers.ring();
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
