/** Shapes that several operations share. The same words stand in tables, events and answers. */
import { type Static, type TProperties, type TSchema, Type } from 'typebox';

/** An object that takes exactly these fields: a misspelt `send_at` must not send now. */
export const Exactly = <const P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

export const Nullable = <const S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

/** One of these words. Written as an `enum` so that generators make a plain string enum of it. */
export const OneOf = <const V extends readonly string[]>(values: V, options: object = {}) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], ...options });

/** Ids that the host platform assigns: 1 to 2^53-1. */
export const HostId = (description: string) =>
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });

export const BusinessId = HostId('The business, as the host platform numbers it.');
export const ClientId = HostId(
  'The client, as the host platform numbers it; from 2^40 upward one that Omega made.',
);
export const StaffId = HostId('The staff member, as the host platform numbers them.');
export const LocationId = HostId('The location, as the host platform numbers it.');
export const ConversationId = Type.String({ format: 'uuid', description: 'The conversation (UUIDv7).' });
export const MessageId = Type.String({ format: 'uuid', description: 'The message (UUIDv7).' });

/** In an answer: RFC 3339, UTC, milliseconds. In a request: any RFC 3339 offset. */
export const Time = (description: string) => Type.String({ format: 'date-time', description });

/** Guards an answer to a client against what its writer has not seen. */
export const ExpectedLastMessageId = Type.String({
  format: 'uuid',
  description:
    "The conversation's last message (notes do not count) as the writer sees it. Where another came since, nothing is sent: 409 `conversation_changed` with what was `missed`.",
});

/** For reminders to answer: whoever answered needs none. */
export const CancelOnReply = Type.Boolean({
  description:
    'While it is `scheduled`, a message from the client (on any channel; not a call, and not an automatic answer) cancels it, with the reason `client_replied`.',
});

export const RequestId = Type.String({
  pattern: '^[A-Za-z0-9._:-]{1,128}$',
  description:
    'Makes the write repeatable: the same id with the same body gives the first answer again. One thing with the `Idempotency-Key` header. 1-128 of `A-Z a-z 0-9 . _ : -`.',
});

export const channels = ['sms', 'whatsapp', 'email', 'voice', 'note', 'webchat'] as const;
/** The known channels; hosts may name others of their own. */
export const Channel = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,31}$',
  description: `\`${channels.join('`, `')}\`, or a name of the host's own.`,
});

export const directions = ['inbound', 'outbound', 'internal'] as const;
export const Direction = OneOf(directions, { description: 'Seen from the business; a note is internal.' });

export const statuses = [
  'scheduled',
  'queued',
  'sending',
  'sent',
  'delivered',
  'read',
  'undelivered',
  'failed',
  'canceled',
  'suppressed',
  'received',
] as const;
export type MessageStatus = (typeof statuses)[number];
export const Status = OneOf(statuses, {
  description:
    'scheduled → queued → sending → sent → delivered → read; undelivered, failed; canceled, suppressed; inbound: received. It only moves forward.',
});

export const senderTypes = ['staff', 'client', 'system', 'automation'] as const;
export const SenderType = OneOf(senderTypes, { description: 'Who wrote it.' });

export const conversationStatuses = ['open', 'pending', 'snoozed', 'closed'] as const;
export const ConversationStatus = OneOf(conversationStatuses);

export const Category = OneOf(['transactional', 'marketing'], {
  description:
    'Marketing can be refused apart from the rest, and keeps quiet hours (21:00 to 08:00 where the client is). `transactional` unless told.',
});

/** Free data of the host's, kept and given back: at most 50 keys of 64 characters. */
export const Metadata = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  // Not Type.Record, whose pattern for a name (`^.*$`) matches none with a line break in it.
  additionalProperties: true,
  maxProperties: 50,
  propertyNames: { maxLength: 64 },
  description: "The host's own data, kept and given back as it is.",
});

export const ExternalRef = Exactly(
  {
    type: Type.String({ minLength: 1, maxLength: 64, description: 'For example `appointment`.' }),
    id: Type.String({ minLength: 1, maxLength: 128 }),
    starts_at: Type.Optional(Time('When the appointment starts.')),
  },
  { description: "The host's object that the message is about." },
);

