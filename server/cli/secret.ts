import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ConfigError, shortestSecret } from '../config.ts';
import { makeFolder } from '../core/make-folder.ts';

/** Where the secret of an embedded database is kept, beside its data. */
export const secretFile = (dataDir: string) => join(dataDir, 'secret');

/**
 * The secret that credentials are sealed with: the one of OMEGA_SECRET, else the one kept in the
 * data folder, else a new one, kept there for its owner's eyes alone.
 */
export async function secretOf(config: Config): Promise<string> {
  if (config.secret !== null) return config.secret;
  if (config.dataDir === null) return newSecret();
  return (await keptSecret(config.dataDir)) ?? makeSecret(config.dataDir);
}

/** The secret in the data folder, or null where there is none yet. */
export async function keptSecret(dataDir: string): Promise<string | null> {
  let secret: string;
  try {
    secret = (await readFile(secretFile(dataDir), 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (Buffer.byteLength(secret) >= shortestSecret) return secret;
  throw new ConfigError(
    `The secret in ${secretFile(dataDir)} has been cut off: put the file back from a backup, or set OMEGA_SECRET to what it was.`,
  );
}

async function makeSecret(dataDir: string): Promise<string> {
  // Clients' words will be in here: nobody else on the machine needs to read them.
  await makeFolder(dataDir, 0o700);
  const unfinished = join(dataDir, `secret.${process.pid}`);
  await writeFile(unfinished, `${newSecret()}\n`, { mode: 0o600 });
  try {
    // A link appears whole or not at all, and never over one that another start has just made.
    await link(unfinished, secretFile(dataDir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
  return (await keptSecret(dataDir))!;
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}
