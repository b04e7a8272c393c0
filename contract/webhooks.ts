import { type Static, Type } from 'typebox';
import { Event, eventApiVersion } from './events.ts';
import { operation } from './operation.ts';
import { BusinessId, Exactly, Nullable, OneOf, Page, pageQuery, RequestId, Time } from './shapes.ts';

export const webhookErrors = [
  'unreachable',
  'timeout',
  'tls_failed',
  'broken_answer',
  'redirected',
  'refused',
  'gone',
  'webhook_disabled',
  'event_expired',
] as const;
export type WebhookError = (typeof webhookErrors)[number];

export const webhookDeliveryStates = ['pending', 'delivered', 'failed'] as const;
export type WebhookDeliveryState = (typeof webhookDeliveryStates)[number];

/** Events that one call replays at most. */
export const mostReplayed = 1_000;

const WebhookId = Type.String({ format: 'uuid', description: 'The webhook (UUIDv7).' });
const DeliveryId = Type.String({ format: 'uuid', description: 'The delivery (UUIDv7).' });
const State = OneOf(webhookDeliveryStates, {
  description:
    'pending: to be attempted, or attempted again; delivered: answered with 2xx; failed: given up, and may be replayed.',
});
const ErrorWord = OneOf(webhookErrors, {
  description:
    'unreachable: no connection came about, for whatever reason; timeout: no answer within 15 s; tls_failed: its certificate does not hold; broken_answer: no HTTP came back; redirected: redirects are not followed; refused: another status than 2xx; gone: 410, which disables the webhook; webhook_disabled: it was disabled before the event got through; event_expired: the event is older than 30 days and no longer kept.',
});
const EventTypeName = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'A type of event, as `message.received`, or all of a kind, as `message.*`.',
});
const Sequence = (description: string) =>
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });

const fields = {
  url: Type.String({
    minLength: 1,
    maxLength: 2048,
    description:
      'An `https` address that anyone on the internet reaches. Others, and `http`, only where the configuration of this Omega names them (`OMEGA_WEBHOOK_HOSTS`).',
  }),
  description: Nullable(Type.String({ maxLength: 500, description: 'For people.' })),
  types: Nullable(
    Type.Array(EventTypeName, {
      minItems: 1,
      maxItems: 100,
      description: 'The types of events that it gets; null for all, those that are still to come included.',
    }),
  ),
  exclude_own: Type.Boolean({
    description:
      'Leaves out what was done with the very key that made the webhook (or that last wrote this field), so that a system does not hear of its own changes. What staff do in sessions comes all the same.',
  }),
};

const secretGiven = Type.String({
  pattern: '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$',
  description:
    "What signs the deliveries: `whsec_` and 24 to 64 bytes in base64. One is drawn where it is left out; give one's own to move in with receivers that have it.",
});
const SecretShown = Type.String({
  description: 'Shown this once. Verify with it that a delivery is from here.',
});

const Webhook = Type.Object({
  webhook_id: WebhookId,
  business_id: BusinessId,
  ...fields,
  state: OneOf(['enabled', 'disabled']),
  disabled_reason: Nullable(
    OneOf(['by_request', 'gone', 'failing'], {
      description: 'gone: it answered 410; failing: nothing came through for five days.',
    }),
  ),
  disabled_at: Nullable(Time('When it was disabled.')),
  failing_since: Nullable(Time('Since when every attempt has failed; null where the last one got through.')),
  old_secret_until: Nullable(Time('Until when the secret before the last rotation signs too.')),
  created_at: Time('When it was made.'),
  updated_at: Time('When it was last changed.'),
});

const delivery = {
  delivery_id: DeliveryId,
  webhook_id: WebhookId,
  event_id: Type.String({ format: 'uuid', description: 'The event; each attempt has it as `webhook-id`.' }),
  sequence: Sequence("The event's number."),
  type: Type.String(),
  state: State,
  attempts: Type.Integer({ minimum: 0, description: 'How often it was posted.' }),
  status_code: Nullable(Type.Integer({ description: 'Of the last answer.' })),
  error: Nullable(ErrorWord),
  next_attempt_at: Nullable(Time('When it is attempted next; null where it is not.')),
  created_at: Time('When the event was to be delivered.'),
  settled_at: Nullable(Time('When it was delivered or given up.')),
};
const Delivery = Type.Object(delivery);

