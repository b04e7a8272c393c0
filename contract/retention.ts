import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, Nullable, RequestId, Time } from './shapes.ts';

const MessageDays = Nullable(
  Type.Integer({
    minimum: 1,
    maximum: 3650,
    description: 'Days after which the content of a message is taken away; null: never.',
  }),
);

const Retention = Type.Object({
  business_id: BusinessId,
  message_days: MessageDays,
  last_run_at: Nullable(Time('When the last run came to its end; null before the first.')),
  last_run_purged: Nullable(
    Type.Integer({ minimum: 0, description: 'The messages whose content that run took away.' }),
  ),
  messages_purged: Type.Integer({ minimum: 0, description: 'In all, up to now.' }),
  running_since: Nullable(Time('Since when a run is under way.')),
  next_run_at: Nullable(Time('When the next run is due; null where nothing is to be taken away.')),
  updated_at: Nullable(Time('When the policy was last set; null where it never was.')),
});

const example = {
  business_id: 1001,
  message_days: 730,
  last_run_at: '2026-11-22T09:00:00.000Z',
  last_run_purged: 1240,
  messages_purged: 18_302,
  running_since: null,
  next_run_at: '2026-11-22T10:00:00.000Z',
  updated_at: '2026-11-01T09:00:00.000Z',
};

const ofBusiness = Type.Object({ business_id: BusinessId });

export const getRetention = operation({
  id: 'getRetention',
  method: 'GET',
  path: '/businesses/{business_id}/retention',
  tag: 'businesses',
  summary: 'Show how long a business keeps what its messages say',
  description: 'With when content was last taken away, and of how many messages. Beyond the source.',
  auth: 'read',
  bucket: 'read',
  input: { params: ofBusiness },
  output: { 200: Retention },
  errors: ['not_found'],
  example: { params: { business_id: 1001 }, status: 200, answer: example },
});

export const setRetention = operation({
  id: 'setRetention',
  method: 'PUT',
  path: '/businesses/{business_id}/retention',
  tag: 'businesses',
  summary: 'Set how long a business keeps what its messages say',
  description:
    "After `message_days` days, counted from when a message happened, was due, was sent or failed, whichever came last, a worker takes its content away for good: text, subject, HTML, files, the client's address, `metadata`, `external_ref`, a call's details, what it was found by in searches, and what carriers posted of it. The content reads `[erased]`. Messages and notes themselves stay, with status, dates, counts and timeline, and so does the consent ledger. What waits to be sent is left alone. It begins within a minute and then looks every hour; what is taken away does not come back with a longer time. Beyond the source.",
  auth: 'manage',
  bucket: 'send',
  input: {
    params: ofBusiness,
    body: Exactly({ message_days: MessageDays, request_id: Type.Optional(RequestId) }),
  },
  output: { 200: Retention },
  errors: ['not_found'],
  example: {
    params: { business_id: 1001 },
    body: { message_days: 730 },
    status: 200,
    answer: { ...example, next_run_at: '2026-11-22T09:12:00.000Z', updated_at: '2026-11-22T09:12:00.000Z' },
  },
});
