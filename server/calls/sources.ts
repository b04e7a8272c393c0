import { storable } from '../core/storable.ts';
import type { WebhookSource } from '../receipts/index.ts';
import { createTwilioVerify, readTwilioForm } from '../twilio/index.ts';
import { isCallSid } from './call-form.ts';
import type { CallParts } from './parts.ts';
import { sourceNames } from './source-names.ts';

/** What Twilio posts about calls: https://www.twilio.com/docs/voice/twiml#request-parameters */
export function callSources(parts: CallParts): WebhookSource[] {
  const verify = createTwilioVerify(parts);
  return sourceNames.map((name) => ({
    name,
    provider: 'twilio',
    proofHeaders: ['x-twilio-signature'],
    verify,
    async apply(webhook, context) {
      // Loaded with the first call: what makes TwiML and knows all numbering plans would add 0.1 s to each start.
      const { acts, sorry } = await import('./acts.ts');
      const form = storable(readTwilioForm(webhook));
      if (!isCallSid(form.CallSid))
        return { state: 'unreadable', note: 'It names no CallSid.', answer: sorry };
      return acts[name](parts, { form, webhook, context });
    },
  }));
}