const Attempt = Type.Object({
  attempt_no: Type.Integer({ minimum: 1 }),
  status_code: Nullable(Type.Integer()),
  error: Nullable(ErrorWord),
  duration_ms: Type.Integer({ minimum: 0 }),
  attempted_at: Time('When it was posted.'),
});

const exampleWebhook = {
  webhook_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e51',
  business_id: 1001,
  url: 'https://crm.example/hooks/omega',
  description: 'The CRM',
  types: ['message.*', 'conversation.assigned'],
  exclude_own: true,
  state: 'enabled',
  disabled_reason: null,
  disabled_at: null,
  failing_since: null,
  old_secret_until: null,
  created_at: '2026-11-21T18:04:05.000Z',
  updated_at: '2026-11-21T18:04:05.000Z',
};
const exampleDelivery = {
  delivery_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e52',
  webhook_id: exampleWebhook.webhook_id,
  event_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e53',
  sequence: 48,
  type: 'message.delivered',
  state: 'failed',
  attempts: 8,
  status_code: 503,
  error: 'refused',
  next_attempt_at: null,
  created_at: '2026-11-21T18:04:05.000Z',
  settled_at: '2026-11-22T21:40:12.000Z',
};
const exampleSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

const ofBusiness = Type.Object({ business_id: BusinessId });
const ofWebhook = Type.Object({ business_id: BusinessId, webhook_id: WebhookId });
const ofDelivery = Type.Object({ business_id: BusinessId, webhook_id: WebhookId, delivery_id: DeliveryId });
const { business_id, webhook_id } = exampleWebhook;
const { delivery_id } = exampleDelivery;
const path = '/businesses/{business_id}/webhooks';
const common = { tag: 'webhooks', auth: 'manage', bucket: 'send' } as const;

