import { Type } from 'typebox';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  ConversationId,
  ConversationStatus,
  Exactly,
  LastMessage,
  LocationId,
  Metadata,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  RequestId,
  StaffId,
  Time,
} from './shapes.ts';

const ofBusiness = Type.Object({ business_id: BusinessId });
const ofClient = Type.Object({ business_id: BusinessId, client_id: ClientId });

const Tags = Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 50 });

const common = {
  client_id: ClientId,
  business_id: BusinessId,
  name: Nullable(Type.String()),
  provisional: Type.Boolean({
    description: 'Made by Omega for an unknown address, until merged into a host client.',
  }),
  location_id: Nullable(LocationId),
  language: Nullable(Type.String({ description: 'BCP 47: `en`, `pt-BR`.' })),
  tags: Type.Array(Type.String()),
  last_seen_at: Nullable(Time('When they last wrote or called.')),
  created_at: Time('When Omega first knew of them.'),
  updated_at: Time('When what is known of them last changed.'),
};

export const ClientRow = Type.Object({
  ...common,
  phone: Nullable(Type.String({ description: 'Their first phone, E.164.' })),
  email: Nullable(Type.String({ description: 'Their first mail address.' })),
  unread_count: Type.Integer({ minimum: 0, description: 'Messages of theirs that staff have not read.' }),
  opted_out: Type.Array(Channel, { description: 'Channels on which their first address opted out.' }),
});

const Verdict = Type.Object({
  allowed: Type.Boolean({ description: 'Whether a message of this kind would be sent now.' }),
  reason: OneOf(['no_record', 'opted_in', 'opted_out'], { description: 'Why.' }),
  source: Nullable(Type.String({ description: 'Where it was said: `keyword`, `carrier`, `api`, …' })),
  at: Nullable(Time('When it was said.')),
});

export const ClientProfile = Type.Object({
  ...common,
  time_zone: Nullable(Type.String({ description: "An IANA name; the business's where null." })),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  addresses: Type.Array(
    Type.Object({
      kind: OneOf(['phone', 'email', 'other']),
      address: Type.String(),
      primary: Type.Boolean({ description: 'The one that is written to unless told.' }),
    }),
  ),
  consent: Type.Array(
    Type.Object({ channel: Channel, address: Type.String(), transactional: Verdict, marketing: Verdict }),
    { description: 'For each channel and address. It belongs to the address: who shares a phone shares it.' },
  ),
  conversation: Nullable(
    Type.Object(
      {
        conversation_id: ConversationId,
        status: ConversationStatus,
        assignee_staff_id: Nullable(StaffId),
        unread_count: Type.Integer({ minimum: 0 }),
        waiting_since: Nullable(Time("When the client's first unanswered message came.")),
        last_message: Nullable(LastMessage),
      },
      { description: 'The one that is not closed, else the latest.' },
    ),
  ),
  counts: Type.Object({
    messages_in: Type.Integer({ minimum: 0 }),
    messages_out: Type.Integer({ minimum: 0 }),
    conversations: Type.Integer({ minimum: 0 }),
    capped: Type.Boolean({
      description: 'There are more than 10,000 messages (or conversations): only so many were counted.',
    }),
  }),
  merged_from: Type.Array(ClientId, { description: 'Ids that were merged into this one; they lead here.' }),
  erased_at: Nullable(Time('When everything about them was erased; only counts are left.')),
});

const exampleCommon = {
  client_id: 501,
  business_id: 1001,
  name: 'Ana Lima',
  provisional: false,
  location_id: 1,
  language: 'pt-BR',
  tags: ['regular'],
  last_seen_at: '2026-11-21T18:04:05.000Z',
  created_at: '2026-11-20T09:00:00.000Z',
  updated_at: '2026-11-20T09:00:00.000Z',
};

const noRecord = { allowed: true, reason: 'no_record', source: null, at: null };

export const exampleProfile = {
  ...exampleCommon,
  time_zone: 'America/Sao_Paulo',
  metadata: { member_since: '2019' },
  addresses: [
    { kind: 'phone', address: '+12025550123', primary: true },
    { kind: 'email', address: 'ana@example.com', primary: true },
  ],
  consent: [
    {
      channel: 'sms',
      address: '+12025550123',
      transactional: {
        allowed: false,
        reason: 'opted_out',
        source: 'keyword',
        at: '2026-11-21T18:04:05.000Z',
      },
      marketing: { allowed: false, reason: 'opted_out', source: 'keyword', at: '2026-11-21T18:04:05.000Z' },
    },
    { channel: 'email', address: 'ana@example.com', transactional: noRecord, marketing: noRecord },
  ],
  conversation: {
    conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12',
    status: 'open',
    assignee_staff_id: 12345,
    unread_count: 1,
    waiting_since: '2026-11-21T18:04:05.000Z',
    last_message: {
      message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
      preview: 'STOP',
      channel: 'sms',
      direction: 'inbound',
      status: 'received',
      at: '2026-11-21T18:04:05.000Z',
    },
  },
  counts: { messages_in: 1, messages_out: 3, conversations: 1, capped: false },
  merged_from: [],
  erased_at: null,
};

