import { Type } from 'typebox';
import { exampleMessage } from './conversations.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  ConversationId,
  Direction,
  Exactly,
  Message,
  OneOf,
  Page,
  pageQuery,
  Time,
} from './shapes.ts';

const business = { business_id: Type.Optional(BusinessId) };
const { conversation_id } = exampleMessage;

const Hit = Type.Object({
  ...Message.properties,
  highlights: Type.Array(
    Type.Object({
      field: OneOf(['subject', 'content']),
      fragments: Type.Array(
        Type.Object({
          text: Type.String({ description: 'A piece of the field as it was written; not HTML.' }),
          offset: Type.Integer({ description: 'Where the piece begins in the field, in UTF-16 code units.' }),
          matches: Type.Array(Type.Object({ start: Type.Integer(), end: Type.Integer() }), {
            description: 'What was found, as places in `text`.',
          }),
        }),
      ),
    }),
  ),
});

const searchQuery = {
  ...pageQuery,
  q: Type.String({
    minLength: 1,
    maxLength: 200,
    description:
      'Words (all must be there), `appoint*`, `"a phrase"`, `-without`. The last word counts as a prefix. Neither case nor accents matter.',
  }),
  channel: Type.Optional(Channel),
  direction: Type.Optional(Direction),
  since: Type.Optional(Time('From then on.')),
  until: Type.Optional(Time('Before then.')),
  sort: Type.Optional(
    OneOf(['newest', 'relevance'], {
      default: 'newest',
      description:
        '`relevance` orders the newest that match, 1,000 at most; of words that are everywhere, those among the newest 10,000 messages.',
    }),
  ),
};

const search = {
  method: 'GET',
  tag: 'messages',
  auth: 'read',
  bucket: 'search',
  output: { 200: Page(Hit) },
} as const;
const exampleHits = {
  data: [
    {
      ...exampleMessage,
      highlights: [
        {
          field: 'content',
          fragments: [{ text: 'See you at 9 tomorrow, Ana!', offset: 0, matches: [{ start: 13, end: 21 }] }],
        },
      ],
    },
  ],
  next_cursor: null,
  has_more: false,
};

export const searchMessages = operation({
  ...search,
  id: 'searchMessages',
  path: '/messages/search',
  summary: 'Search messages within a specific conversation',
  description: "Among the conversation's newest 20,000 messages, notes included.",
  input: { query: Exactly({ ...business, conversation_id: ConversationId, ...searchQuery }) },
  errors: ['not_found', 'search_too_slow'],
  example: { query: { conversation_id, q: 'tomorr' }, status: 200, answer: exampleHits },
});

export const searchConversationMessages = operation({
  ...search,
  id: 'searchConversationMessages',
  path: '/businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/search',
  summary: 'Search messages within a specific conversation',
  description: "Among the conversation's newest 20,000 messages, notes included.",
  input: {
    params: Type.Object({
      business_id: BusinessId,
      client_id: ClientId,
      conversation_id: ConversationId,
    }),
    query: Exactly(searchQuery),
  },
  errors: ['not_found', 'search_too_slow'],
  example: {
    params: { business_id: 1001, client_id: 501, conversation_id },
    query: { q: 'tomorr' },
    status: 200,
    answer: exampleHits,
  },
});

export const searchBusiness = operation({
  ...search,
  id: 'searchBusiness',
  path: '/businesses/{business_id}/search',
  summary: 'Search all messages of a business',
  description: 'Over every conversation and channel, notes included.',
  input: { params: Type.Object({ business_id: BusinessId }), query: Exactly(searchQuery) },
  errors: ['not_found', 'search_too_slow'],
  example: { params: { business_id: 1001 }, query: { q: 'tomorr' }, status: 200, answer: exampleHits },
});
