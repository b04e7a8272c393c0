import { Type } from 'typebox';
import { exampleMessage } from './conversations.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  Direction,
  Exactly,
  Message,
  OneOf,
  Page,
  pageQuery,
  Status,
  Time,
} from './shapes.ts';

export const listBusinessMessages = operation({
  id: 'listBusinessMessages',
  method: 'GET',
  path: '/businesses/{business_id}/messages',
  tag: 'messages',
  summary: "List a business's messages over all clients",
  description:
    'What is due, what failed, what happened. `scheduled` ones are listed by when they are due, soonest first, `failed` and `undelivered` ones by when they failed, the rest by when they happened, newest first; `since` and `until` mean that same time. A page may hold fewer than `limit` although `has_more` is true, where few match: go on with the cursor.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: Type.Object({ business_id: BusinessId }),
    query: Exactly({
      ...pageQuery,
      status: Type.Optional(Status),
      channel: Type.Optional(Channel),
      direction: Type.Optional(Direction),
      since: Type.Optional(
        Time('From then on. For `scheduled`, 7 days ago when left out: what is overdue for longer needs it.'),
      ),
      until: Type.Optional(Time('Before then.')),
      order: Type.Optional(
        OneOf(['newest', 'oldest'], { description: '`newest` unless told; for `scheduled`, `oldest`.' }),
      ),
    }),
  },
  output: { 200: Page(Message) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    query: { status: 'failed' },
    status: 200,
    answer: { data: [exampleMessage], next_cursor: null, has_more: false },
  },
});
