import { Type } from 'typebox';
import { operation } from './operation.ts';
import { OneOf } from './shapes.ts';

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
