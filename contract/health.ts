import { Type } from 'typebox';
import { operation } from './operation.ts';
import { OneOf, ReadinessCheck } from './shapes.ts';

export const getHealth = operation({
  id: 'getHealth',
  method: 'GET',
  path: '/health',
  tag: 'health',
  summary: 'Get Health',
  description:
    'Whether the process lives. It asks nothing of the database, so it stays green while that is down.',
  auth: 'public',
  bucket: 'none',
  input: {},
  output: {
    200: Type.Object({ status: OneOf(['ok']), version: Type.String(), uptime_s: Type.Number() }),
  },
  errors: [],
  example: { status: 200, answer: { status: 'ok', version: '0.1.0', uptime_s: 12.5 } },
});

export const checkDbConnection = operation({
  id: 'checkDbConnection',
  method: 'GET',
  path: '/health/db',
  tag: 'health',
  summary: 'Check Db Connection',
  description:
    'Whether the database answers and its schema is this version. 503 with `Retry-After` where not.',
  auth: 'public',
  bucket: 'none',
  input: {},
  output: {
    200: Type.Object({
      status: OneOf(['ok']),
      database: OneOf(['pglite', 'postgres']),
      schema_version: Type.String({ description: 'The newest migration applied.' }),
      latency_ms: Type.Number({ description: 'Of one empty query.' }),
    }),
  },
  errors: ['unavailable'],
  example: {
    status: 200,
    answer: { status: 'ok', database: 'pglite', schema_version: '0001_initial', latency_ms: 0.4 },
  },
});

const checks = [
  { name: 'database', state: 'ok', detail: 'It answers.', remedy: null },
  { name: 'migrations', state: 'ok', detail: 'The schema is this version.', remedy: null },
  { name: 'worker', state: 'ok', detail: '1 works on the queues.', remedy: null },
  { name: 'queue', state: 'ok', detail: 'Nothing that is due waits.', remedy: null },
];

export const getReadiness = operation({
  id: 'getReadiness',
  method: 'GET',
  path: '/health/ready',
  tag: 'health',
  summary: 'Get readiness',
  description:
    'Whether messages get out: the database answers, its schema is this version, a worker lives (of any process; its last sign is 30 s old at most), and no job has been due for more than five minutes. 503 `not_ready` where not, with the same `checks`, each with its remedy. For alarms; a load balancer asks `/health/db`, since a server without a worker can take requests all the same. Beyond the source.',
  auth: 'public',
  bucket: 'none',
  input: {},
  output: { 200: Type.Object({ status: OneOf(['ok']), checks: Type.Array(ReadinessCheck) }) },
  errors: ['not_ready'],
  example: { status: 200, answer: { status: 'ok', checks } },
});

export const getMetrics = operation({
  id: 'getMetrics',
  method: 'GET',
  path: '/metrics',
  tag: 'health',
  summary: 'Get metrics',
  description:
    "What Prometheus scrapes, in its text format: requests by operation, queues (jobs, and how long the oldest has been due), dead letters, messages by channel and status, carriers' calls, webhooks, connections, the event loop and the process. A platform key, as `X-API-KEY` or as `Authorization: Bearer`. Series of a process have the label `process`; a worker without HTTP is told here too. No label names a business. Beyond the source.",
  auth: 'platform',
  bucket: 'read',
  bytes: 'text/plain',
  input: {},
  output: { 200: Type.Unsafe<Uint8Array>({ description: 'Text format 0.0.4.' }) },
  errors: [],
  example: {
    status: 200,
    answer: 'omega_queue_jobs{queue="send-message",state="due"} 12\n',
  },
});
