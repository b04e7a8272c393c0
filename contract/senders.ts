import { Type } from 'typebox';
import { SenderAddress, SenderChannel, SenderProvider } from './business.ts';
import { operation } from './operation.ts';
import {
  BusinessId,
  Exactly,
  LocationId,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  RequestId,
  Time,
} from './shapes.ts';

/** What a business sends from. */
const SenderRow = Type.Object({
  sender_id: Type.String({ format: 'uuid', description: 'The sender (UUIDv7).' }),
  business_id: BusinessId,
  channel: SenderChannel,
  address: Type.String({ description: 'E.164, a short code, a name, or a mail address.' }),
  name: Nullable(Type.String({ description: "A mail's display name." })),
  provider: Type.String({ description: 'Who carries its messages.' }),
  location_id: Nullable(LocationId),
  reply_domain: Nullable(Type.String()),
  is_default: Type.Boolean({
    description:
      'What a message of its channel goes from that names neither `from` nor a location with a sender of its own: the oldest without a location, else the oldest.',
  }),
  active: Type.Boolean({ description: 'False once it was removed: nothing new goes from it.' }),
  paused_at: Nullable(
    Time('Since when its carrier refuses the account it sends with: what goes from it waits in the queue.'),
  ),
  paused_reason: Nullable(Type.String({ description: 'Why: our canonical word.' })),
  created_at: Time('When it was first brought in.'),
  updated_at: Time('When it last changed.'),
});

const example = {
  sender_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e51',
  business_id: 1001,
  channel: 'sms',
  address: '+15005550006',
  name: null,
  provider: 'simulator',
  location_id: 1,
  reply_domain: null,
  is_default: true,
  active: true,
  paused_at: null,
  paused_reason: null,
  created_at: '2026-11-01T09:00:00.000Z',
  updated_at: '2026-11-01T09:00:00.000Z',
};

const ofBusiness = Type.Object({ business_id: BusinessId });

export const listSenders = operation({
  id: 'listSenders',
  method: 'GET',
  path: '/businesses/{business_id}/senders',
  tag: 'businesses',
  summary: 'List what a business sends from',
  description:
    'The numbers and mail addresses to choose from, in the order they were brought in: any of them can be the `from` of a message. Those that were removed are listed with `active=false`. Beyond the source.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofBusiness,
    query: Exactly({
      ...pageQuery,
      channel: Type.Optional(SenderChannel),
      location_id: Type.Optional(LocationId),
      active: Type.Optional(Type.Boolean({ default: true })),
    }),
  },
  output: { 200: Page(SenderRow) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    query: { channel: 'sms' },
    status: 200,
    answer: { data: [example], next_cursor: null, has_more: false },
  },
});

export const upsertSender = operation({
  id: 'upsertSender',
  method: 'PUT',
  path: '/businesses/{business_id}/senders',
  tag: 'businesses',
  summary: 'Add or change a sender',
  description:
    'A sender is known by its channel and address. What is named is written, what is left out stays as it is, null takes it away; a new one needs its `provider`. 201 for one that is new or had been removed, else 200. What onboarding checks is checked here: the form of the address, the location, that this Omega has the carrier and the business its credentials. The carrier itself is then told and asked as at onboarding: see the steps `provider_webhooks` and `test_message` of `GET /business/{business_id}/onboarding`. Messages that wait to be sent keep the carrier that they were queued with. Beyond the source.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofBusiness,
    body: Exactly({
      channel: SenderChannel,
      address: SenderAddress,
      name: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200 }))),
      provider: Type.Optional(SenderProvider),
      location_id: Type.Optional(Nullable(LocationId)),
      reply_domain: Type.Optional(Nullable(Type.String({ minLength: 3, maxLength: 189 }))),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: SenderRow, 201: SenderRow },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    body: { channel: 'sms', address: '+15005550006', provider: 'simulator', location_id: 1 },
    status: 200,
    answer: example,
  },
});

export const removeSender = operation({
  id: 'removeSender',
  method: 'DELETE',
  path: '/businesses/{business_id}/senders/{sender_id}',
  tag: 'businesses',
  summary: 'Remove a sender',
  description:
    'Nothing new goes from it. Past messages keep it as their `from`, and what clients still write or call to it is received as before, for as long as the carrier hands it over. Where messages are scheduled to go from it, it is 409 with how many, unless `scheduled` says that they may: then they go from it when they are due, as do those that are on their way already. A retry of a message goes from the sender that it had. Doing it again answers the same; `PUT …/senders`, or an onboarding that names it, brings it back. Beyond the source.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: Type.Object({
      business_id: BusinessId,
      sender_id: Type.String({ format: 'uuid', description: 'The sender (UUIDv7).' }),
    }),
    body: Exactly({
      scheduled: Type.Optional(
        OneOf(['send'], { description: 'What is scheduled to go from it goes from it all the same.' }),
      ),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: SenderRow },
  errors: ['not_found', 'conflict'],
  example: {
    params: { business_id: 1001, sender_id: example.sender_id },
    body: { scheduled: 'send' },
    status: 200,
    answer: {
      ...example,
      is_default: false,
      active: false,
      updated_at: '2026-11-22T09:00:00.000Z',
    },
  },
});
