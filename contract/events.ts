import { type Static, Type } from 'typebox';
import { BusinessId, Message, Nullable, OneOf, Time } from './shapes.ts';

/** The shape of events; it changes only when a reader of the old one would no longer understand the new. */
export const eventApiVersion = '2026-11-01';

/** A message beside its event: small enough for any webhook receiver. */
export const MessageOfEvent = Type.Evaluate(
  Type.Intersect([
    Type.Omit(Message, ['html']),
    Type.Object({
      content_truncated: Type.Boolean({
        description: 'Whether `content` or `reply_text` was longer than 10,000 characters and cut there.',
      }),
    }),
  ]),
);

/** What happened, once: the same in the list of changes, in the stream and in a webhook. */
export const Event = Type.Object({
  id: Type.String({ format: 'uuid', description: 'The event (UUIDv7); a repeated delivery has it again.' }),
  type: Type.String({ description: 'What happened, as `message.received`. New types may come.' }),
  api_version: Type.String({ description: `The shape of this event: \`${eventApiVersion}\`.` }),
  created_at: Time('When it was written, together with the change.'),
  business_id: BusinessId,
  sequence: Type.Integer({
    minimum: 1,
    description: "The event's number in its business: 1, 2, 3, … without gaps, in the order of the changes.",
  }),
  actor: Type.Object(
    {
      type: OneOf(['staff', 'key', 'platform', 'client', 'carrier', 'system']),
      id: Nullable(Type.Union([Type.String(), Type.Integer()])),
    },
    { description: 'Who did it.' },
  ),
  origin: Type.Object(
    {
      key_id: Type.Optional(Nullable(Type.String())),
      session_id: Type.Optional(Nullable(Type.String())),
      request_id: Type.Optional(Nullable(Type.String())),
      provider: Type.Optional(Type.String()),
    },
    { description: 'Through what: the key or session and the request that made the change, or the carrier.' },
  ),
  data: Type.Object(
    {
      object: Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        additionalProperties: true,
        description:
          'The ids of what it is about (`message_id`, `conversation_id`, `client_id`, …) and facts of that moment.',
      }),
      changed: Nullable(
        Type.Unsafe<Record<string, { from: unknown; to: unknown }>>({
          type: 'object',
          additionalProperties: {
            type: 'object',
            properties: { from: {}, to: {} },
            required: ['from', 'to'],
          },
          description: 'Each field that changed: `{from, to}`.',
        }),
      ),
      message: Nullable(MessageOfEvent),
    },
    {
      description:
        '`object` and `changed` are of that moment; `message`, where the event is about one, is as it was when this was read (it may have moved on, and its content may be erased). It has no `html`.',
    },
  ),
});
export type Event = Static<typeof Event>;