export const listClients = operation({
  id: 'listClients',
  method: 'GET',
  path: '/businesses/{business_id}/clients',
  tag: 'business-clients',
  summary: 'Get paginated list of clients for a business',
  description:
    'A row for each client who was neither merged nor erased. Filters narrow together; the cursor holds for the filters it was given with. `q` finds by name (every word as a beginning, case and accents do not matter), by phone (its beginning, with or without country code, or its last 7 or 4 digits) or by mail address (its beginning).',
  auth: 'read',
  bucket: 'search',
  input: {
    params: ofBusiness,
    query: Exactly({
      ...pageQuery,
      q: Type.Optional(
        Type.String({ minLength: 1, maxLength: 200, description: 'Words of a name, a phone, or a mail.' }),
      ),
      location_id: Type.Optional(LocationId),
      provisional: Type.Optional(
        Type.Boolean({ description: 'Only those whom Omega made, or whom the host knows.' }),
      ),
      opted_out: Type.Optional(
        Type.String({
          pattern: '^[a-z][a-z0-9_]{0,31}$',
          description: 'Only those who opted out of this channel.',
        }),
      ),
      has_unread: Type.Optional(
        Type.Boolean({ description: 'Only those with, or without, unread messages.' }),
      ),
      sort: Type.Optional(
        OneOf(['name', 'last_seen', 'newest'], {
          default: 'name',
          description: 'By name (the nameless last), by when they last wrote, or by when they were added.',
        }),
      ),
    }),
  },
  output: { 200: Page(ClientRow) },
  errors: ['not_found', 'search_too_slow'],
  example: {
    params: { business_id: 1001 },
    query: { q: 'ana li' },
    status: 200,
    answer: {
      data: [
        {
          ...exampleCommon,
          phone: '+12025550123',
          email: 'ana@example.com',
          unread_count: 1,
          opted_out: ['sms'],
        },
      ],
      next_cursor: null,
      has_more: false,
    },
  },
});

export const getClient = operation({
  id: 'getClient',
  method: 'GET',
  path: '/businesses/{business_id}/clients/{client_id}',
  tag: 'business-clients',
  summary: 'Get detailed client profile and conversation information',
  description:
    'What is known of a client, with their addresses, what they allow on each channel and why, and where their conversation stands. The id of a client who was merged answers with the one they are now (`merged_from` names it); an erased one answers with `erased_at` and counts alone.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofClient },
  output: { 200: ClientProfile },
  errors: ['not_found'],
  example: { params: { business_id: 1001, client_id: 501 }, status: 200, answer: exampleProfile },
});

/** What a host tells of a client: in a PUT, and in each row of an import. */
export const clientFields = {
  name: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200 }))),
  phones: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      maxItems: 20,
      description:
        'E.164 or national. All of them: one that is left out of the list is removed. First: primary.',
    }),
  ),
  emails: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 320 }), {
      maxItems: 20,
      description: 'All of them, as `phones`.',
    }),
  ),
  location_id: Type.Optional(Nullable(LocationId)),
  time_zone: Type.Optional(
    Nullable(Type.String({ minLength: 1, maxLength: 64, description: 'An IANA name.' })),
  ),
  language: Type.Optional(
    Nullable(
      Type.String({
        pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$',
        maxLength: 35,
        description: 'BCP 47: `en`, `pt-BR`.',
      }),
    ),
  ),
  tags: Type.Optional(Tags),
  metadata: Type.Optional(Metadata),
};

export const upsertClient = operation({
  id: 'upsertClient',
  method: 'PUT',
  path: '/businesses/{business_id}/clients/{client_id}',
  tag: 'business-clients',
  summary: 'Create or update a client',
  description:
    'What is named is written, what is left out stays as it is, null takes it away; `phones`, `emails`, `tags` and `metadata` are replaced as a whole. 201 for a new client, else 200. A client who was merged into another or erased is not written: 409.',
  auth: 'send',
  bucket: 'send',
  input: { params: ofClient, body: Exactly({ ...clientFields, request_id: Type.Optional(RequestId) }) },
  output: { 200: ClientProfile, 201: ClientProfile },
  errors: ['not_found', 'conflict'],
  example: {
    params: { business_id: 1001, client_id: 501 },
    body: {
      name: 'Ana Lima',
      phones: ['+12025550123'],
      emails: ['ana@example.com'],
      location_id: 1,
      time_zone: 'America/Sao_Paulo',
      language: 'pt-BR',
      tags: ['regular'],
      metadata: { member_since: '2019' },
    },
    status: 200,
    answer: exampleProfile,
  },
});
