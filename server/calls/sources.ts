import type { AppliedWebhook, WebhookSource } from '../receipts/index.ts';
import { createTwilioVerify, readTwilioForm } from '../twilio/index.ts';
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
import { sayAndHangUp } from './twiml.ts';
import { twimlAnswer } from './twiml-answer.ts';

type Apply = (parts: CallParts, given: CallWebhook) => Promise<AppliedWebhook>;

/** What Twilio posts about calls, and what is done with it. */
const applies = {
  'twilio.voice.call': (parts, { form, context }) =>
    isClient(form.From) ? takeOutgoing(parts, form, context) : takeIncoming(parts, form, context),
  'twilio.voice.dial-result': afterDial,
  'twilio.voice.voicemail': afterVoicemail,
  'twilio.voice.recording-notice': beforeRecording,
  'twilio.voice.status': takeStatus,
  'twilio.voice.recording': takeRecording,
} satisfies Record<string, Apply>;

export type CallSource = keyof typeof applies;

/** For what can be neither read nor done just now: a caller must not hear "an application error has occurred". */
export const sorry = twimlAnswer(sayAndHangUp('We cannot take your call just now. Please try again later.'));

export function callSources(parts: CallParts): WebhookSource[] {
  const verify = createTwilioVerify(parts);
  return Object.entries(applies).map(([name, apply]: [string, Apply]) => ({
    name,
    provider: 'twilio',
    proofHeaders: ['x-twilio-signature'],
    verify,
    async apply(webhook, context) {
      const form = readTwilioForm(webhook);
      if (!/^CA[0-9a-f]{32}$/i.test(form.CallSid ?? ''))
        return { state: 'unreadable', note: 'It names no CallSid.', answer: sorry };
      return apply(parts, { form, webhook, context });
    },
  }));
}
