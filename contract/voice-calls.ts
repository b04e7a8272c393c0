import { type Static, Type } from 'typebox';
import { operation, webhook } from './operation.ts';
import { BusinessId, Exactly, LocationId, Nullable, OneOf, RequestId, Time } from './shapes.ts';

const form = ['application/x-www-form-urlencoded'] as const;
const twiml = (inner: string) => `<?xml version="1.0" encoding="UTF-8"?><Response>${inner}</Response>`;
const accountSid = 'AC00000000000000000000000000000001';
const callSid = 'CA00000000000000000000000000000001';
const incoming = `AccountSid=${accountSid}&CallSid=${callSid}&From=%2B12025550123&To=%2B15005550006&CallStatus=ringing&Direction=inbound`;

export const getVoiceToken = operation({
  id: 'getVoiceToken',
  method: 'GET',
  path: '/voice-calls/token',
  tag: 'voice-calls',
  summary: 'Get Token',
  description:
    "A Twilio access token with which a browser (Twilio's Voice SDK) calls and is called as one staff member of one business. It holds for an hour at most, and no longer than the session it was asked with; ask again on the SDK's event `tokenWillExpire`. While it holds, the staff member is on, and calls to their locations ring them. Take it with the session of the staff member, or with a key and `staff_id`. Needs `providers.twilio` with `api_key_sid`, `api_key_secret` and `twiml_app_sid`.",
  auth: 'send',
  bucket: 'send',
  input: {
    query: Exactly({
      business_id: Type.Optional(BusinessId),
      staff_id: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: Number.MAX_SAFE_INTEGER,
          description: 'Who calls; required with a key. A session is its own staff member.',
        }),
      ),
    }),
  },
  output: {
    200: Type.Object({
      token: Type.String({
        description: 'For `new Device(token)`. A credential: keep it out of logs and URLs.',
      }),
      identity: Type.String({ description: 'Whom it is bound to: `b<business_id>_s<staff_id>`.' }),
      expires_at: Time('Until when it holds.'),
    }),
  },
  errors: ['not_found', 'not_configured'],
  example: {
    query: { staff_id: 12345 },
    status: 200,
    answer: {
      token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImN0eSI6InR3aWxpby1mcGE7dj0xIn0.e30.c2lnbmF0dXJl',
      identity: 'b1001_s12345',
      expires_at: '2026-11-21T19:04:05.000Z',
    },
  },
});

const calls = {
  tag: 'voice-calls',
  webhook: form,
  input: {},
  output: { 200: Type.String({ description: 'TwiML.' }) },
  bytes: 'text/xml',
} as const;

export const handleTwimlCall = webhook({
  ...calls,
  id: 'handleTwimlCall',
  path: '/voice-calls/twiml',
  summary: 'Handle Twiml Call',
  description:
    "Twilio asks what to do with a call: the URL of the TwiML App (calls from a browser) and of each number (calls from clients). The answer is TwiML. From a browser (`From=client:<identity>`) it dials `To`, or the phone of `client_id` or of `conversation_id`, from a voice sender of the identity's business; what is no real phone number, premium-rate, or abroad and no client's, is not dialed. A client's call is greeted, rings the staff who are on at the number's location, and ends in voicemail; closed hours lead straight there.",
  example: {
    body: incoming,
    status: 200,
    answer: twiml('<Dial timeout="20"><Client><Identity>b1001_s12345</Identity></Client></Dial>'),
  },
});

export const handleDialResult = webhook({
  ...calls,
  id: 'handleDialResult',
  path: '/voice-calls/dial-result',
  summary: 'Go on after the ringing',
  description:
    'What `<Dial action>` of our TwiML names: Twilio tells who was reached, and asks what comes next: voicemail where nobody of the staff answered, else the end. Beyond the source.',
  example: {
    body: `AccountSid=${accountSid}&CallSid=${callSid}&DialCallStatus=no-answer`,
    status: 200,
    answer: twiml('<Say>Please leave a message after the tone.</Say><Record maxLength="180"/>'),
  },
});

export const handleVoicemail = webhook({
  ...calls,
  id: 'handleVoicemail',
  path: '/voice-calls/voicemail',
  summary: 'Take a voicemail',
  description:
    'What `<Record action>` of our TwiML names: the caller has spoken; the call ends. Beyond the source.',
  example: {
    body: `AccountSid=${accountSid}&CallSid=${callSid}&RecordingSid=RE00000000000000000000000000000001&RecordingDuration=12`,
    status: 200,
    answer: twiml('<Hangup/>'),
  },
});

export const handleRecordingNotice = webhook({
  ...calls,
  id: 'handleRecordingNotice',
  path: '/voice-calls/recording-notice',
  summary: 'Say that a call is recorded',
  description:
    'What `<Number url>` of our TwiML names: a client who picks up a recorded call hears the notice before they are connected. Beyond the source.',
  example: {
    body: `AccountSid=${accountSid}&CallSid=${callSid}`,
    status: 200,
    answer: twiml('<Say>This call is recorded.</Say>'),
  },
});

export const updateTwilioVoiceStatus = webhook({
  ...calls,
  id: 'updateTwilioVoiceStatus',
  path: '/twilio/voice/status',
  tag: 'twilio',
  summary: 'Update voice call status in DB',
  description:
    "Twilio's status callback of a call or of one of its legs: `initiated`, `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `canceled`, `failed`. Duplicates and any order come to the same. Each call is one message of channel `voice`.",
  example: { body: `${incoming}&CallDuration=31`, status: 200, answer: twiml('') },
});

