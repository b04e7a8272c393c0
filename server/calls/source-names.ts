/** Each kind of webhook that Twilio posts about calls. */
export const sourceNames = [
  'twilio.voice.call',
  'twilio.voice.dial-result',
  'twilio.voice.voicemail',
  'twilio.voice.recording-notice',
  'twilio.voice.status',
  'twilio.voice.recording',
] as const;
export type CallSource = (typeof sourceNames)[number];
