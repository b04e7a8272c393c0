import { Type } from 'typebox';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  Conversation,
  ConversationId,
  ConversationStatus,
  Direction,
  Exactly,
  LocationId,
  Message,
  MessageId,
  OneOf,
  Page,
  pageQuery,
  RequestId,
  SenderType,
  StaffId,
  Status,
  Time,
} from './shapes.ts';

const ofBusiness = Type.Object({ business_id: BusinessId });
const ofClient = Type.Object({ business_id: BusinessId, client_id: ClientId });
const ofConversation = Type.Object({
  business_id: BusinessId,
  client_id: ClientId,
  conversation_id: ConversationId,
});

const ids = { business_id: 1001, client_id: 501, conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12' };
const message_id = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';

export const exampleConversation = {
  conversation_id: ids.conversation_id,
  business_id: 1001,
  client: { client_id: 501, name: 'Ana Lima', phone: '+12025550123', email: null, provisional: false },
  status: 'open',
  snoozed_until: null,
  assignee: { staff_id: 12345, name: 'Mia Chen' },
  location_id: 1,
  last_message: {
    message_id,
    preview: 'Can I move to 10?',
    channel: 'sms',
    direction: 'inbound',
    status: 'received',
    at: '2026-11-21T18:04:05.000Z',
  },
  unread_count: 1,
  waiting_since: '2026-11-21T18:04:05.000Z',
  channels: ['sms'],
  identity_confirmed: true,
  candidates: [],
  created_at: '2026-11-20T09:00:00.000Z',
  updated_at: '2026-11-21T18:04:05.000Z',
};

export const exampleMessage = {
  message_id,
  conversation_id: ids.conversation_id,
  business_id: 1001,
  client_id: 501,
  channel: 'sms',
  direction: 'outbound',
  status: 'delivered',
  content: 'See you at 9 tomorrow, Ana!',
  reply_text: null,
  subject: null,
  html: null,
  media_urls: [],
  attachments: [],
  from: '+15005550006',
  to: '+12025550123',
  cc: [],
  bcc: [],
  reply_to: null,
  sender_authentication: null,
  threading_reason: null,
  sent_by: null,
  sender_type: 'system',
  category: 'transactional',
  location_id: 1,
  segments: 1,
  encoding: 'GSM-7',
  provider: 'simulator',
  provider_message_id: 'SM0123456789abcdef0123456789abcdef',
  provider_status: 'delivered',
  error_code: null,
  error_message: null,
  reason: null,
  retryable: null,
  advice: null,
  attempts: 1,
  unread: false,
  call: null,
  auto_reply: false,
  external_ref: { type: 'appointment', id: '8841' },
  metadata: {},
  request_id: 'reminder-8841',
  send_at: null,
  cancel_on_reply: false,
  occurred_at: '2026-11-21T18:00:00.000Z',
  created_at: '2026-11-21T18:00:00.000Z',
  sent_at: '2026-11-21T18:00:00.120Z',
  delivered_at: '2026-11-21T18:00:01.030Z',
  read_at: null,
  failed_at: null,
  opened_at: null,
  clicked_at: null,
  complained_at: null,
  unsubscribed_at: null,
};

export const listConversations = operation({
  id: 'listConversations',
  method: 'GET',
  path: '/businesses/{business_id}/conversations',
  tag: 'businesses',
  summary: 'Get paginated list of client conversations for a business',
  description:
    'A row for each conversation over all channels. Filters narrow together; the cursor holds for the filters it was given with.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofBusiness,
    query: Exactly({
      ...pageQuery,
      status: Type.Optional(ConversationStatus),
      assignee: Type.Optional(
        Type.String({
          pattern: '^(me|unassigned|[1-9][0-9]{0,15})$',
          description: '`me` (with a session), `unassigned`, or a staff id.',
        }),
      ),
      channel: Type.Optional(Channel),
      location_id: Type.Optional(LocationId),
      unread: Type.Optional(Type.Boolean({ description: 'Only those with, or without, unread messages.' })),
      waiting: Type.Optional(
        Type.Boolean({ description: 'Only those where the client waits, or does not wait, for an answer.' }),
      ),
      client: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 200,
          description:
            'Words of the name, each as a beginning; a phone from its start, or its last 7 or 4 digits; a mail address from its start.',
        }),
      ),
      since: Type.Optional(Time('Only those with activity since then.')),
      sort: Type.Optional(
        OneOf(['newest', 'longest_waiting'], {
          default: 'newest',
          description: 'By the last activity, or by how long the client waits (only those who wait).',
        }),
      ),
    }),
  },
  output: { 200: Page(Conversation) },
  errors: [],
  example: {
    params: { business_id: 1001 },
    query: { unread: true, limit: 25 },
    status: 200,
    answer: { data: [exampleConversation], next_cursor: null, has_more: false },
  },
});

export const createConversation = operation({
  id: 'createConversation',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations',
  tag: 'businesses',
  summary: 'Create or retrieve client conversation',
  description:
    'Atomic under any concurrency: 200 with the conversation that is not closed, or 201 with a new one. A client that Omega does not know yet is made when the body tells a `phone`, an `email` or a `name`; else 404.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofClient,
    body: Exactly({
      name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      phone: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      email: Type.Optional(Type.String({ minLength: 1, maxLength: 320 })),
      location_id: Type.Optional(LocationId),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Conversation, 201: Conversation },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, client_id: 501 },
    body: { name: 'Ana Lima', phone: '+12025550123' },
    status: 201,
    answer: {
      ...exampleConversation,
      assignee: null,
      last_message: null,
      unread_count: 0,
      waiting_since: null,
      channels: [],
    },
  },
});

