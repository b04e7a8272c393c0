import { Type } from 'typebox';
import { ClientProfile, exampleProfile } from './clients.ts';
import { exampleConversation } from './conversations.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  Conversation,
  ConversationId,
  Exactly,
  Message,
  MessageId,
  Nullable,
  OneOf,
  RequestId,
  Time,
} from './shapes.ts';

const ofClient = Type.Object({ business_id: BusinessId, client_id: ClientId });
const ofConversation = Type.Object({
  business_id: BusinessId,
  client_id: ClientId,
  conversation_id: ConversationId,
});
const ids = { business_id: 1001, client_id: 501 };

export const mergeClient = operation({
  id: 'mergeClient',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/merge',
  tag: 'business-clients',
  summary: 'Merge another client into this one',
  description:
    'Everything of `merge_client_id` becomes that of the client in the path: addresses, conversations, messages, consent. If both have an open conversation the two become one. What this client has wins (the name, say), what only the other has is taken over. The other id, and that of a conversation that was folded, lead here from now on. Its main use is a client whom Omega made for an unknown number, once the host knows who it is. A wrong one is taken back by `POST …/unmerge`.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofClient,
    body: Exactly({ merge_client_id: ClientId, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: ClientProfile },
  errors: ['not_found', 'conflict'],
  example: {
    params: ids,
    body: { merge_client_id: 1099511627776 },
    status: 200,
    answer: { ...exampleProfile, merged_from: [1099511627776] },
  },
});

export const unmergeClient = operation({
  id: 'unmergeClient',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/unmerge',
  tag: 'business-clients',
  summary: 'Take a merge back',
  description:
    'Two people were made one by mistake: `merged_client_id`, who was merged into the client of the path, is somebody of their own again. They have back what they brought: addresses, conversations and messages, what their profile said; the client of the path loses what it had from them alone and nobody changed since. What came or was sent since goes by its address: to the merged client where they alone brought that address, else (a note, a guest in a mail thread, an address of both) it stays. A message that staff moved to a third client stays there. The old ids, of the client and of a conversation that was folded, answer as themselves again. Consent belongs to addresses and does not change. Where the client was merged into one who was merged on, the later merge is taken back first. 409 if that is not so, if the client was erased since, or if the merge was made before merges were written down. Doing it again changes nothing.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofClient,
    body: Exactly({ merged_client_id: ClientId, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: ClientProfile },
  errors: ['not_found', 'conflict'],
  example: {
    params: ids,
    body: { merged_client_id: 502 },
    status: 200,
    answer: { ...exampleProfile, client_id: 502 },
  },
});

export const moveMessages = operation({
  id: 'moveMessages',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/move',
  tag: 'business-clients',
  summary: "Move messages to another client's conversation",
  description:
    "Messages that landed in the wrong client's thread go to that of `to_client_id`: the conversation that is not closed, else the latest, else a new one; it opens again if one of them waits for an answer. Without `to_client_id` they go to whoever has the address they are from (or were sent to), and where nobody has it, to a client made for it: so a stranger's mail is split off a thread. Files, search and timeline go along, replies to a moved mail come to where it is now, and `threading_reason` says `moved`. Addresses and consent stay as they are: give the client the address with `PUT` if the next message is to find them. All are moved, or none: one that waits to be sent or is being sent is 409. Those that stand there already are not counted.",
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({
      message_ids: Type.Array(MessageId, {
        minItems: 1,
        maxItems: 100,
        description: 'Messages of this conversation, notes among them; 1-100.',
      }),
      to_client_id: Type.Optional(ClientId),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      moved: Type.Integer({ minimum: 0, description: 'How many.' }),
      conversation_id: ConversationId,
      client_id: ClientId,
    }),
  },
  errors: ['not_found', 'conflict'],
  example: {
    params: { ...ids, conversation_id: exampleConversation.conversation_id },
    body: { message_ids: ['0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11'], to_client_id: 502 },
    status: 200,
    answer: {
      moved: 1,
      conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e55',
      client_id: 502,
    },
  },
});

export const exportClient = operation({
  id: 'exportClient',
  method: 'GET',
  path: '/businesses/{business_id}/clients/{client_id}/export',
  tag: 'business-clients',
  summary: 'Export everything about a client',
  description:
    'All that is kept about a client, for a request under Art. 15 GDPR or the like: profile, addresses, every entry of the consent ledger, conversations and messages. Notes of staff are among the messages (`direction: internal`, `channel: note`), for a right of access covers them; whoever hands the export on decides about them. It comes in pages of messages, oldest first: the first page holds all the rest, those after it only messages.',
  auth: 'manage',
  bucket: 'read',
  input: {
    params: ofClient,
    query: Exactly({
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1000, default: 1000, description: 'Messages a page, 1-1000.' }),
      ),
      cursor: Type.Optional(
        Type.String({ minLength: 1, maxLength: 1024, description: '`next_cursor` of the page before.' }),
      ),
    }),
  },
  output: {
    200: Type.Object({
      exported_at: Time('When.'),
      client: Nullable(ClientProfile),
      consents: Type.Array(
        Type.Object({
          consent_id: Type.String(),
          channel: Channel,
          address: Nullable(
            Type.String({ description: 'Null once the client is erased: a hash is kept instead.' }),
          ),
          category: Type.String(),
          state: OneOf(['granted', 'revoked']),
          source: Type.String(),
          evidence: Type.Record(Type.String(), Type.Unknown()),
          at: Time('When it was said.'),
        }),
      ),
      conversations: Type.Array(Conversation),
      messages: Type.Array(Message),
      next_cursor: Nullable(Type.String()),
      has_more: Type.Boolean(),
    }),
  },
  errors: ['not_found'],
  example: {
    params: ids,
    query: { limit: 1000 },
    status: 200,
    answer: {
      exported_at: '2026-11-22T09:00:00.000Z',
      client: exampleProfile,
      consents: [
        {
          consent_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e30',
          channel: 'sms',
          address: '+12025550123',
          category: 'all',
          state: 'revoked',
          source: 'keyword',
          evidence: { message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11', content: 'STOP' },
          at: '2026-11-21T18:04:05.000Z',
        },
      ],
      conversations: [exampleConversation],
      messages: [],
      next_cursor: null,
      has_more: false,
    },
  },
});

