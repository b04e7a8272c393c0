import { Type } from 'typebox';
import { operation, webhook } from './operation.ts';
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

const Address = (description: string) => Type.String({ minLength: 1, maxLength: 320, description });

/** Base64 makes four bytes of three; and room for the text, the HTML and their escapes. */
const mailBodyLimit = 38 * 1024 * 1024;

const Attachment = Exactly({
  filename: Type.String({
    minLength: 1,
    maxLength: 1024,
    description: 'Paths, invisible characters and reserved names are taken out of it.',
  }),
  content_type: Type.String({ minLength: 3, maxLength: 255, description: 'Such as `application/pdf`.' }),
  // Its length is bounded by the body's: counting the characters of 35 MB would hold up everybody.
  content: Type.String({ description: 'The bytes in base64 (RFC 4648, section 4).' }),
});

/** What a mail is, whether it is sent or only recorded. */
const mail = {
  business_id: Type.Optional(BusinessId),
  client_id: Type.Optional(ClientId),
  to: Type.Optional(Address("The client's address, exactly one. `client_id` or `to`, or both.")),
  from: Type.Optional(Address("One of the business's senders; chosen for the location when left out.")),
  location_id: Type.Optional(LocationId),
  text: Type.Optional(
    Type.String({ maxLength: 1_048_576, description: 'Up to 1 MB. `text` or `html`, or both.' }),
  ),
  html: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1_048_576,
      description: 'Up to 1 MB and 20,000 elements. Kept and sent as it is; made safe before it is shown.',
    }),
  ),
  cc: Type.Optional(Type.Array(Address('Exactly one address.'), { maxItems: 50 })),
  bcc: Type.Optional(
    Type.Array(Address('Exactly one address.'), {
      maxItems: 50,
      description: 'Staff see them; other recipients never do.',
    }),
  ),
  reply_to: Type.Optional(Address('Where answers go, exactly one; the sender when left out.')),
  attachments: Type.Optional(Type.Array(Attachment, { maxItems: 30, description: '25 MB in all, decoded.' })),
  sent_by: Type.Optional(StaffId),
  sender_type: Type.Optional(SenderType),
  external_ref: Type.Optional(ExternalRef),
  metadata: Type.Optional(Metadata),
  request_id: Type.Optional(RequestId),
};

const Subject = Type.String({
  minLength: 1,
  maxLength: 998,
  description: 'One line: a line break or control character is refused.',
});

const answer = {
  request_id: Type.String(),
  message_id: MessageId,
  conversation_id: ConversationId,
  client_id: ClientId,
  status: Status,
  reason: Type.Optional(Nullable(Type.String({ description: 'Why it is suppressed.' }))),
};

const exampleIds = {
  message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
  conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12',
};

