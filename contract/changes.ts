import { Type } from 'typebox';
import { Event, eventApiVersion } from './events.ts';
import { operation } from './operation.ts';
import { BusinessId, Exactly, OneOf, pageQuery } from './shapes.ts';

const ofBusiness = Type.Object({ business_id: BusinessId });

const types = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 2000,
    description:
      'Only events of these types, between commas: `message.received,conversation.*`. A cursor holds for the types that it was given with.',
  }),
);

const cursor = 'ImFiYyIsNDE5Ml0.c2lnbmF0dXJl';

const exampleEvent: Event = {
  id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e77',
  type: 'conversation.assigned',
  api_version: eventApiVersion,
  created_at: '2026-11-21T18:04:05.000Z',
  business_id: 1001,
  sequence: 4192,
  actor: { type: 'staff', id: 12345 },
  origin: { key_id: null, session_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e51', request_id: 'assign-77' },
  data: {
    object: { conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e21', client_id: 501 },
    changed: { assignee: { from: null, to: 12345 } },
    message: null,
  },
};

export const listChanges = operation({
  id: 'listChanges',
  method: 'GET',
  path: '/businesses/{business_id}/changes',
  tag: 'events',
  summary: 'List what happened since a cursor',
  description:
    "Every event of the business, in the order of its changes, oldest first. Each answer has a `next_cursor`, also where nothing more is there now (`has_more: false`): keep it and ask again with it, whenever you like; what happened in between comes then, each event once. Without a cursor it begins with the oldest event that is kept, with `from=now` after the newest. Events are kept for 30 days: a cursor from before that is 410 `cursor_expired`. Then read everything anew, as at the first time: take a cursor by `from=now`, read the lists that you need, and go on from the cursor. With `types`, a page may be short or empty while `has_more` is true: go on. The cursor also begins a stream, and the stream's ids go on here. Beyond the source.",
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofBusiness,
    query: Exactly({
      ...pageQuery,
      types,
      from: Type.Optional(
        OneOf(['oldest', 'now'], { default: 'oldest', description: 'Where to begin without a cursor.' }),
      ),
    }),
  },
  output: {
    200: Type.Object({
      data: Type.Array(Event),
      next_cursor: Type.String({ description: 'Always there: where to go on, now or later.' }),
      has_more: Type.Boolean({ description: 'Whether events after this page are there already.' }),
    }),
  },
  errors: ['not_found', 'cursor_expired'],
  example: {
    params: { business_id: 1001 },
    query: { types: 'conversation.*', limit: 25 },
    status: 200,
    answer: { data: [exampleEvent], next_cursor: cursor, has_more: false },
  },
});

export const streamEvents = operation({
  id: 'streamEvents',
  method: 'GET',
  path: '/businesses/{business_id}/events',
  tag: 'events',
  summary: 'Follow what happens, live',
  description:
    "Server-Sent Events (`text/event-stream`) that go on until one side ends them: `event` is the type, `data` the event as JSON, `id` the place after it. Begins now, or after the place that `Last-Event-ID` (a header, as browsers send it when they connect again) or else `cursor` names; from there on each event comes once, in order, whatever breaks in between. An `id` also comes at the beginning and with some of the comments that keep the connection alive (every 15 seconds), so that a reader who got nothing yet goes on from there too. Events are kept for 30 days: an older place is 410 `cursor_expired`; read everything anew, then begin without one. The stream ends when its key or session does, when its reader is too slow, and when the server stops: connect again. 429 and 503 where too many are open. Browsers' `EventSource` works with the session's cookie. Beyond the source.",
  auth: 'read',
  bucket: 'read',
  bytes: 'text/event-stream',
  eventStream: Event,
  input: {
    params: ofBusiness,
    query: Exactly({
      cursor: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 1024,
          description: "An event's `id`, or the `next_cursor` of `listChanges` with the same types.",
        }),
      ),
      types,
    }),
  },
  output: { 200: Type.Unsafe<unknown>({ description: 'The events.' }) },
  errors: ['not_found', 'cursor_expired'],
  example: {
    params: { business_id: 1001 },
    query: { types: 'conversation.*' },
    status: 200,
    answer: `id: ${cursor}\nevent: ${exampleEvent.type}\ndata: ${JSON.stringify(exampleEvent)}\n\n`,
  },
});