export const updateTwilioVoiceRecording = webhook({
  ...calls,
  id: 'updateTwilioVoiceRecording',
  path: '/twilio/voice/recording',
  tag: 'twilio',
  summary: 'Take note of a recording',
  description:
    "Twilio's recording status callback, of conversations and of voicemails: the recording is fetched through the message (`call.recording`). Beyond the source.",
  example: {
    body: `AccountSid=${accountSid}&CallSid=${callSid}&RecordingSid=RE00000000000000000000000000000001&RecordingStatus=completed&RecordingDuration=12`,
    status: 200,
    answer: twiml(''),
  },
});

const TimeOfDay = (pattern: string, description: string) => Type.String({ pattern, description });
const OpenSpan = Exactly({
  opens: TimeOfDay('^([01][0-9]|2[0-3]):[0-5][0-9]$', '`HH:MM` on the clock at the location.'),
  closes: TimeOfDay(
    '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$',
    '`HH:MM`, up to `24:00`. Not later than `opens`: on the next day.',
  ),
});
const Day = Type.Array(OpenSpan, { maxItems: 6 });
const week = Type.Object({
  monday: Day,
  tuesday: Day,
  wednesday: Day,
  thursday: Day,
  friday: Day,
  saturday: Day,
  sunday: Day,
});
const Hours = Exactly(Type.Partial(week).properties, {
  description:
    'When calls ring, by the day of the week; a day that is left out is closed. In the time zone of the location, summer time included. Null: always.',
});
const Spoken = (description: string) => Type.String({ minLength: 1, maxLength: 1000, description });

/** Each field and what holds where it was never set. */
const settings = {
  hours: Nullable(Hours),
  closed_on: Type.Array(Type.String({ format: 'date' }), {
    maxItems: 400,
    description: 'Days on which it is closed, whatever `hours` say: `2026-12-25`.',
  }),
  ring: OneOf(['staff_on', 'all_staff'], {
    description:
      'Whom a call rings, ten at most: the active staff of the location who hold a voice token that still counts (`staff_on`), or all active staff of the location (`all_staff`: for phones that are woken by a push).',
  }),
  ring_seconds: Type.Integer({ minimum: 5, maximum: 120, description: 'How long it rings.' }),
  greeting: Nullable(Spoken('Said to a caller before it rings.')),
  closed_greeting: Nullable(Spoken('Said in place of `greeting` while it is closed.')),
  voicemail: Type.Boolean({ description: 'Whether a caller whom nobody answers may leave a message.' }),
  voicemail_greeting: Spoken('Said before the tone.'),
  record: Type.Boolean({ description: 'Whether conversations are recorded. Ask a lawyer first.' }),
  recording_notice: Spoken(
    'Said to the client before a recorded conversation, whoever called. The law of many places asks for it.',
  ),
  missed_call_text: Nullable(
    Type.String({
      minLength: 1,
      maxLength: 480,
      description:
        'Texted to a caller whom nobody answered, once an hour at most; goes the way of any text (consent, sender). Null: none.',
    }),
  ),
  language: Type.String({
    pattern: '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$',
    maxLength: 35,
    description: 'Of what is said: `en-US`.',
  }),
};
export const VoiceSettings = Type.Object(settings);
export type VoiceSettings = Static<typeof VoiceSettings>;

const ofLocation = Type.Object({ business_id: BusinessId, location_id: LocationId });
const exampleSettings: VoiceSettings = {
  hours: { monday: [{ opens: '09:00', closes: '18:00' }], saturday: [{ opens: '10:00', closes: '14:00' }] },
  closed_on: ['2026-12-25'],
  ring: 'staff_on',
  ring_seconds: 20,
  greeting: 'Thank you for calling Lotus Yoga.',
  closed_greeting: 'Lotus Yoga is closed just now.',
  voicemail: true,
  voicemail_greeting: 'Please leave a message after the tone.',
  record: false,
  recording_notice: 'This call is recorded.',
  missed_call_text: 'Sorry we missed your call! Write to us here.',
  language: 'en-US',
};

export const getVoiceSettings = operation({
  id: 'getVoiceSettings',
  method: 'GET',
  path: '/businesses/{business_id}/locations/{location_id}/voice',
  tag: 'voice-calls',
  summary: 'Show how a location takes calls',
  description: 'With what holds where nothing was set. Beyond the source.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofLocation },
  output: { 200: Type.Object({ location_id: LocationId, ...settings, open_now: Type.Boolean() }) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, location_id: 1 },
    status: 200,
    answer: { location_id: 1, ...exampleSettings, open_now: true },
  },
});

export const setVoiceSettings = operation({
  id: 'setVoiceSettings',
  method: 'PUT',
  path: '/businesses/{business_id}/locations/{location_id}/voice',
  tag: 'voice-calls',
  summary: 'Set how a location takes calls',
  description:
    'What is left out is as if it had never been set. Calls to a number that has no location go by those of the only location, where the business has one; else it is always open, and every staff member who is on is rung. Beyond the source.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofLocation,
    body: Exactly({
      ...Type.Partial(VoiceSettings).properties,
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Type.Object({ location_id: LocationId, ...settings, open_now: Type.Boolean() }) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, location_id: 1 },
    body: exampleSettings,
    status: 200,
    answer: { location_id: 1, ...exampleSettings, open_now: true },
  },
});
