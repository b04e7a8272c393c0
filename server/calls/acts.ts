import type { AppliedWebhook } from '../receipts/index.ts';
import {
  afterDial,
  afterVoicemail,
  beforeRecording,
  type CallWebhook,
  takeRecording,
  takeStatus,
} from './callbacks.ts';
import { isClient } from './identity.ts';
import { takeIncoming } from './incoming.ts';
import { takeOutgoing } from './outgoing.ts';
import type { CallParts } from './parts.ts';
import type { CallSource } from './source-names.ts';
import { nothingToDo, sayAndHangUp } from './twiml.ts';
import { twimlAnswer } from './twiml-answer.ts';

/** What is done with what Twilio posts about calls. */
export const acts: Record<CallSource, (parts: CallParts, given: CallWebhook) => Promise<AppliedWebhook>> = {
  'twilio.voice.call': (parts, { form, context }) =>
    isClient(form.From) ? takeOutgoing(parts, form, context) : takeIncoming(parts, form, context),
  'twilio.voice.dial-result': afterDial,
  'twilio.voice.voicemail': afterVoicemail,
  'twilio.voice.recording-notice': beforeRecording,
  'twilio.voice.status': takeStatus,
  'twilio.voice.recording': takeRecording,
};

/** For what can be neither read nor done just now: a caller must not hear "an application error has occurred". */
export const sorry = twimlAnswer(sayAndHangUp('We cannot take your call just now. Please try again later.'));

export const silence = twimlAnswer(nothingToDo());
