import { Type } from 'typebox';
import { operation } from './operation.ts';
import {
  BusinessId,
  Channel,
  ClientId,
  Exactly,
  Metadata,
  Nullable,
  OneOf,
  Page,
  pageQuery,
  RequestId,
  Time,
} from './shapes.ts';

const Category = OneOf(['transactional', 'marketing', 'all'], {
  description: 'What it is about; `all` is both.',
});
const State = OneOf(['granted', 'revoked']);

/** One entry of the ledger. It is appended to and never changed. */
const ConsentEntry = Type.Object({
  consent_id: Type.String({ format: 'uuid' }),
  channel: Channel,
  address: Nullable(Type.String({ description: 'Null once the client is erased: a hash is kept instead.' })),
  category: Category,
  state: State,
  source: Type.String({ description: '`keyword`, `carrier`, `complaint`, or what the host said.' }),
  evidence: Type.Record(Type.String(), Type.Unknown()),
  client_id: Nullable(ClientId),
  created_at: Time('When it was written down; the latest decides.'),
});

const example = {
  consent_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e21',
  channel: 'sms',
  address: '+12025550123',
  category: 'marketing',
  state: 'revoked',
  source: 'front_desk',
  evidence: { said: 'no newsletters please' },
  client_id: 501,
  created_at: '2026-11-21T18:04:05.000Z',
};

const ofBusiness = Type.Object({ business_id: BusinessId });

export const listConsents = operation({
  id: 'listConsents',
  method: 'GET',
  path: '/businesses/{business_id}/consents',
  tag: 'consents',
  summary: 'List the consent ledger',
  description: 'Newest first. With `client_id` or `address`, what one client or address said.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofBusiness,
    query: Exactly({
      ...pageQuery,
      client_id: Type.Optional(ClientId),
      address: Type.Optional(
        Type.String({ minLength: 1, maxLength: 320, description: 'A phone or mail address.' }),
      ),
      channel: Type.Optional(Channel),
      state: Type.Optional(State),
    }),
  },
  output: { 200: Page(ConsentEntry) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    query: { client_id: 501 },
    status: 200,
    answer: { data: [example], next_cursor: null, has_more: false },
  },
});

export const recordConsent = operation({
  id: 'recordConsent',
  method: 'POST',
  path: '/businesses/{business_id}/consents',
  tag: 'consents',
  summary: 'Record a consent or its withdrawal',
  description:
    'For an address, or for the address that a client has on the channel. It stands from now on: `revoked` suppresses, and what is queued is checked again before it is sent. A withdrawal of `all` is only lifted by a grant of `all`.',
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofBusiness,
    body: Exactly({
      client_id: Type.Optional(ClientId),
      address: Type.Optional(Type.String({ minLength: 1, maxLength: 320 })),
      channel: OneOf(['sms', 'whatsapp', 'email', 'voice']),
      category: Type.Optional(Category),
      state: State,
      source: Type.String({
        pattern: '^[a-z][a-z0-9_]{0,31}$',
        description: 'Where it was said: `form`, `front_desk`, `email`, `voicemail`, `import`, …',
      }),
      evidence: Type.Optional(Metadata),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 201: ConsentEntry },
  errors: ['not_found', 'no_address'],
  example: {
    params: { business_id: 1001 },
    body: {
      client_id: 501,
      channel: 'sms',
      category: 'marketing',
      state: 'revoked',
      source: 'front_desk',
      evidence: { said: 'no newsletters please' },
    },
    status: 201,
    answer: example,
  },
});