export const createWebhook = operation({
  id: 'createWebhook',
  method: 'POST',
  path,
  ...common,
  summary: 'Have events posted to a URL',
  description:
    "Every event from now on is posted there by the [Standard Webhooks](https://www.standardwebhooks.com) specification: `webhook-id` (the event's, the same in each attempt), `webhook-timestamp`, `webhook-signature`, and the event as JSON. An answer of 2xx within 15 s takes it; any other is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h (or as `Retry-After` asks, with 429 and 503). 410 disables the webhook, and so do five days without one success. An event may come twice and in any order: `id` and `sequence` tell. A business may have 20.",
  input: {
    params: ofBusiness,
    body: Exactly({
      url: fields.url,
      description: Type.Optional(fields.description),
      types: Type.Optional(fields.types),
      exclude_own: Type.Optional(fields.exclude_own),
      secret: Type.Optional(secretGiven),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 201: Type.Object({ ...Webhook.properties, secret: SecretShown }) },
  errors: ['not_found', 'conflict'],
  secretAnswer: true,
  example: {
    params: { business_id },
    body: {
      url: exampleWebhook.url,
      description: exampleWebhook.description,
      types: exampleWebhook.types,
      exclude_own: true,
    },
    status: 201,
    answer: { ...exampleWebhook, secret: exampleSecret },
  },
});

export const listWebhooks = operation({
  id: 'listWebhooks',
  method: 'GET',
  path,
  ...common,
  bucket: 'read',
  summary: 'List webhooks',
  description: 'Oldest first.',
  input: { params: ofBusiness, query: Exactly(pageQuery) },
  output: { 200: Page(Webhook) },
  errors: ['not_found'],
  example: {
    params: { business_id },
    status: 200,
    answer: { data: [exampleWebhook], next_cursor: null, has_more: false },
  },
});

export const getWebhook = operation({
  id: 'getWebhook',
  method: 'GET',
  path: `${path}/{webhook_id}`,
  ...common,
  bucket: 'read',
  summary: 'Show a webhook',
  description: 'Without its secret, which was shown when it was made.',
  input: { params: ofWebhook },
  output: { 200: Webhook },
  errors: ['not_found'],
  example: { params: { business_id, webhook_id }, status: 200, answer: exampleWebhook },
});

export const updateWebhook = operation({
  id: 'updateWebhook',
  method: 'PATCH',
  path: `${path}/{webhook_id}`,
  ...common,
  summary: 'Change, disable or enable a webhook',
  description:
    'What is left out stays. Disabling gives up what was still to be delivered; enabling begins at now: what happened in between comes by a replay.',
  input: {
    params: ofWebhook,
    body: Exactly({
      url: Type.Optional(fields.url),
      description: Type.Optional(fields.description),
      types: Type.Optional(fields.types),
      exclude_own: Type.Optional(fields.exclude_own),
      state: Type.Optional(OneOf(['enabled', 'disabled'])),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Webhook },
  errors: ['not_found'],
  example: {
    params: { business_id, webhook_id },
    body: { types: ['message.received'] },
    status: 200,
    answer: { ...exampleWebhook, types: ['message.received'] },
  },
});

export const deleteWebhook = operation({
  id: 'deleteWebhook',
  method: 'DELETE',
  path: `${path}/{webhook_id}`,
  ...common,
  summary: 'Remove a webhook',
  description: 'Nothing more is posted to it, and the record of its deliveries goes with it.',
  input: { params: ofWebhook, body: Exactly({ request_id: Type.Optional(RequestId) }) },
  output: { 200: Type.Object({ webhook_id: WebhookId, deleted: Type.Boolean() }) },
  errors: ['not_found'],
  example: {
    params: { business_id, webhook_id },
    body: {},
    status: 200,
    answer: { webhook_id, deleted: true },
  },
});

export const rotateWebhookSecret = operation({
  id: 'rotateWebhookSecret',
  method: 'POST',
  path: `${path}/{webhook_id}/rotate`,
  ...common,
  summary: 'Give a webhook a new secret',
  description:
    'For 24 hours deliveries carry two signatures, one of the old secret and one of the new, so that receivers can change over without a gap.',
  input: {
    params: ofWebhook,
    body: Exactly({
      secret: Type.Optional(secretGiven),
      expire_now: Type.Optional(
        Type.Boolean({
          default: false,
          description: 'The old one signs no more from now on: for one that leaked.',
        }),
      ),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      webhook_id: WebhookId,
      secret: SecretShown,
      old_secret_until: Webhook.properties.old_secret_until,
    }),
  },
  errors: ['not_found'],
  secretAnswer: true,
  example: {
    params: { business_id, webhook_id },
    body: {},
    status: 200,
    answer: { webhook_id, secret: exampleSecret, old_secret_until: '2026-11-22T18:04:05.000Z' },
  },
});

export const testWebhook = operation({
  id: 'testWebhook',
  method: 'POST',
  path: `${path}/{webhook_id}/test`,
  ...common,
  summary: 'Post a test event',
  description:
    "Posts an event `webhook.test` at once, whatever the webhook's types and state, by the code that posts every event, and waits for the answer. It is not tried again, and changes nothing about the webhook. Each call posts another one.",
  input: { params: ofWebhook, body: Exactly({ request_id: Type.Optional(RequestId) }) },
  output: {
    200: Type.Object({
      delivered: Type.Boolean(),
      delivery_id: DeliveryId,
      event_id: Type.String({ format: 'uuid' }),
      status_code: Nullable(Type.Integer()),
      error: Nullable(ErrorWord),
      duration_ms: Type.Integer({ minimum: 0 }),
    }),
  },
  errors: ['not_found'],
  example: {
    params: { business_id, webhook_id },
    body: {},
    status: 200,
    answer: {
      delivered: true,
      delivery_id,
      event_id: exampleDelivery.event_id,
      status_code: 204,
      error: null,
      duration_ms: 38,
    },
  },
});

export const listWebhookDeliveries = operation({
  id: 'listWebhookDeliveries',
  method: 'GET',
  path: `${path}/{webhook_id}/deliveries`,
  ...common,
  bucket: 'read',
  summary: 'List what was posted to a webhook',
  description: 'The newest event first. Kept for 30 days.',
  input: {
    params: ofWebhook,
    query: Exactly({
      ...pageQuery,
      state: Type.Optional(State),
      type: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      since: Type.Optional(Time('Events from then on.')),
    }),
  },
  output: { 200: Page(Delivery) },
  errors: ['not_found'],
  example: {
    params: { business_id, webhook_id },
    query: { state: 'failed' },
    status: 200,
    answer: { data: [exampleDelivery], next_cursor: null, has_more: false },
  },
});

export const getWebhookDelivery = operation({
  id: 'getWebhookDelivery',
  method: 'GET',
  path: `${path}/{webhook_id}/deliveries/{delivery_id}`,
  ...common,
  bucket: 'read',
  summary: 'Show a delivery with its attempts and its event',
  description:
    'The newest 100 attempts, and the event as it would be posted now. What a receiver answered is not kept, but for its status.',
  input: { params: ofDelivery },
  output: { 200: Type.Object({ ...delivery, log: Type.Array(Attempt), event: Nullable(Event) }) },
  errors: ['not_found'],
  example: {
    params: { business_id, webhook_id, delivery_id },
    status: 200,
    answer: {
      ...exampleDelivery,
      log: [
        {
          attempt_no: 8,
          status_code: 503,
          error: 'refused',
          duration_ms: 41,
          attempted_at: '2026-11-22T21:40:12.000Z',
        },
      ],
      event: {
        id: exampleDelivery.event_id,
        type: exampleDelivery.type,
        api_version: eventApiVersion,
        created_at: exampleDelivery.created_at,
        business_id,
        sequence: exampleDelivery.sequence,
        actor: { type: 'carrier', id: 'twilio' },
        origin: { provider: 'twilio' },
        data: {
          object: { message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11' },
          changed: { status: { from: 'sent', to: 'delivered' } },
          message: null,
        },
      },
    },
  },
});

export const retryWebhookDelivery = operation({
  id: 'retryWebhookDelivery',
  method: 'POST',
  path: `${path}/{webhook_id}/deliveries/{delivery_id}/retry`,
  ...common,
  summary: 'Post one event again',
  description:
    'At once, and by the schedule again where that fails; whether it had failed, was delivered or waits. 409 `conflict` where the webhook is disabled.',
  input: { params: ofDelivery, body: Exactly({ request_id: Type.Optional(RequestId) }) },
  output: { 202: Delivery },
  errors: ['not_found', 'conflict'],
  example: {
    params: { business_id, webhook_id, delivery_id },
    body: {},
    status: 202,
    answer: {
      ...exampleDelivery,
      state: 'pending',
      next_attempt_at: '2026-11-23T09:00:00.000Z',
      settled_at: null,
    },
  },
});

export const replayWebhookDeliveries = operation({
  id: 'replayWebhookDeliveries',
  method: 'POST',
  path: `${path}/{webhook_id}/replay`,
  ...common,
  summary: 'Post events again',
  description:
    "Some by `delivery_ids`; or those of a time or of numbers, oldest first. With `state`, deliveries in that state; without, every event that the webhook's types name, also from before it was made. At most 1,000 a call, found among 10,000 numbers: `next_sequence` is where the next call goes on, as its `from_sequence`. 409 `conflict` where the webhook is disabled.",
  input: {
    params: ofWebhook,
    body: Exactly({
      delivery_ids: Type.Optional(
        Type.Array(DeliveryId, { minItems: 1, maxItems: 100, description: 'These, and nothing else.' }),
      ),
      since: Type.Optional(Time('Events from then on.')),
      until: Type.Optional(Time('Events before then.')),
      from_sequence: Type.Optional(Sequence('Events from this number on.')),
      to_sequence: Type.Optional(Sequence('Events up to this number.')),
      state: Type.Optional(OneOf(['delivered', 'failed'])),
      types: Type.Optional(Type.Array(EventTypeName, { minItems: 1, maxItems: 100 })),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    202: Type.Object({
      replayed: Type.Integer({ minimum: 0, description: 'How many events are to be posted again.' }),
      next_sequence: Nullable(Sequence('Where the next call goes on; null where nothing is left.')),
    }),
  },
  errors: ['not_found', 'conflict'],
  example: {
    params: { business_id, webhook_id },
    body: { delivery_ids: [delivery_id] },
    status: 202,
    answer: { replayed: 1, next_sequence: null },
  },
});

export type Webhook = Static<typeof Webhook>;
export type WebhookDelivery = Static<typeof Delivery>;
export type WebhookAttempt = Static<typeof Attempt>;
