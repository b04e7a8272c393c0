import { type Binding, own } from '../core/http/index.ts';
import { answerWebhook, type Receipts } from '../receipts/index.ts';
import { emptyTwiml, incomingSource, statusSource } from './webhooks.ts';

/** Answered once it is committed: what Twilio is told is done, is. */
export function twilioRoutes(options: { receipts: Receipts; publicUrl: string }): Binding[] {
  const otherwise = { status: 200, type: 'text/xml', body: emptyTwiml };
  return [
    own('receiveTwilioSms', (call) => answerWebhook(call, options, incomingSource, otherwise) as never),
    own('updateTwilioSmsStatus', (call) => answerWebhook(call, options, statusSource, otherwise) as never),
  ];
}
