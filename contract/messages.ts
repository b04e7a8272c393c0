import { type Static, Type } from 'typebox';
import { exampleMessage } from './conversations.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  ConversationId,
  Direction,
  Exactly,
  ExternalRef,
  LocationId,
  Message,
  MessageId,
  Metadata,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  RequestId,
  SenderType,
  StaffId,
  Status,
  Time,
} from './shapes.ts';

const ofMessage = Type.Object({ message_id: MessageId });
const business = { business_id: Type.Optional(BusinessId) };
const { message_id, conversation_id } = exampleMessage;

/** A message that happened elsewhere. Each field is optional here; `channel` and `direction` are required of an item. */
const item = {
  channel: Channel,
  direction: Direction,
  client_id: Type.Optional(ClientId),
  from: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 320,
      description: "Whose message it is: inbound the client's address, outbound the business's.",
    }),
  ),
  to: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 320,
      description: "Whom it goes to: inbound the business's address, outbound the client's.",
    }),
  ),
  location_id: Type.Optional(LocationId),
  content: Type.Optional(
    Type.String({
      maxLength: 100_000,
      description: 'May be empty with `media_urls` and for calls. A note: 1-10,000 characters.',
    }),
  ),
  subject: Type.Optional(Type.String({ maxLength: 998 })),
  media_urls: Type.Optional(
    Type.Array(Type.String({ format: 'uri', pattern: '^https?://', maxLength: 2048 }), { maxItems: 10 }),
  ),
  status: Type.Optional(Status),
  provider: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' })),
  provider_message_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  occurred_at: Type.Optional(Time('When it happened; now when left out.')),
  sent_by: Type.Optional(StaffId),
  sender_type: Type.Optional(SenderType),
  external_ref: Type.Optional(ExternalRef),
  metadata: Type.Optional(Metadata),
  item_id: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: "The host's name for the item, given back." }),
  ),
};

/** One item of `POST /messages`; the client by `client_id`, or by the client's side of `from` and `to`, or both. */
export const RecordedItem = Exactly(item);
export type RecordedItem = Static<typeof RecordedItem>;

const ItemResult = Type.Object({
  index: Type.Integer({ minimum: 0, description: "The item's place in the request." }),
  item_id: Type.Optional(Type.String()),
  status: Type.Integer({ description: '201, or what the item alone would have answered.' }),
  message_id: Type.Optional(MessageId),
  conversation_id: Type.Optional(ConversationId),
  client_id: Type.Optional(ClientId),
  message_status: Type.Optional(Status),
  duplicate: Type.Optional(
    Type.Boolean({ description: "The provider's message was known already; this is the one that is there." }),
  ),
  error: Type.Optional(
    Type.Object({
      code: Type.String(),
      detail: Type.String(),
      errors: Type.Optional(
        Type.Array(Type.Object({ path: Type.String(), message: Type.String(), code: Type.String() })),
      ),
    }),
  ),
});
export type ItemResult = Static<typeof ItemResult>;

export const recordMessages = operation({
  id: 'recordMessages',
  method: 'POST',
  path: '/messages',
  tag: 'messages',
  summary: 'Process and record messages from any supported channel',
  description:
    'One message as the body itself, or up to 1,000 in `messages`. Each goes the way of a message from a carrier (client, keywords, conversation, unread, events) and answers for itself: what is wrong with one leaves the others alone. A single one that is wrong is refused as a whole. Nothing is ever sent. The same `provider` and `provider_message_id` twice is one message. A note (`channel: note`, `direction: internal`) goes into the current conversation of `client_id`.',
  auth: 'send',
  bucket: 'send',
  bodyLimit: 5 * 1024 * 1024,
  itemsOwn: 'messages',
  input: {
    body: Exactly({
      ...business,
      messages: Type.Optional(
        Type.Array(
          // Says what an item is, and lets every item in: a wrong one is answered in its own result.
          Type.Unsafe<unknown>({ anyOf: [RecordedItem, {}] }),
          { minItems: 1, maxItems: 1000 },
        ),
      ),
      ...item,
      channel: Type.Optional(Channel),
      direction: Type.Optional(Direction),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      request_id: Type.String(),
      results: Type.Array(ItemResult, { description: 'One an item, in their order.' }),
      accepted: Type.Integer(),
      failed: Type.Integer(),
    }),
  },
  errors: ['not_found'],
  example: {
    body: {
      business_id: 1001,
      messages: [
        { channel: 'whatsapp', direction: 'inbound', from: '+12025550123', content: 'Is 10 free?' },
        { channel: 'sms', direction: 'outbound', content: 'Yes!' },
      ],
      request_id: 'sync-77',
    },
    status: 200,
    answer: {
      request_id: 'sync-77',
      results: [
        {
          index: 0,
          status: 201,
          message_id,
          conversation_id,
          client_id: 501,
          message_status: 'received',
        },
        {
          index: 1,
          status: 422,
          error: {
            code: 'invalid_parameters',
            detail: 'Name the client: client_id or to.',
            errors: [{ path: 'client_id', message: 'is required (or `to`)', code: 'required' }],
          },
        },
      ],
      accepted: 1,
      failed: 1,
    },
  },
});

