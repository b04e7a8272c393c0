import { expect } from 'vitest';
import type { Client, RunningOmega } from './omega.ts';
import { downtown, newCallSid, postAsTwilio } from './twilio-calls.ts';
import { all, type Element } from './twiml.ts';

let callers = 0;
/** A number of nobody yet. */
export const newCaller = () => `+1202555${String(1000 + callers++)}`;

/** The studio of `callingLotus` seen from outside: its callers, and what became of their calls. */
export function callersOf(omega: RunningOmega, api: Client) {
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
    const { body: page } = await api.get(
      `/businesses/1001/conversations?client=${encodeURIComponent(phone)}`,
    );
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
    if (last_message.message_id === call.message_id)
      expect(last_message.call_outcome).toBe(call.call?.outcome);
    return { ...call, unread_count, waiting: waiting_since !== null };
  }

  return { comesOn, settings, ring, messagesOf, callOf };
}

/** What a caller hears, and whom the call rings. */
export const said = (twiml: Element) => all(twiml, 'Say').map(({ text }) => text);
export const rung = (twiml: Element) => all(twiml, 'Identity').map(({ text }) => text);
