import { Type } from 'typebox';
import { exampleMessage } from './conversations.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  CancelOnReply,
  Category,
  ClientId,
  ConversationId,
  Exactly,
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

const ofMessage = Type.Object({ message_id: MessageId });
const business = { business_id: Type.Optional(BusinessId) };
const { message_id, conversation_id } = exampleMessage;

const consentEntry = Type.Object({
  consent_id: Type.String(),
  state: OneOf(['granted', 'revoked']),
  source: Type.String({ description: 'For example `keyword`, `carrier`, `api`.' }),
  at: Time('When it was said.'),
  evidence: Type.Record(Type.String(), Type.Unknown()),
});

export const preflightMessage = operation({
  id: 'preflightMessage',
  method: 'POST',
  path: '/messages/preflight',
  tag: 'messages',
  summary: 'Try a message without sending or keeping it',
  description:
    'Takes what `POST /sms/queue` takes, and is decided by the same code, which is then undone: nothing is written, sent or counted, and `request_id` has no effect. What the send would refuse is refused here with the same error.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      ...business,
      channel: Type.Optional(OneOf(['sms'], { default: 'sms' })),
      client_id: Type.Optional(ClientId),
      to: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      from: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      location_id: Type.Optional(LocationId),
      content: Type.String({ minLength: 1, maxLength: 1600 }),
      media_urls: Type.Optional(
        Type.Array(Type.String({ format: 'uri', pattern: '^https?://', maxLength: 2048 }), { maxItems: 10 }),
      ),
      sent_by: Type.Optional(StaffId),
      sender_type: Type.Optional(SenderType),
      category: Type.Optional(Category),
      send_at: Type.Optional(Time('As for the send.')),
      cancel_on_reply: Type.Optional(CancelOnReply),
      expected_last_message_id: Type.Optional(MessageId),
      external_ref: Type.Optional(ExternalRef),
      metadata: Type.Optional(Metadata),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      would_send: Type.Boolean(),
      status: Status,
      reason: Nullable(
        Type.String({
          description: 'Why it would be suppressed, or `window` where quiet hours hold it back.',
        }),
      ),
      send_at: Nullable(Time('When it would be due; null where it would not be sent.')),
      to: Type.String({ description: 'As it is kept: E.164.' }),
      sender: Type.Object({ address: Type.String(), provider: Type.String() }),
      client: Type.Object({
        client_id: Nullable(ClientId),
        is_new: Type.Boolean({ description: 'The send would make the client.' }),
      }),
      conversation_id: Nullable(ConversationId),
      segments: Type.Integer(),
      encoding: OneOf(['GSM-7', 'UCS-2']),
      units: Type.Integer({ description: 'Septets (GSM-7) or UTF-16 code units (UCS-2).' }),
      offending_characters: Type.Array(
        Type.Object({
          character: Type.String(),
          index: Type.Integer({ description: 'Where it first stands, in UTF-16 code units.' }),
        }),
        { description: 'For which the whole text takes UCS-2.' },
      ),
      consent: Type.Object({
        allowed: Type.Boolean(),
        entry: Nullable(consentEntry),
      }),
      hours: Type.Object({
        applies: Type.Boolean({ description: 'Quiet hours are for marketing.' }),
        allowed: Type.Boolean(),
        time_zone: Type.String(),
        local_time: Type.String({ description: '`HH:MM` at the client when it would be due.' }),
        next_allowed_at: Time('The first moment from then on at which it may go.'),
      }),
      duplicates: Type.Array(
        Type.Object({ message_id: MessageId, status: Status, created_at: Time('When it was written.') }),
        { description: 'The same words to this client in the last 10 minutes, the newest 10.' },
      ),
    }),
  },
  errors: ['not_found', 'no_sender', 'no_address', 'conversation_changed'],
  example: {
    body: { business_id: 1001, client_id: 501, content: 'See you at 9 tomorrow, Ana!' },
    status: 200,
    answer: {
      would_send: true,
      status: 'queued',
      reason: null,
      send_at: '2026-11-21T18:00:00.000Z',
      to: '+12025550123',
      sender: { address: '+15005550006', provider: 'simulator' },
      client: { client_id: 501, is_new: false },
      conversation_id,
      segments: 1,
      encoding: 'GSM-7',
      units: 27,
      offending_characters: [],
      consent: { allowed: true, entry: null },
      hours: {
        applies: false,
        allowed: true,
        time_zone: 'America/New_York',
        local_time: '13:00',
        next_allowed_at: '2026-11-21T18:00:00.000Z',
      },
      duplicates: [],
    },
  },
});

