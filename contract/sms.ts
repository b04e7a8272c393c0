import { Type } from 'typebox';
import { operation } from './operation.ts';
import {
  BusinessId,
  CancelOnReply,
  Category,
  ClientId,
  ConversationId,
  Exactly,
  ExpectedLastMessageId,
  ExternalRef,
  LocationId,
  MessageId,
  Metadata,
  Nullable,
  OneOf,
  RequestId,
  SenderType,
  StaffId,
  Status,
  Time,
} from './shapes.ts';

/** What a text is, whether it is sent or only recorded. */
const text = {
  business_id: Type.Optional(BusinessId),
  client_id: Type.Optional(ClientId),
  to: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: "The client's phone, E.164 or national. `client_id` or `to`, or both.",
    }),
  ),
  from: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: "One of the business's senders; chosen for the location when left out.",
    }),
  ),
  location_id: Type.Optional(LocationId),
  content: Type.String({
    minLength: 1,
    maxLength: 1600,
    description: 'Up to 1,600 characters and 10 segments.',
  }),
  media_urls: Type.Optional(
    Type.Array(Type.String({ format: 'uri', pattern: '^https?://', maxLength: 2048 }), {
      maxItems: 10,
      description: 'Makes it an MMS.',
    }),
  ),
  sent_by: Type.Optional(StaffId),
  sender_type: Type.Optional(SenderType),
  external_ref: Type.Optional(ExternalRef),
  metadata: Type.Optional(Metadata),
  request_id: Type.Optional(RequestId),
};

const answer = {
  request_id: Type.String(),
  message_id: MessageId,
  conversation_id: ConversationId,
  client_id: ClientId,
  status: Status,
  reason: Type.Optional(
    Nullable(
      Type.String({ description: 'Why it is suppressed, or `window` where quiet hours hold it back.' }),
    ),
  ),
  segments: Type.Integer(),
  encoding: OneOf(['GSM-7', 'UCS-2']),
};

const exampleIds = {
  message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
  conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12',
};

export const queueSms = operation({
  id: 'queueSms',
  method: 'POST',
  path: '/sms/queue',
  tag: 'sms',
  summary: 'Queue SMS for sending and database recording',
  description:
    'By the time of the answer the message, its conversation and its job are durable together. A client who opted out: recorded as `suppressed` with a reason, never sent, still 202.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      ...text,
      channel: Type.Optional(
        OneOf(['sms', 'whatsapp'], {
          default: 'sms',
          description: 'The same by WhatsApp, where the business has a sender for it. Beyond the source.',
        }),
      ),
      category: Type.Optional(Category),
      send_at: Type.Optional(Time('Not before then; at most 400 days ahead.')),
      cancel_on_reply: Type.Optional(CancelOnReply),
      expected_last_message_id: Type.Optional(ExpectedLastMessageId),
    }),
  },
  output: { 202: Type.Object(answer) },
  errors: ['not_found', 'no_sender', 'no_address', 'conversation_changed'],
  example: {
    body: {
      business_id: 1001,
      client_id: 501,
      to: '+12025550123',
      content: 'See you at 9 tomorrow, Ana!',
      request_id: 'reminder-8841',
    },
    status: 202,
    answer: {
      request_id: 'reminder-8841',
      ...exampleIds,
      client_id: 501,
      status: 'queued',
      segments: 1,
      encoding: 'GSM-7',
    },
  },
});

export const recordSms = operation({
  id: 'recordSms',
  method: 'POST',
  path: '/sms/record',
  tag: 'sms',
  summary: 'Record SMS message in database without sending',
  description:
    'Writes down a text that another system sent or received; nothing is ever sent. The same `provider` and `provider_message_id` twice is one message. An inbound one counts as unread and reopens; its keywords (STOP, START) count.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      ...text,
      direction: OneOf(['inbound', 'outbound']),
      status: Type.Optional(Status),
      provider: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' })),
      provider_message_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      occurred_at: Type.Optional(Time('When it happened; now when left out.')),
    }),
  },
  output: { 201: Type.Object(answer) },
  errors: ['not_found', 'no_address'],
  example: {
    body: {
      business_id: 1001,
      client_id: 501,
      to: '+12025550123',
      direction: 'inbound',
      content: 'Can I move to 10?',
      provider: 'twilio',
      provider_message_id: 'SM0123456789abcdef0123456789abcdef',
      occurred_at: '2026-11-21T18:04:05.000Z',
    },
    status: 201,
    answer: {
      request_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e10',
      ...exampleIds,
      client_id: 501,
      status: 'received',
      segments: 1,
      encoding: 'GSM-7',
    },
  },
});

export const updateSmsStatus = operation({
  id: 'updateSmsStatus',
  method: 'POST',
  path: '/sms/status',
  tag: 'sms',
  summary: 'Update SMS delivery status',
  description:
    'Names the message by `message_id`, or by `provider` and `provider_message_id`. The status only moves forward: a late or repeated update is kept in the timeline and answers `applied: false`.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: Type.Optional(BusinessId),
      message_id: Type.Optional(MessageId),
      provider: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' })),
      provider_message_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      status: OneOf(['queued', 'sending', 'sent', 'delivered', 'read', 'undelivered', 'failed']),
      error_code: Type.Optional(Type.String({ maxLength: 64 })),
      error_message: Type.Optional(Type.String({ maxLength: 1000 })),
      occurred_at: Type.Optional(Time('When the carrier says it happened.')),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Type.Object({ message_id: MessageId, status: Status, applied: Type.Boolean() }) },
  errors: ['not_found'],
  example: {
    body: { message_id: exampleIds.message_id, status: 'delivered' },
    status: 200,
    answer: { message_id: exampleIds.message_id, status: 'delivered', applied: true },
  },
});
