import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthenticate } from '../../server/access/index.ts';
import { allRoutes } from '../../server/app.ts';
import { systemClock } from '../../server/core/clock.ts';
import { type Database, openDatabase } from '../../server/core/db/index.ts';
import { createEventSignal } from '../../server/core/events/index.ts';
import { type Binding, buildHttp, createCursors, defaultLimits } from '../../server/core/http/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createMetrics } from '../../server/core/metrics.ts';
import { createJobQueue } from '../../server/core/queue/index.ts';
import { createSecrets } from '../../server/core/secrets.ts';
import { createIntake } from '../../server/messages/index.ts';
import { createEventStreams } from '../../server/realtime/index.ts';
import { createReceipts } from '../../server/receipts/index.ts';
import { createWebhooks } from '../../server/webhooks/index.ts';
import { testSecret } from '../support/omega.ts';

let database: Database;
let bindings: Binding[];

beforeAll(async () => {
  database = await openDatabase({ kind: 'memory' }, () => undefined);
  const { db } = database;
  const secrets = createSecrets(testSecret);
  const queue = createJobQueue(database, { queues: [], log, clock: systemClock, supervise: false });
  const events = createEventSignal(database, log);
  bindings = allRoutes({
    database,
    queue,
    queues: [],
    streams: createEventStreams({ db, events, holding: async () => new Set(), log }),
    clock: systemClock,
    log,
    metrics: createMetrics(database.pools),
    secrets,
    cursors: createCursors(secrets),
    intake: createIntake({ db, queue, clock: systemClock, secrets, lanes: 1 }),
    receipts: createReceipts({ db, clock: systemClock, log, secrets, sources: [] }),
    carriers: new Map(),
    webhooks: createWebhooks({ db, queue, clock: systemClock, log, secrets }),
    version: '0.0.0',
    basePath: '/omega',
    publicUrl: 'http://127.0.0.1',
    secureCookies: false,
    simulator: true,
  });
});
afterAll(() => database.close());

const log = createLog({ level: 'fatal', pretty: false });

const build = (some: Binding[]) =>
  buildHttp({
    bindings: some,
    authenticate: createAuthenticate(database.db, systemClock, log),
    db: database.db,
    clock: systemClock,
    secrets: createSecrets(testSecret),
    log,
    limits: defaultLimits,
    basePath: '/omega',
    publicUrl: 'http://127.0.0.1',
    version: '0.0.0',
    checkAnswers: true,
  });

test('with a function for every row it starts', async () => {
  const http = await build(bindings);
  await http.ready();
  await http.close();
});

test('a row of the contract without a function stops the start and is named', async () => {
  const some = bindings.filter(({ id }) => id !== 'queueSms' && id !== 'addNote');
  await expect(build(some)).rejects.toThrow(/without a function: queueSms, addNote\./);
});

test('a function without a row of the contract stops the start and is named', async () => {
  const stray = { ...bindings[0]!, id: 'sendFax' } as unknown as Binding;
  await expect(build([...bindings, stray])).rejects.toThrow(/sendFax, which the contract does not have/);
});

test('two functions for one row stop the start', async () => {
  await expect(build([...bindings, bindings[0]!])).rejects.toThrow(
    new RegExp(`Two functions are bound to ${bindings[0]!.id}`),
  );
});
