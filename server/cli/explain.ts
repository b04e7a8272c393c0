import { type Config, ConfigError } from '../config.ts';
import { DataDirInUse } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import { WrongSecret } from '../secret-fits.ts';

/**
 * What a person should read in place of a stack, where the cause lies outside the program: one
 * sentence that says what to do. Null where it is a fault of ours.
 */
export function explain(error: unknown, config: Config | null): string | null {
  if (error instanceof ConfigError || error instanceof DataDirInUse || error instanceof WrongSecret)
    return error.message;
  if (error instanceof Fault && error.status < 500) return error.message;
  const { code, syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (!config || !code) return corrupted(error);
  if (syscall === 'listen' || (syscall === 'getaddrinfo' && config.database.kind !== 'postgres'))
    return explainListen(code, config);
  if (config.database.kind === 'postgres') return explainPostgres(code, error, config);
  if (path !== undefined) return explainFile(code, path);
  return null;
}

function explainListen(code: string, { port, host }: Config): string | null {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} is taken by another program: stop that one, or set PORT to a free one, like PORT=${port + 1}.`;
    case 'EACCES':
      return `Port ${port} is for the superuser: set PORT to one above 1023, like PORT=8080.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST is ${host}, which is no address of this machine: set it to 127.0.0.1 for this machine alone, or 0.0.0.0 for its network.`;
    default:
      return null;
  }
}

/** Codes of Node's sockets and of Postgres (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
function explainPostgres(code: string, error: unknown, { databaseName }: Config): string | null {
  const name = databaseName.split('/').slice(1).join('/');
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EPIPE':
    case 'ENOENT':
      return `The database at ${databaseName} does not answer (${code}): start it, or correct DATABASE_URL.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The database's host in ${databaseName} is not known (${code}): correct DATABASE_URL.`;
    case '57P03':
    case '57P01':
      return `The database at ${databaseName} is just starting or stopping: try again in a moment.`;
    case '53300':
      return `The database at ${databaseName} has no connection left: raise its max_connections, or run fewer processes.`;
    case '28P01':
    case '28000':
      return `The database at ${databaseName} refuses the user or password of DATABASE_URL: correct them.`;
    case '3D000':
      return `There is no database at ${databaseName}: create it (createdb ${name}), or correct DATABASE_URL.`;
    case '42501':
      return `The user of DATABASE_URL may not do this at ${databaseName}: ${messageOf(error)}. Grant it the right, or name the database's owner.`;
    case '25006':
      return `The database at ${databaseName} is read-only (a replica?): name the primary in DATABASE_URL.`;
    default:
      return null;
  }
}

function explainFile(code: string, path: string): string | null {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `Omega may not write to ${path} (${code}): make it writable for this user, or set OMEGA_DATA_DIR to another folder.`;
    case 'ENOSPC':
      return `The disk of ${path} is full (ENOSPC): make room, or set OMEGA_DATA_DIR to a folder on another disk.`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `${path} is not a folder (${code}): set OMEGA_DATA_DIR to another.`;
    default:
      return null;
  }
}

/** What tells by its text alone. */
function corrupted(error: unknown): string | null {
  const message = messageOf(error);
  if (/timeout exceeded when trying to connect|Connection terminated/.test(message)) {
    return 'The database does not answer: start it, or correct DATABASE_URL.';
  }
  // Kysely's words where the database has a migration that the code does not.
  if (/corrupted migrations|previously executed migration/.test(message)) {
    return 'The database was migrated by a newer version of Omega: run that version, or restore a backup.';
  }
  return null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
