import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, Nullable, OneOf, Page, pageQuery, RequestId, Time } from './shapes.ts';

const ofBusiness = Type.Object({ business_id: BusinessId });
const ImportId = Type.String({ format: 'uuid', description: 'The import (UUIDv7).' });
const ofImport = Type.Object({ business_id: BusinessId, import_id: ImportId });

export const ImportError = Type.Object({
  row: Type.Integer({
    description: "NDJSON: the line. CSV: the record, the header's being 1, as spreadsheets count.",
  }),
  path: Type.String({ description: 'The field; empty where the row itself cannot be read.' }),
  message: Type.String(),
});

const summary = {
  import_id: ImportId,
  business_id: BusinessId,
  request_id: Type.String(),
  format: OneOf(['ndjson', 'csv']),
  status: OneOf(['running', 'complete', 'interrupted'], {
    description: '`interrupted`: the stream broke off; what was reached is written. Send it all again.',
  }),
  note: Nullable(Type.String({ description: 'Why it was interrupted.' })),
  rows: Type.Integer({ minimum: 0, description: 'Rows read and settled so far.' }),
  created: Type.Integer({ minimum: 0 }),
  updated: Type.Integer({ minimum: 0 }),
  unchanged: Type.Integer({ minimum: 0 }),
  failed: Type.Integer({ minimum: 0, description: 'Rows that were not written; the others were.' }),
  last_row: Type.Integer({ minimum: 0, description: 'The last row that is settled.' }),
  started_at: Time('When the stream began.'),
  updated_at: Time('When it last got on.'),
  finished_at: Nullable(Time('When it ended.')),
};

export const ClientImport = Type.Object(summary);
export const ClientImportReport = Type.Object({
  ...summary,
  errors: Type.Array(ImportError, {
    description: 'What was wrong with which row: the first 1,000; the rest at `…/errors`.',
  }),
  more_errors: Type.Boolean(),
});

const exampleSummary = {
  import_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e20',
  business_id: 1001,
  request_id: 'nightly-2026-11-21',
  format: 'ndjson',
  status: 'complete',
  note: null,
  rows: 2,
  created: 1,
  updated: 0,
  unchanged: 0,
  failed: 1,
  last_row: 2,
  started_at: '2026-11-21T02:00:00.000Z',
  updated_at: '2026-11-21T02:00:01.000Z',
  finished_at: '2026-11-21T02:00:01.000Z',
};
const exampleErrors = [
  { row: 2, path: 'phones.0', message: 'must be a phone number, best in international form' },
];

export const importClients = operation({
  id: 'importClients',
  method: 'POST',
  path: '/businesses/{business_id}/clients/import',
  tag: 'business-clients',
  summary: 'Import clients as a stream',
  description:
    'The body is a stream of clients, each as in `PUT …/clients/{client_id}` with its `client_id`: NDJSON (`application/x-ndjson`, an object a line) or CSV (`text/csv`, UTF-8, with a header of `client_id, name, phones, emails, location_id, time_zone, language, tags, metadata`; several phones, emails or tags are separated by `;`, an empty cell is left out, `metadata` is JSON). It is read and written as it comes, in constant memory; a wrong row is reported and never stops the others. Running it again changes nothing that is there already. Watch it at `GET …/clients/imports`. When the connection breaks, what was reached stays and the import shows `interrupted`; the same `Idempotency-Key` then starts it again.',
  auth: 'manage',
  bucket: 'send',
  input: { params: ofBusiness },
  bodyStream: ['application/x-ndjson', 'text/csv'],
  bodyLimit: 256 * 1024 * 1024,
  output: { 200: ClientImportReport },
  errors: ['not_found', 'unsupported_media_type', 'body_too_large'],
  example: {
    params: { business_id: 1001 },
    body: '{"client_id":501,"name":"Ana Lima","phones":["+12025550123"]}\n{"client_id":502,"phones":["?"]}\n',
    status: 200,
    answer: { ...exampleSummary, errors: exampleErrors, more_errors: false },
  },
});

export const listClientImports = operation({
  id: 'listClientImports',
  method: 'GET',
  path: '/businesses/{business_id}/clients/imports',
  tag: 'business-clients',
  summary: 'Get paginated list of client imports',
  description: 'Newest first, those that run among them; `request_id` finds the one of a request.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: ofBusiness,
    query: Exactly({ ...pageQuery, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: Page(ClientImport) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    query: { request_id: 'nightly-2026-11-21' },
    status: 200,
    answer: { data: [exampleSummary], next_cursor: null, has_more: false },
  },
});

export const getClientImport = operation({
  id: 'getClientImport',
  method: 'GET',
  path: '/businesses/{business_id}/clients/imports/{import_id}',
  tag: 'business-clients',
  summary: 'Get progress and report of a client import',
  description: 'How far it is while it runs, and the report after.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofImport },
  output: { 200: ClientImportReport },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, import_id: exampleSummary.import_id },
    status: 200,
    answer: { ...exampleSummary, errors: exampleErrors, more_errors: false },
  },
});

export const listClientImportErrors = operation({
  id: 'listClientImportErrors',
  method: 'GET',
  path: '/businesses/{business_id}/clients/imports/{import_id}/errors',
  tag: 'business-clients',
  summary: 'Get paginated list of the errors of a client import',
  description: 'Every one, in the order of the rows.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofImport, query: Exactly(pageQuery) },
  output: { 200: Page(ImportError) },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001, import_id: exampleSummary.import_id },
    query: { limit: 100 },
    status: 200,
    answer: { data: exampleErrors, next_cursor: null, has_more: false },
  },
});
