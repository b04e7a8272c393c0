import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../server/core/clock.ts';
import { migrate, openDatabase } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createJobQueue } from '../../server/core/queue/index.ts';
import { allQueues } from '../../server/worker.ts';

const root = join(import.meta.dirname, '..', '..');

/**
 * Where the archive of a migrated, empty database is kept, from which each test file's begins (see engine.ts). Named
 * by all that it is made of, so that a changed migration makes a new one.
 */
async function templatePath(): Promise<string> {
  const hash = createHash('sha256');
  const migrations = (await readdir(join(root, 'server', 'migrations'))).map(
    (file) => `server/migrations/${file}`,
  );
  for (const file of [...migrations.sort(), 'package-lock.json'])
    hash.update(await readFile(join(root, file)));
  hash.update(JSON.stringify(allQueues));
  const name = `tests-${hash.digest('hex').slice(0, 16)}.tar`;
  return join(root, 'node_modules', '.cache', 'omega', name);
}

let found: Promise<string> | undefined;
export const testTemplate = (): Promise<string> => (found ??= templatePath());

/** Makes the archive where it is missing. */
export async function makeTestTemplate(): Promise<void> {
  const path = await testTemplate();
  if (existsSync(path)) return;
  const database = await openDatabase({ kind: 'memory' }, () => undefined);
  await migrate(database.db);
  const log = createLog({ level: 'fatal', pretty: false });
  const queue = createJobQueue(database, { queues: allQueues, log, clock: systemClock, supervise: false });
  await queue.start([]);
  await queue.stop(0);
  const tar = await database.pglite!.dumpDataDir('none');
  await database.close();
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, Buffer.from(await tar.arrayBuffer()));
  await rename(unfinished, path);
}