export const listMessages = operation({
  id: 'listMessages',
  method: 'GET',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages',
  tag: 'businesses',
  summary: 'Get paginated conversation messages with filters',
  description:
    'Every message of the conversation over all channels, notes among them, newest first unless told.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofConversation,
    query: Exactly({
      ...pageQuery,
      channel: Type.Optional(Channel),
      direction: Type.Optional(Direction),
      status: Type.Optional(Status),
      sender_type: Type.Optional(SenderType),
      sent_by: Type.Optional(StaffId),
      unread: Type.Optional(Type.Boolean()),
      since: Type.Optional(Time('From then on.')),
      until: Type.Optional(Time('Before then.')),
      text: Type.Optional(
        Type.String({ minLength: 1, maxLength: 200, description: 'Part of the content or subject.' }),
      ),
      order: Type.Optional(OneOf(['newest', 'oldest'], { default: 'newest' })),
    }),
  },
  output: { 200: Page(Message) },
  errors: ['not_found'],
  example: {
    params: ids,
    query: { order: 'newest' },
    status: 200,
    answer: { data: [exampleMessage], next_cursor: null, has_more: false },
  },
});

export const addNote = operation({
  id: 'addNote',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/note',
  tag: 'businesses',
  summary: 'Add internal note to a client conversation',
  description:
    'Seen by staff only: never sent, never in what a client sees. It changes neither `unread_count` nor `waiting_since`.',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({
      content: Type.String({ minLength: 1, maxLength: 10_000 }),
      sent_by: Type.Optional(StaffId),
      sender_type: Type.Optional(OneOf(['staff'], { default: 'staff' })),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      message: Type.String({ description: 'What was done, in words.' }),
      message_id: MessageId,
      conversation_id: ConversationId,
      created_at: Time('When it was written.'),
    }),
  },
  errors: ['not_found'],
  example: {
    params: ids,
    body: { content: 'Prefers mornings.', sent_by: 12345, sender_type: 'staff' },
    status: 200,
    answer: {
      message: 'Note added',
      message_id,
      conversation_id: ids.conversation_id,
      created_at: '2026-11-21T18:05:00.000Z',
    },
  },
});

const FilterOption = Type.Object({
  value: Type.String({ description: 'What to send as the filter.' }),
  label: Type.String(),
  count: Type.String({ description: 'How many conversations it would show: `0` to `99`, or `99+`.' }),
});

export const getConversationFilters = operation({
  id: 'getConversationFilters',
  method: 'GET',
  path: '/businesses/{business_id}/conversations/filters',
  tag: 'businesses',
  summary: 'Get available conversation filters',
  description:
    'Each filter of the list that has options, with how many conversations each would show, counted to 99; `client` and `since` take what is typed. By channel, the 2,000 most recently active are counted. Of staff and locations, the first 100 by name.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofBusiness },
  output: {
    200: Type.Object({
      filters: Type.Array(
        Type.Object({
          name: OneOf(['status', 'assignee', 'channel', 'location_id', 'unread', 'waiting']),
          options: Type.Array(FilterOption),
        }),
      ),
      sorts: Type.Array(OneOf(['newest', 'longest_waiting'])),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    status: 200,
    answer: {
      filters: [
        {
          name: 'status',
          options: [
            { value: 'open', label: 'Open', count: '99+' },
            { value: 'pending', label: 'Pending', count: '4' },
            { value: 'snoozed', label: 'Snoozed', count: '0' },
            { value: 'closed', label: 'Closed', count: '99+' },
          ],
        },
        { name: 'assignee', options: [{ value: 'unassigned', label: 'Unassigned', count: '7' }] },
      ],
      sorts: ['newest', 'longest_waiting'],
    },
  },
});

export const assignConversation = operation({
  id: 'assignConversation',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/assign',
  tag: 'businesses',
  summary: 'Assign a client conversation to a staff member',
  description:
    "To an active staff member of the business who works at the conversation's location, where it has one; `null` takes it from whoever has it.",
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({
      staff_id: Type.Union([StaffId, Type.Null()]),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Conversation },
  errors: ['not_found'],
  example: { params: ids, body: { staff_id: 12345 }, status: 200, answer: exampleConversation },
});

export const setConversationStatus = operation({
  id: 'setConversationStatus',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/status',
  tag: 'businesses',
  summary: 'Update client conversation status',
  description:
    '`snoozed` takes `snoozed_until` and opens again by itself then. Closing ends the waiting. One that is closed opens again only while the client has no other open one (409).',
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({
      status: ConversationStatus,
      snoozed_until: Type.Optional(Time('When it opens again; at most a year ahead.')),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Conversation },
  errors: ['not_found', 'conflict'],
  example: {
    params: ids,
    body: { status: 'pending' },
    status: 200,
    answer: { ...exampleConversation, status: 'pending' },
  },
});

export const markMessagesRead = operation({
  id: 'markMessagesRead',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/read',
  tag: 'businesses',
  summary: 'Update read status of messages using filters',
  description:
    "Marks the client's messages read by staff, or unread again. The filters narrow together; without any, `read: true` takes them all, `read: false` needs one.",
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({
      read: Type.Boolean(),
      message_ids: Type.Optional(Type.Array(MessageId, { minItems: 1, maxItems: 1000 })),
      up_to_message_id: Type.Optional(MessageId),
      channel: Type.Optional(Channel),
      direction: Type.Optional(Direction),
      before: Type.Optional(Time('Only what happened before then.')),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      updated: Type.Integer({ description: 'How many messages changed.' }),
      unread_count: Type.Integer({ description: 'How many are unread now.' }),
    }),
  },
  errors: ['not_found'],
  example: {
    params: ids,
    body: { read: true },
    status: 200,
    answer: { updated: 3, unread_count: 0 },
  },
});