export const retryMessages = operation({
  id: 'retryMessages',
  method: 'POST',
  path: '/messages/retry',
  tag: 'messages',
  summary: 'Retry Processing of Failed Messages',
  description:
    'Each `failed` or `undelivered` message that the filters leave gets a new attempt, the longest failed first; the attempt is of the same message. Those that failed for good (opted out, invalid address, …), and those that the carrier may have after all (`no_answer`), are skipped unless `force`. Consent is asked again when it is sent: who opted out gets nothing, forced or not. Recorded messages are never sent.',
  auth: 'send',
  bucket: 'send',
  requestIdIsFilter: true,
  input: {
    body: Exactly({
      ...business,
      message_ids: Type.Optional(Type.Array(MessageId, { minItems: 1, maxItems: 1000 })),
      channel: Type.Optional(Channel),
      reason: Type.Optional(
        Type.String({ minLength: 1, maxLength: 64, description: "Our word, as in a message's `reason`." }),
      ),
      request_id: Type.Optional(
        Type.String({
          pattern: '^[A-Za-z0-9._:-]{1,128}$',
          description:
            'A filter here: only the messages that this earlier request wrote. To make the retry itself repeatable, send the header `Idempotency-Key`.',
        }),
      ),
      since: Type.Optional(Time('Only what failed then or later.')),
      until: Type.Optional(Time('Only what failed before then.')),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 1000,
          description: 'Messages retried at most; 100, or with `message_ids` 1,000, unless told.',
        }),
      ),
      force: Type.Optional(Type.Boolean({ description: 'Also those that failed for good.' })),
    }),
  },
  output: {
    200: Type.Object({
      retried: Type.Integer(),
      message_ids: Type.Array(MessageId, { description: 'The retried ones.' }),
      skipped: Type.Array(
        Type.Object({
          message_id: MessageId,
          reason: Type.String({
            description:
              'Why: the reason it failed for, or `not_found`, `not_failed`, `recorded`, `erased` (its content is gone), `not_matching` the other filters, `limit`. Without `message_ids`, the latest 100.',
          }),
        }),
      ),
      has_more: Type.Boolean({ description: 'More match than `limit`: call again.' }),
    }),
  },
  errors: [],
  example: {
    body: { business_id: 1001, channel: 'sms', reason: 'account_config' },
    status: 200,
    answer: { retried: 1, message_ids: [message_id], skipped: [], has_more: false },
  },
});

