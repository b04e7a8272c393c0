/** Where what tests begin from is kept. Imports nothing of Omega: each run looks here before anything else. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..');

/** Kept from one run to the next. */
export const cacheFolder = join(root, 'node_modules', '.cache', 'omega');

/** Names all that a prepared database is made of: migrations, queues, the versions of what makes them. */
async function schemaHash(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(root, 'package-lock.json')));
  const server = join(root, 'server');
  for (const file of (await readdir(server, { recursive: true })).sort()) {
    if (!/\.(ts|sql)$/.test(file)) continue;
    const text = await readFile(join(server, file), 'utf8');
    if (file.startsWith('migrations') || text.includes('QueueDefinition<')) hash.update(text);
  }
  return hash.digest('hex').slice(0, 16);
}

let hashed: Promise<string> | undefined;
const hashOfSchema = (): Promise<string> => (hashed ??= schemaHash());

/** The archive of a migrated, empty database, from which each test file's begins: see engine.ts. */
export const testTemplate = async (): Promise<string> =>
  join(cacheFolder, `tests-${await hashOfSchema()}.tar`);

export const isRoot = process.getuid?.() === 0;

/** By whom a Postgres's data must be owned, as it does not run as root; null where that user is still missing. */
async function ownerOfData(): Promise<string | null> {
  if (!isRoot) return String(process.getuid?.() ?? 'user');
  return promisify(execFile)('id', ['-u', 'postgres']).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
}

/** The data folder of a real Postgres that has a migrated, empty database: see postgres.ts. */
export const postgresTemplate = async (): Promise<string> =>
  join(cacheFolder, `postgres-${await hashOfSchema()}-of-${await ownerOfData()}`);
