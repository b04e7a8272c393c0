import VoiceResponse from 'twilio/lib/twiml/VoiceResponse.js';
import type { VoiceSettings } from '../../contract/index.ts';
import { tryAgain } from '../twilio/index.ts';

/** A call that our TwiML is about: what its callbacks must tell us again. */
export interface CallPlace {
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
  businessId: number;
  /** The first leg's id. */
  callSid: string;
}

/** Seconds of a voicemail at most, and of silence that ends it. */
const longestVoicemailS = 180;
const silenceS = 5;
/** Seconds that a client's phone rings when staff call: longer, and their own voicemail has long answered. */
const ringClientS = 45;
/** Seconds of a call at most: a line that nobody hung up costs by the minute. */
const longestCallS = 4 * 3_600;

/** Twilio's callbacks of a leg's progress. */
const progress: ('initiated' | 'ringing' | 'answered' | 'completed')[] = [
  'initiated',
  'ringing',
  'answered',
  'completed',
];

/** Signed with everything that it names: so a callback may say what it is about. */
function urlOf(place: CallPlace, path: string, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    business_id: String(place.businessId),
    call_sid: place.callSid,
    ...more,
  });
  return `${place.apiUrl}${path}?${query}`;
}

type Words = Pick<VoiceSettings, 'language'>;

function say(response: VoiceResponse, { language }: Words, text: string | null): void {
  // The SDK lists the languages of today; Twilio takes those of tomorrow too.
  if (text !== null) response.say({ language: language as never }, text);
}

function recordingOf(place: CallPlace, settings: VoiceSettings) {
  if (!settings.record) return {};
  return {
    record: 'record-from-answer-dual' as const,
    recordingStatusCallback: urlOf(place, '/twilio/voice/recording', { kind: 'conversation' }) + tryAgain,
    recordingStatusCallbackEvent: ['completed' as const],
  };
}

/** Rings the staff, all at once; the first to answer has the call. */
export function ringStaff(
  place: CallPlace,
  settings: VoiceSettings,
  identities: string[],
  about: Record<string, string>,
): string {
  const response = new VoiceResponse();
  say(response, settings, settings.greeting);
  if (settings.record) say(response, settings, settings.recording_notice);
  const dial = response.dial({
    action: urlOf(place, '/voice-calls/dial-result'),
    timeout: settings.ring_seconds,
    timeLimit: longestCallS,
    answerOnBridge: true,
    ...recordingOf(place, settings),
  });
  for (const identity of identities) {
    const client = dial.client({
      statusCallback: urlOf(place, '/twilio/voice/status') + tryAgain,
      statusCallbackEvent: progress,
    });
    client.identity(identity);
    for (const [name, value] of Object.entries(about)) client.parameter({ name, value });
  }
  return response.toString();
}

/** @param greeting said first, where the caller has not heard one yet */
export function takeVoicemail(place: CallPlace, settings: VoiceSettings, greeting: string | null): string {
  const response = new VoiceResponse();
  say(response, settings, greeting);
  if (settings.voicemail) {
    say(response, settings, settings.voicemail_greeting);
    response.record({
      action: urlOf(place, '/voice-calls/voicemail'),
      maxLength: longestVoicemailS,
      timeout: silenceS,
      playBeep: true,
      recordingStatusCallback: urlOf(place, '/twilio/voice/recording', { kind: 'voicemail' }) + tryAgain,
      recordingStatusCallbackEvent: ['completed'],
    });
  } else if (greeting === null) {
    say(response, settings, 'Nobody can take your call just now. Please try again later.');
  }
  // Whoever said nothing comes here.
  response.hangup();
  return response.toString();
}

/** Dials a client for the staff member whose browser called. */
export function dialClient(
  place: CallPlace,
  settings: VoiceSettings,
  call: { from: string; to: string },
): string {
  const response = new VoiceResponse();
  const dial = response.dial({
    callerId: call.from,
    action: urlOf(place, '/voice-calls/dial-result'),
    timeout: ringClientS,
    timeLimit: longestCallS,
    answerOnBridge: true,
    ...recordingOf(place, settings),
  });
  dial.number(
    {
      statusCallback: urlOf(place, '/twilio/voice/status') + tryAgain,
      statusCallbackEvent: progress,
      ...(settings.record && { url: urlOf(place, '/voice-calls/recording-notice') }),
    },
    call.to,
  );
  return response.toString();
}

export function sayNotice(settings: VoiceSettings): string {
  const response = new VoiceResponse();
  say(response, settings, settings.recording_notice);
  return response.toString();
}

/** Says why, to staff or to a caller, and hangs up. */
export function sayAndHangUp(text: string, words: Words = { language: 'en-US' }): string {
  const response = new VoiceResponse();
  say(response, words, text);
  response.hangup();
  return response.toString();
}

export function hangUp(): string {
  const response = new VoiceResponse();
  response.hangup();
  return response.toString();
}

/** Costs the caller nothing. */
export function reject(): string {
  const response = new VoiceResponse();
  response.reject({ reason: 'rejected' });
  return response.toString();
}

/** For a callback that takes no instructions. */
export function nothingToDo(): string {
  return new VoiceResponse().toString();
}