export const retryMessage = operation({
  id: 'retryMessage',
  method: 'POST',
  path: '/messages/{message_id}/retry',
  tag: 'messages',
  summary: 'Retry Processing of Failed Messages',
  description:
    'A new attempt of one failed message. 409 where it has not failed, and, unless `force`, where it failed for good or the carrier may have it; the detail says what to do instead.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofMessage,
    body: Exactly({
      ...business,
      force: Type.Optional(Type.Boolean()),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 202: Type.Object({ message_id: MessageId, status: Status }) },
  errors: ['not_found', 'conflict'],
  example: {
    params: { message_id },
    body: {},
    status: 202,
    answer: { message_id, status: 'queued' },
  },
});

const byRequest = {
  method: 'GET',
  tag: 'messages',
  summary: 'Get messages by request ID',
  description:
    'Every message that the request wrote, in the order written, each with its status and last error. A request that wrote none is an empty list; an unknown one is 404.',
  auth: 'read',
  bucket: 'read',
  output: { 200: Page(Message) },
  errors: ['not_found'],
} as const;
const requestInPath = Type.String({ pattern: '^[A-Za-z0-9._:-]{1,128}$', description: 'The request.' });

export const getMessagesByRequest = operation({
  ...byRequest,
  id: 'getMessagesByRequest',
  path: '/messages/requests/{request_id}',
  input: {
    params: Type.Object({ request_id: requestInPath }),
    query: Exactly({ ...business, ...pageQuery }),
  },
  example: {
    params: { request_id: 'reminder-8841' },
    status: 200,
    answer: { data: [exampleMessage], next_cursor: null, has_more: false },
  },
});

export const getBusinessMessagesByRequest = operation({
  ...byRequest,
  id: 'getBusinessMessagesByRequest',
  path: '/businesses/{business_id}/messages/requests/{request_id}',
  input: {
    params: Type.Object({ business_id: BusinessId, request_id: requestInPath }),
    query: Exactly({ ...pageQuery }),
  },
  example: {
    params: { business_id: 1001, request_id: 'reminder-8841' },
    status: 200,
    answer: { data: [exampleMessage], next_cursor: null, has_more: false },
  },
});

export const getMessageTimeline = operation({
  id: 'getMessageTimeline',
  method: 'GET',
  path: '/messages/{message_id}/timeline',
  tag: 'messages',
  summary: 'Get everything that happened to a message',
  description:
    'The request that wrote it, what was decided, each attempt, and all that the carrier and others reported, applied or not, in order: why did she not get it?',
  auth: 'read',
  bucket: 'read',
  input: { params: ofMessage, query: Exactly(business) },
  output: {
    200: Type.Object({
      message: Message,
      request: Nullable(
        Type.Object({
          request_id: Type.String(),
          operation: Type.String({ description: 'By its `operationId`.' }),
          at: Time('When it came.'),
        }),
      ),
      attempts: Type.Array(
        Type.Object({
          attempt_no: Type.Integer(),
          state: OneOf(['claimed', 'accepted', 'refused', 'unknown', 'absent'], {
            description:
              'claimed: being handed over. unknown: nobody knows yet whether the carrier has it. absent: it has not.',
          }),
          provider: Type.String(),
          provider_message_id: Nullable(Type.String()),
          error_code: Nullable(Type.String()),
          error_message: Nullable(Type.String()),
          claimed_at: Time('When it was handed over.'),
          settled_at: Nullable(Time('When its outcome was known.')),
        }),
      ),
      entries: Type.Array(
        Type.Object({
          at: Time('When Omega wrote it down.'),
          kind: Type.String({
            description: 'For example `queued`, `attempt.accepted`, `status.delivered`, `retried`.',
          }),
          data: Type.Record(Type.String(), Type.Unknown()),
        }),
        { description: 'The first 500.' },
      ),
      has_more: Type.Boolean({ description: 'There are entries after these.' }),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { message_id },
    status: 200,
    answer: {
      message: exampleMessage,
      request: { request_id: 'reminder-8841', operation: 'queueSms', at: '2026-11-21T18:00:00.000Z' },
      attempts: [
        {
          attempt_no: 1,
          state: 'accepted',
          provider: 'simulator',
          provider_message_id: 'SM0123456789abcdef0123456789abcdef',
          error_code: null,
          error_message: null,
          claimed_at: '2026-11-21T18:00:00.100Z',
          settled_at: '2026-11-21T18:00:00.120Z',
        },
      ],
      entries: [
        { at: '2026-11-21T18:00:00.000Z', kind: 'queued', data: { sender: '+15005550006' } },
        { at: '2026-11-21T18:00:01.030Z', kind: 'status.delivered', data: { applied: true } },
      ],
      has_more: false,
    },
  },
});