/** A page's size and place. The cursor is opaque and holds for the filters it was given with. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, default: 25, description: 'Rows a page, 1-100.' }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1024, description: '`next_cursor` of the page before.' }),
  ),
};

export const Page = <const S extends TSchema>(row: S) =>
  Type.Object({ data: Type.Array(row), next_cursor: Nullable(Type.String()), has_more: Type.Boolean() });

/** RFC 9457 problem details, with our `code`, the request's id, and for a 422 every fault at once. */
/** One thing that readiness looks at. */
export const ReadinessCheck = Type.Object({
  name: OneOf(['database', 'migrations', 'worker', 'queue']),
  state: OneOf(['ok', 'failed', 'unknown'], {
    description: 'unknown: it could not be looked at, because of a check before it.',
  }),
  detail: Type.String({ description: 'What was found.' }),
  remedy: Nullable(Type.String({ description: 'What to do where it failed.' })),
});

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URI that names the kind of problem.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong, and what to do.' }),
    code: Type.String(),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'The field, with dots: `senders.0.address`.' }),
          message: Type.String(),
          code: Type.String(),
        }),
      ),
    ),
    missed: Type.Optional(
      Type.Array(Type.Record(Type.String(), Type.Unknown()), {
        description:
          'With `conversation_changed`: the messages since the expected one, each as a Message, the newest 20 in their order.',
      }),
    ),
    checks: Type.Optional(
      Type.Array(ReadinessCheck, {
        description: 'With `not_ready`: every check, the failed ones among them.',
      }),
    ),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

export const callOutcomes = [
  'ringing',
  'in_progress',
  'completed',
  'missed',
  'voicemail',
  'busy',
  'no_answer',
  'canceled',
  'failed',
] as const;
export type CallOutcome = (typeof callOutcomes)[number];

const CallOutcomeWord = OneOf(callOutcomes, {
  description:
    'ringing; in_progress: they talk; completed: they talked. A client who called and was not answered: missed, or voicemail. A client whom staff called and did not reach: busy, no_answer, canceled (staff hung up), failed.',
});

/** The last message in a conversation's row. Notes never show here. */
export const LastMessage = Type.Object({
  message_id: MessageId,
  preview: Type.String({ description: 'The first 140 characters.' }),
  channel: Channel,
  direction: Direction,
  status: Status,
  call_outcome: Type.Optional(CallOutcomeWord),
  at: Time('When it happened.'),
});

export const ClientSummary = Type.Object({
  client_id: ClientId,
  name: Nullable(Type.String()),
  phone: Nullable(Type.String({ description: 'E.164.' })),
  email: Nullable(Type.String()),
  provisional: Type.Boolean({
    description: 'Made by Omega for an unknown address, until merged into a host client.',
  }),
});

export const Conversation = Type.Object({
  conversation_id: ConversationId,
  business_id: BusinessId,
  client: ClientSummary,
  status: ConversationStatus,
  snoozed_until: Nullable(Time('When it opens again.')),
  assignee: Nullable(Type.Object({ staff_id: StaffId, name: Nullable(Type.String()) })),
  location_id: Nullable(LocationId),
  last_message: Nullable(LastMessage),
  unread_count: Type.Integer({ minimum: 0, description: "The client's messages that staff have not read." }),
  waiting_since: Nullable(
    Time(
      "When the client's first unanswered message came. Staff's messages answer it; one that is suppressed, canceled or fails answers nobody.",
    ),
  ),
  channels: Type.Array(Channel, { description: 'The channels used so far.' }),
  identity_confirmed: Type.Boolean({
    description:
      'False while messages stand here from an address of several clients, and staff have not said whose they are.',
  }),
  candidates: Type.Array(
    Type.Object({
      client_id: ClientId,
      name: Nullable(Type.String()),
      reason: OneOf(['last_messaged', 'last_seen', 'shares_address'], {
        description: 'Why the thread was taken for theirs; `shares_address` for the others.',
      }),
    }),
    { description: 'Who it may be, while that is not confirmed; the likeliest first.' },
  ),
  created_at: Time('When it was made.'),
  updated_at: Time('When it last changed.'),
});
export type Conversation = Static<typeof Conversation>;

/** A file of a mail. Its bytes are at `GET /businesses/{business_id}/messages/{message_id}/attachments/{attachment_id}`. */
export const AttachmentSummary = Type.Object({
  attachment_id: Type.String({ format: 'uuid' }),
  filename: Type.String({
    description: 'Safe on any system: no path, nothing invisible, 255 bytes at most.',
  }),
  content_type: Type.String({ description: 'As its sender calls it; the download never claims it.' }),
  size: Type.Integer({ description: 'Bytes.' }),
  content_id: Type.Optional(
    Type.String({ description: 'The HTML shows it as `cid:` and this: an image within the text.' }),
  ),
});

/** What a call has besides what every message has. */
export const Call = Type.Object({
  outcome: CallOutcomeWord,
  answered_at: Nullable(Time('When it was answered.')),
  answered_by: Nullable(StaffId),
  ended_at: Nullable(Time('When it ended.')),
  duration_s: Nullable(
    Type.Integer({ minimum: 0, description: 'Whole seconds that they talked; null until it is known.' }),
  ),
  recording: Nullable(
    Type.Object(
      {
        kind: OneOf(['conversation', 'voicemail']),
        duration_s: Nullable(Type.Integer({ minimum: 0 })),
      },
      { description: 'The sound is among `attachments` as soon as it has been fetched.' },
    ),
  ),
});
export type Call = Static<typeof Call>;