export const eraseClient = operation({
  id: 'eraseClient',
  method: 'DELETE',
  path: '/businesses/{business_id}/clients/{client_id}',
  tag: 'business-clients',
  summary: 'Erase a client',
  description:
    'Takes away everything that tells who they are or what was said: name, addresses, the content of messages and notes, what carriers reported. What waits to be sent to them is canceled. Left are a tombstone (`erased_at`), counts and dates, and their consent under a keyed hash of each address, so that a later message to an address that opted out is still not sent. It cannot be undone; doing it again answers the same. Their id is never used again: writing to it is 409.',
  auth: 'manage',
  bucket: 'send',
  input: { params: ofClient, body: Exactly({ request_id: Type.Optional(RequestId) }) },
  output: {
    200: Type.Object({
      client_id: ClientId,
      erased_at: Time('When.'),
      messages_erased: Type.Integer({ minimum: 0 }),
      messages_canceled: Type.Integer({ minimum: 0, description: 'Of those, what waited to be sent.' }),
      addresses_erased: Type.Integer({ minimum: 0 }),
    }),
  },
  errors: ['not_found'],
  example: {
    params: ids,
    body: {},
    status: 200,
    answer: {
      client_id: 501,
      erased_at: '2026-11-22T09:00:00.000Z',
      messages_erased: 14,
      messages_canceled: 1,
      addresses_erased: 2,
    },
  },
});

export const confirmIdentity = operation({
  id: 'confirmIdentity',
  method: 'POST',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/identity',
  tag: 'business-clients',
  summary: 'Confirm who writes from a shared address',
  description:
    "A phone or mailbox of several clients (a parent and two children) lands in one thread: that of whom was last written to there, else last heard from. Its `candidates` say who it may be, and `identity_confirmed` is false until staff say it here with one of them. The messages in question, and staff's answers to them, move to that client's conversation (notes stay), which is answered. Until that thread is closed, messages from the address that come to it are taken for theirs. Consent stays with the address: a STOP stops it for all who share it.",
  auth: 'send',
  bucket: 'send',
  input: {
    params: ofConversation,
    body: Exactly({ client_id: ClientId, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: Conversation },
  errors: ['not_found', 'conflict'],
  example: {
    params: { ...ids, conversation_id: exampleConversation.conversation_id },
    body: { client_id: 501 },
    status: 200,
    answer: exampleConversation,
  },
});