export const queueEmail = operation({
  id: 'queueEmail',
  method: 'POST',
  path: '/email/queue',
  tag: 'email',
  summary: 'Queue email for sending and database recording',
  description:
    'By the time of the answer the message, its files, its conversation and its job are durable together. The text is derived from the HTML, or the HTML from the text, where only one is given. Each address is exactly one, and nothing in a field can add a header. A client who opted out: recorded as `suppressed` with a reason, never sent, still 202; one who opted out is left out of `cc` and `bcc` too.',
  auth: 'send',
  bucket: 'send',
  bodyLimit: mailBodyLimit,
  input: {
    body: Exactly({
      ...mail,
      subject: Subject,
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
      to: 'ana@example.com',
      subject: 'Your class tomorrow',
      html: '<p>See you at 9 tomorrow, Ana!</p>',
      attachments: [
        { filename: 'class.ics', content_type: 'text/calendar', content: 'QkVHSU46VkNBTEVOREFS' },
      ],
      request_id: 'confirmation-8841',
    },
    status: 202,
    answer: { request_id: 'confirmation-8841', ...exampleIds, client_id: 501, status: 'queued' },
  },
});

export const recordEmail = operation({
  id: 'recordEmail',
  method: 'POST',
  path: '/email/record',
  tag: 'email',
  summary: 'Record email message in database without sending',
  description:
    'Writes down a mail that another system sent or received; nothing is ever sent. The same `provider` and `provider_message_id` twice is one message. An inbound one counts as unread and reopens.',
  auth: 'send',
  bucket: 'send',
  bodyLimit: mailBodyLimit,
  input: {
    body: Exactly({
      ...mail,
      subject: Type.Optional(Subject),
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
      to: 'ana@example.com',
      direction: 'inbound',
      subject: 'Re: Your class tomorrow',
      text: 'Can I move to 10?',
      provider: 'postmark',
      provider_message_id: '883953f4-6105-42a2-a16a-77a8eac79483',
      occurred_at: '2026-11-21T18:04:05.000Z',
    },
    status: 201,
    answer: {
      request_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e10',
      ...exampleIds,
      client_id: 501,
      status: 'received',
    },
  },
});

export const updateEmailStatus = operation({
  id: 'updateEmailStatus',
  method: 'POST',
  path: '/email/status',
  tag: 'email',
  summary: 'Update email delivery status',
  description:
    'Names the mail by `message_id`, or by `provider` and `provider_message_id`. The status only moves forward, save that a late bounce turns `delivered` into `undelivered`: a late or repeated update is kept in the timeline and answers `applied: false`.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: Type.Optional(BusinessId),
      message_id: Type.Optional(MessageId),
      provider: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' })),
      provider_message_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      status: OneOf(['queued', 'sending', 'sent', 'delivered', 'read', 'undelivered', 'failed']),
      error_code: Type.Optional(
        Type.String({ maxLength: 64, description: 'Best an enhanced status code (RFC 3463): `5.1.1`.' }),
      ),
      error_message: Type.Optional(Type.String({ maxLength: 1000 })),
      occurred_at: Type.Optional(Time('When the carrier says it happened.')),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Type.Object({ message_id: MessageId, status: Status, applied: Type.Boolean() }) },
  errors: ['not_found'],
  example: {
    body: { message_id: exampleIds.message_id, status: 'undelivered', error_code: '5.1.1' },
    status: 200,
    answer: { message_id: exampleIds.message_id, status: 'undelivered', applied: true },
  },
});

export const downloadAttachment = operation({
  id: 'downloadAttachment',
  method: 'GET',
  path: '/businesses/{business_id}/messages/{message_id}/attachments/{attachment_id}',
  tag: 'email',
  summary: 'Download a file of a mail',
  description:
    "The file's bytes, always as a download and never under its own media type: a browser neither shows nor runs it. Beyond the source.",
  auth: 'read',
  bucket: 'read',
  bytes: 'application/octet-stream',
  input: {
    params: Type.Object({
      business_id: BusinessId,
      message_id: MessageId,
      attachment_id: Type.String({ format: 'uuid', description: "One of the message's `attachments`." }),
    }),
  },
  output: { 200: Type.Unsafe<Uint8Array>({ description: 'The bytes.' }) },
  errors: ['not_found'],
  example: {
    params: {
      business_id: 1001,
      message_id: exampleIds.message_id,
      attachment_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e13',
    },
    status: 200,
    answer: 'BEGIN:VCALENDAR',
  },
});

/** Whose webhooks are understood. */
export const mailProviders = ['sendgrid', 'mailgun', 'postmark', 'ses', 'resend'] as const;
export type MailProvider = (typeof mailProviders)[number];

const Provider = OneOf(mailProviders, { description: 'The mail provider.' });

export const receiveEmailWebhook = webhook({
  id: 'receiveEmailWebhook',
  path: '/email/webhooks/{provider}',
  tag: 'email',
  summary: 'Handle external email provider webhooks',
  description:
    "Delivery events, bounces, complaints, unsubscribes, opens, clicks and inbound mail of SendGrid, Mailgun, Postmark, SES (through SNS) and Resend. The signature (of Postmark and of SendGrid's inbound mail: the basic credentials) is checked before anything is believed; what came is kept before it is read; each event counts once, in any order. `?business_id=` in the URL says whose account to try first. 2xx for whatever is kept, also when it is of an unknown kind or cannot be read. An unknown provider is 404.",
  // A mail of 35 MB, as Postmark posts it: in base64 within JSON.
  bodyLimit: 50 * 1024 * 1024,
  webhook: ['application/json', 'multipart/form-data', 'application/x-www-form-urlencoded', 'text/plain'],
  input: { params: Type.Object({ provider: Type.String({ maxLength: 64 }) }) },
  output: { 200: Type.String({ description: 'Kept.' }) },
  example: {
    params: { provider: 'postmark' },
    body: '{"RecordType":"Delivery","MessageID":"883953f4-6105-42a2-a16a-77a8eac79483","Recipient":"ana@example.com"}',
    status: 200,
    answer: '',
  },
});

export const listEmailWebhooks = operation({
  id: 'listEmailWebhooks',
  method: 'GET',
  path: '/businesses/{business_id}/email/webhooks',
  tag: 'email',
  summary: 'List the URLs to give to the mail providers',
  description:
    'What to enter at each provider, for this business alone. A URL may hold a password: hand it to nobody else. Beyond the source.',
  auth: 'manage',
  bucket: 'read',
  input: { params: Type.Object({ business_id: BusinessId }) },
  output: {
    200: Type.Object({
      data: Type.Array(
        Type.Object({
          provider: Provider,
          events_url: Type.String({ description: 'For delivery events.' }),
          inbound_url: Type.String({ description: 'For inbound mail.' }),
          connected: Type.Boolean({
            description: 'The business has given its credentials with this provider.',
          }),
        }),
      ),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    status: 200,
    answer: {
      data: [
        {
          provider: 'sendgrid',
          events_url: 'https://omega.example/omega/email/webhooks/sendgrid?business_id=1001',
          inbound_url:
            'https://1001:c2lnbmF0dXJlLW9mLW9uZQ@omega.example/omega/email/webhooks/sendgrid?business_id=1001',
          connected: true,
        },
      ],
    },
  },
});
