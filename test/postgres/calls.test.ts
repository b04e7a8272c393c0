import { afterAll, beforeAll, expect, test } from 'vitest';
import { atOnce, type Pair, startPair, tally } from '../support/pair.ts';
import { callingLotus, downtown, newCallSid, postAsTwilio, publicUrl } from '../support/twilio-calls.ts';
import { all, verbs } from '../support/twiml.ts';

let pair: Pair;

beforeAll(async () => {
  pair = await startPair({ publicUrl });
  await pair.one.business({ business_id: 1001, ...callingLotus });
  await pair.apis[0].get('/voice-calls/token?staff_id=12345');
});
afterAll(() => pair.close());

test('one call, told many times at once by two servers’ webhooks, is one message of one client, counted once', async () => {
  const from = '+12025550142';
  const CallSid = newCallSid();
  const about = { CallSid, From: from, To: downtown, Direction: 'inbound' };
  const omegas = [pair.one, pair.two];
  const rings = await atOnce(8, pair.apis, (_, i) =>
    postAsTwilio(omegas[i % 2]!, '/voice-calls/twiml', { ...about, CallStatus: 'ringing' }),
  );
  expect(tally(rings)).toEqual({ 200: 8 });
  for (const { twiml } of rings) expect(verbs(twiml)).toEqual(['Dial']);
  const leg = all(rings[0]!.twiml, 'Client')[0]!.attributes.statusCallback!;
  const action = all(rings[0]!.twiml, 'Dial')[0]!.attributes.action!;
  const answered = { CallSid: newCallSid(), ParentCallSid: CallSid, From: from, To: 'client:b1001_s12345' };
  const told = await atOnce(16, pair.apis, (_, i) => {
    const omega = omegas[i % 2]!;
    const turn = i % 4;
    if (turn === 0) return postAsTwilio(omega, leg, { ...answered, CallStatus: 'in-progress' });
    if (turn === 1)
      return postAsTwilio(omega, leg, { ...answered, CallStatus: 'completed', CallDuration: '9' });
    if (turn === 2)
      return postAsTwilio(omega, action, { ...about, DialCallStatus: 'completed', DialCallDuration: '9' });
    return postAsTwilio(omega, '/twilio/voice/status', { ...about, CallStatus: 'completed' });
  });
  expect(tally(told)).toEqual({ 200: 16 });
  const calls = await pair.rows(
    `select m.unread, m.call ->> 'duration_s' as duration_s, m.call ->> 'answered_by' as answered_by,
       c.unread_count, c.waiting_since from messages m join conversations c using (business_id, conversation_id)
     where m.provider_message_id = $1`,
    [CallSid],
  );
  const once = { unread: false, duration_s: '9', answered_by: '12345', unread_count: 0, waiting_since: null };
  expect(calls).toEqual([once]);
  const clients = await pair.rows(`select client_id from client_addresses where address = $1`, [from]);
  expect(clients).toHaveLength(1);
  const receipts = await pair.rows(`select distinct state from webhook_receipts`);
  expect(receipts).toEqual([{ state: 'applied' }]);
});