export const cancelMessage = operation({
  id: 'cancelMessage',
  method: 'POST',
  path: '/messages/{message_id}/cancel',
  tag: 'messages',
  summary: 'Cancel a message that was not sent yet',
  description:
    'Only while it waits: `scheduled`, `queued`, or refused by the carrier for now and to be tried again. 409 once the carrier may have it, or it is over.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofMessage,
    body: Exactly({ ...business, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: Type.Object({ message_id: MessageId, status: Status }) },
  errors: ['not_found', 'conflict'],
  example: { params: { message_id }, body: {}, status: 200, answer: { message_id, status: 'canceled' } },
});

export const rescheduleMessage = operation({
  id: 'rescheduleMessage',
  method: 'POST',
  path: '/messages/{message_id}/reschedule',
  tag: 'messages',
  summary: 'Move a scheduled message to another time',
  description:
    'Only while it is `scheduled` (409). A time that has passed sends it now; marketing that falls into quiet hours goes when they end, which the answer tells.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofMessage,
    body: Exactly({
      ...business,
      send_at: Time('Not before then; at most 400 days ahead.'),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({ message_id: MessageId, status: Status, send_at: Time('When it is due.') }),
  },
  errors: ['not_found', 'conflict'],
  example: {
    params: { message_id },
    body: { send_at: '2026-11-22T14:00:00.000Z' },
    status: 200,
    answer: { message_id, status: 'scheduled', send_at: '2026-11-22T14:00:00.000Z' },
  },
});

export const updateExternalRef = operation({
  id: 'updateExternalRef',
  method: 'POST',
  path: '/external-refs/{type}/{id}',
  tag: 'messages',
  summary: 'Move or cancel what waits for an appointment',
  description:
    'Everything of that `external_ref` that waits, in one step. `moved`: each is due by as much later or earlier as `starts_at` differs from the one it was sent with; what is then overdue goes now, unless the appointment itself has passed: then it is canceled. With `shift: false` only `starts_at` is noted. `canceled`: all are canceled. Safe to repeat.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: Type.Object({
      type: Type.String({ minLength: 1, maxLength: 64 }),
      id: Type.String({ minLength: 1, maxLength: 128 }),
    }),
    body: Exactly({
      ...business,
      action: OneOf(['moved', 'canceled']),
      starts_at: Type.Optional(Time('When it starts now. Required with `moved`.')),
      shift: Type.Optional(Type.Boolean({ default: true })),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      messages: Type.Array(
        Type.Object({
          message_id: MessageId,
          outcome: OneOf(['moved', 'canceled', 'kept'], {
            description: 'kept: its time stays (`shift: false`, no `starts_at` or `send_at` to reckon from).',
          }),
          status: Status,
          send_at: Nullable(Time('When it is due.')),
        }),
      ),
      has_more: Type.Boolean({ description: 'More than 1,000 waited: call again, as a new request.' }),
    }),
  },
  errors: [],
  example: {
    params: { type: 'appointment', id: '8841' },
    body: { action: 'moved', starts_at: '2026-11-23T14:00:00.000Z' },
    status: 200,
    answer: {
      messages: [{ message_id, outcome: 'moved', status: 'scheduled', send_at: '2026-11-22T14:00:00.000Z' }],
      has_more: false,
    },
  },
});
