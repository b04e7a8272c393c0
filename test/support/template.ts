import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../server/core/clock.ts';
import { type Database, migrate, openDatabase } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createJobQueue } from '../../server/core/queue/index.ts';
import { allQueues } from '../../server/worker.ts';

const root = join(import.meta.dirname, '..', '..');

/** Where what tests begin from is kept from one run to the next. */
export const cacheFolder = join(root, 'node_modules', '.cache', 'omega');

/** Names all that a migrated database is made of, so that a changed migration makes a new one. */
async function schemaHash(): Promise<string> {
  const hash = createHash('sha256');
  const migrations = (await readdir(join(root, 'server', 'migrations'))).map(
    (file) => `server/migrations/${file}`,
  );
  for (const file of [...migrations.sort(), 'package-lock.json'])
    hash.update(await readFile(join(root, file)));
  hash.update(JSON.stringify(allQueues));
  return hash.digest('hex').slice(0, 16);
}

let hashed: Promise<string> | undefined;
export const hashOfSchema = (): Promise<string> => (hashed ??= schemaHash());

/** The archive of a migrated, empty database, from which each test file's begins: see engine.ts. */
export const testTemplate = async (): Promise<string> =>
  join(cacheFolder, `tests-${await hashOfSchema()}.tar`);

/** Brings an empty database to where a process of Omega would find it at its second start. */
export async function prepare(database: Database): Promise<void> {
  await migrate(database.db);
  const log = createLog({ level: 'fatal', pretty: false });
  const queue = createJobQueue(database, { queues: allQueues, log, clock: systemClock, supervise: false });
  await queue.start([]);
  await queue.stop(0);
}

/** Makes the archive where it is missing. */
export async function makeTestTemplate(): Promise<void> {
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
