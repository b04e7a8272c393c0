import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, Nullable, OneOf, Page, pageQuery, RequestId, Time } from './shapes.ts';

export const receiptStates = ['kept', 'applied', 'ignored', 'unreadable', 'quarantined', 'failed'] as const;
export type ReceiptState = (typeof receiptStates)[number];

const ReceiptId = Type.String({ format: 'uuid', description: 'The receipt (UUIDv7).' });
const State = OneOf(receiptStates, {
  description:
    'kept: believed, to be applied; applied; ignored: of a kind that does nothing here; unreadable: signed, and bad bytes; quarantined: its signature does not fit, so it has had no effect; failed: given up after several tries.',
});

const receipt = {
  receipt_id: ReceiptId,
  source: Type.String({ description: 'Which webhook: `twilio.sms.incoming`, `email.sendgrid`.' }),
  provider: Type.String(),
  business_id: Nullable(BusinessId),
  state: State,
  note: Nullable(Type.String({ description: 'Why it is in this state, and what to do about it.' })),
  method: Type.String(),
  url: Type.String({ description: 'What the carrier called, by the public URL of the configuration.' }),
  size: Type.Integer({ description: "The body's bytes." }),
  times: Type.Integer({ description: 'How often the same came while in quarantine.' }),
  received_at: Time('When it came.'),
  settled_at: Nullable(Time('When it came into this state.')),
};
const Receipt = Type.Object(receipt);

const example = {
  receipt_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e41',
  source: 'twilio.sms.status',
  provider: 'twilio',
  business_id: 1001,
  state: 'quarantined',
  note: 'The signature fits no token of the account.',
  method: 'POST',
  url: 'https://omega.example/omega/twilio/sms/status',
  size: 214,
  times: 1,
  received_at: '2026-11-21T18:04:05.000Z',
  settled_at: '2026-11-21T18:04:05.000Z',
};

const ofReceipt = Type.Object({ receipt_id: ReceiptId });

export const listWebhookReceipts = operation({
  id: 'listWebhookReceipts',
  method: 'GET',
  path: '/webhook-receipts',
  tag: 'webhook-receipts',
  summary: 'List what carriers posted',
  description:
    'Newest first, over all businesses. `state=quarantined` shows what was refused for its signature: after mending the credential, replay it.',
  auth: 'platform',
  bucket: 'read',
  input: {
    query: Exactly({
      ...pageQuery,
      state: Type.Optional(State),
      provider: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      business_id: Type.Optional(BusinessId),
    }),
  },
  output: { 200: Page(Receipt) },
  errors: [],
  example: {
    query: { state: 'quarantined' },
    status: 200,
    answer: { data: [example], next_cursor: null, has_more: false },
  },
});

export const getWebhookReceipt = operation({
  id: 'getWebhookReceipt',
  method: 'GET',
  path: '/webhook-receipts/{receipt_id}',
  tag: 'webhook-receipts',
  summary: 'Show what a carrier posted',
  description: 'With its headers (credentials left out) and its body, byte for byte.',
  auth: 'platform',
  bucket: 'read',
  input: { params: ofReceipt },
  output: {
    200: Type.Object({
      ...receipt,
      headers: Type.Record(Type.String(), Type.String()),
      body: Nullable(Type.String({ description: 'Where the bytes are UTF-8 text.' })),
      body_base64: Type.String(),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { receipt_id: example.receipt_id },
    status: 200,
    answer: {
      ...example,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': 'c2lnbmF0dXJl' },
      body: 'MessageSid=SM1&MessageStatus=sent',
      body_base64: 'TWVzc2FnZVNpZD1TTTEmTWVzc2FnZVN0YXR1cz1zZW50',
    },
  },
});

export const replayWebhookReceipt = operation({
  id: 'replayWebhookReceipt',
  method: 'POST',
  path: '/webhook-receipts/{receipt_id}/replay',
  tag: 'webhook-receipts',
  summary: 'Judge and apply a receipt again',
  description:
    'Checks the signature with the credentials of now, and applies what it holds when it fits. What was applied before is not applied twice.',
  auth: 'platform',
  bucket: 'send',
  input: { params: ofReceipt, body: Exactly({ request_id: Type.Optional(RequestId) }) },
  output: { 200: Type.Object({ receipt_id: ReceiptId, state: State, note: Nullable(Type.String()) }) },
  errors: ['not_found'],
  example: {
    params: { receipt_id: example.receipt_id },
    body: {},
    status: 200,
    answer: { receipt_id: example.receipt_id, state: 'applied', note: null },
  },
});
