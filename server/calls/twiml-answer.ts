import type { AppliedWebhook, WebhookAnswer } from '../receipts/index.ts';

/** TwiML as Twilio takes it (https://www.twilio.com/docs/voice/twiml#twilio-understands-mime-types). */
export function twimlAnswer(body: string): WebhookAnswer {
  return { status: 200, type: 'text/xml; charset=utf-8', body };
}

export function answered(twiml: string): AppliedWebhook & { state: 'applied' } {
  return { state: 'applied', answer: twimlAnswer(twiml) };
}
