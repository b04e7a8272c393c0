import { Type } from 'typebox';
import { webhook } from './operation.ts';

const form = ['application/x-www-form-urlencoded'] as const;
const TwiML = Type.Unsafe<string>({ description: 'TwiML: nothing is said in return.' });
const exampleTwiML = '<?xml version="1.0" encoding="UTF-8"?><Response/>';

export const receiveTwilioSms = webhook({
  id: 'receiveTwilioSms',
  path: '/twilio/sms/incoming',
  tag: 'twilio',
  summary: 'Process incoming SMS replies via Twilio webhook',
  description:
    'SMS, MMS and WhatsApp. Signed with an auth token of the account (`X-Twilio-Signature`) over the public URL. The business is found by the number, the messaging service and the account; pictures are fetched afterwards and become `attachments`. Repeats are harmless.',
  webhook: form,
  bytes: 'text/xml',
  input: {},
  output: { 200: TwiML },
  example: {
    body: 'MessageSid=SM00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&From=%2B12025550123&To=%2B15005550006&Body=Can+I+move+to+10%3F&NumMedia=0',
    status: 200,
    answer: exampleTwiML,
  },
});

export const updateTwilioSmsStatus = webhook({
  id: 'updateTwilioSmsStatus',
  path: '/twilio/sms/status',
  tag: 'twilio',
  summary: 'Process SMS delivery status updates from Twilio',
  description:
    'The `StatusCallback` of each message that Omega sends; its query names the message, so it counts also before Twilio has answered the send. Any order and repetition is harmless.',
  webhook: form,
  bytes: 'text/xml',
  input: {},
  output: { 200: TwiML },
  example: {
    body: 'MessageSid=SM00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&MessageStatus=delivered',
    status: 200,
    answer: exampleTwiML,
  },
});
