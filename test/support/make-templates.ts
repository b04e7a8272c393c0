/**
 * A program: makes what databases of tests begin from. In a process of its own, for what starts the real Postgres also
 * decides how its process exits, and a run of tests that failed would exit with 0.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../server/core/clock.ts';
import { type Database, migrate, openDatabase } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createJobQueue } from '../../server/core/queue/index.ts';
import { allQueues } from '../../server/worker.ts';
import { freePort, migrated, serverIn, urlOf } from './postgres.ts';
import { postgresTemplate, testTemplate } from './template.ts';

/** Brings an empty database to where a process of Omega would find it at its second start. */
async function prepare(database: Database): Promise<void> {
  await migrate(database.db);
  const log = createLog({ level: 'fatal', pretty: false });
  const queue = createJobQueue(database, { queues: allQueues, log, clock: systemClock, supervise: false });
  await queue.start([]);
  await queue.stop(0);
}

/** Makes the archive where it is missing. */
async function makeTestTemplate(): Promise<void> {
  const path = await testTemplate();
  if (existsSync(path)) return;
  const database = await openDatabase({ kind: 'memory' }, () => undefined);
  await prepare(database);
  const tar = await database.pglite!.dumpDataDir('none');
  await database.close();
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, Buffer.from(await tar.arrayBuffer()));
  await rename(unfinished, path);
}

/** Makes the data folder that each test's Postgres begins with, where it is missing: `initdb` takes 3 s, a copy 0.2. */
async function makePostgresTemplate(): Promise<void> {
  if (existsSync(await postgresTemplate())) return;
  const folder = await mkdtemp(join(tmpdir(), 'omega-postgres-'));
  const port = await freePort();
  const server = serverIn(folder, port);
  await server.initialise();
  await server.start();
  await server.createDatabase(migrated);
  const database = await openDatabase(
    { kind: 'postgres', url: urlOf(port, migrated), poolSize: 2 },
    () => undefined,
  );
  await prepare(database);
  await database.close();
  await server.stop();
  // With its owner, whom `initialise` may just have made.
  const template = await postgresTemplate();
  const unfinished = `${template}.${process.pid}`;
  await promisify(execFile)('cp', ['-a', folder, unfinished]);
  await rename(unfinished, template);
  await rm(folder, { recursive: true, force: true });
}

await makeTestTemplate();
await makePostgresTemplate();