/** Why a message stands in its conversation. */
export const threadingReasons = ['reply_address', 'references', 'sender_address', 'moved'] as const;
export type ThreadingReason = (typeof threadingReasons)[number];

export const Message = Type.Object({
  message_id: MessageId,
  conversation_id: ConversationId,
  business_id: BusinessId,
  client_id: ClientId,
  channel: Channel,
  direction: Direction,
  status: Status,
  content: Type.String({
    description:
      '`[erased]` once it is gone: its client was erased, or it is older than the business keeps content.',
  }),
  reply_text: Nullable(
    Type.String({
      description:
        'Of a mail that answers: what was written now, without the quoted tail and the signature. Null where that is all of `content`.',
    }),
  ),
  subject: Nullable(Type.String()),
  html: Nullable(
    Type.String({
      description:
        "A mail's HTML, made safe to show: no script, form or frame, and remote images off (their address is in `data-remote-src`). null where there is none, or too much to be made safe (more than 20,000 elements).",
    }),
  ),
  media_urls: Type.Array(Type.String()),
  attachments: Type.Array(AttachmentSummary),
  from: Nullable(Type.String()),
  to: Nullable(Type.String()),
  cc: Type.Array(Type.String()),
  bcc: Type.Array(Type.String(), { description: 'For staff to see; other recipients never do.' }),
  reply_to: Nullable(Type.String()),
  sender_authentication: Nullable(
    Type.Object(
      {
        spf: Nullable(Type.String()),
        dkim: Nullable(Type.String()),
        dmarc: Nullable(Type.String()),
        by: Nullable(Type.String({ description: 'Who says so.' })),
      },
      {
        description:
          'Of a received mail: what the receiving server found out about its sender (`pass`, `fail`, `none`, …; RFC 8601). A mail without a `pass` of DMARC may be from anybody.',
      },
    ),
  ),
  threading_reason: Nullable(
    OneOf(threadingReasons, {
      description:
        'Why it stands in this conversation. Of a received mail: it came to the `reply_address` of a mail of yours, it answers a mail that stands here (`references`), or it was found by its sender (`sender_address`). `moved`: it stood elsewhere before. Null of all others.',
    }),
  ),
  sent_by: Nullable(StaffId),
  sender_type: SenderType,
  category: Nullable(Category),
  location_id: Nullable(LocationId),
  segments: Nullable(Type.Integer()),
  encoding: Nullable(Type.String({ description: '`GSM-7` or `UCS-2` (3GPP TS 23.038).' })),
  provider: Nullable(Type.String()),
  provider_message_id: Nullable(Type.String()),
  provider_status: Nullable(Type.String({ description: "The carrier's own word." })),
  error_code: Nullable(Type.String({ description: "The carrier's own code." })),
  error_message: Nullable(Type.String()),
  reason: Nullable(Type.String({ description: 'Our canonical word for why.' })),
  retryable: Nullable(Type.Boolean({ description: 'Whether a retry can help.' })),
  advice: Nullable(Type.String({ description: 'What to do about the reason, in plain words.' })),
  attempts: Type.Integer({ description: 'How often it was handed to a carrier.' }),
  unread: Type.Boolean(),
  call: Nullable(Call),
  auto_reply: Type.Boolean({
    description: 'A machine wrote it (out of office): nobody waits for an answer to it.',
  }),
  external_ref: Nullable(
    Type.Object({ type: Type.String(), id: Type.String(), starts_at: Type.Optional(Type.String()) }),
  ),
  metadata: Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
  request_id: Nullable(Type.String()),
  send_at: Nullable(Time('When it is due.')),
  cancel_on_reply: Type.Boolean({ description: "The client's answer cancels it while it is `scheduled`." }),
  occurred_at: Time('When it happened; the order of a conversation.'),
  created_at: Time('When Omega wrote it down.'),
  sent_at: Nullable(Time('When the carrier took it.')),
  delivered_at: Nullable(Time('When it was delivered.')),
  read_at: Nullable(Time('When the client read it.')),
  failed_at: Nullable(Time('When it failed.')),
  opened_at: Nullable(Time('When the mail was first opened. Scanners open mail too.')),
  clicked_at: Nullable(Time('When a link in it was first clicked.')),
  complained_at: Nullable(Time('When the client reported it as spam.')),
  unsubscribed_at: Nullable(Time('When the client unsubscribed through it.')),
});
export type Message = Static<typeof Message>;
