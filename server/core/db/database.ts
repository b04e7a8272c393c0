import { existsSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PGlite, types as pgliteTypes } from '@electric-sql/pglite';
import { Kysely, PGliteDialect, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { lockDataDir } from './data-dir-lock.ts';
import type { Tables } from './tables.ts';
import { templateDir, templateTar } from './template.ts';

/** The handle that reads outside a transaction. An act takes a {@link Tx} instead. */
export type Db = Kysely<Tables>;
/** An open transaction. On PGlite a query on {@link Db} made inside one would wait for ever. */
export type Tx = Transaction<Tables>;

export type DatabaseTarget =
  | {
      kind: 'postgres';
      url: string;
      poolSize: number;
      /** How long a statement waits for a lock before the caller gets 409; 5 s unless told. */
      lockTimeoutMs?: number;
    }
  | { kind: 'pglite'; dataDir: string }
  /** Keeps nothing. */
  | { kind: 'memory' };

export interface Database {
  db: Db;
  kind: 'pglite' | 'postgres';
  /** The embedded database, for the queue to share; null on Postgres. */
  pglite: PGlite | null;
  url: string | null;
  close(): Promise<void>;
}

/** Ids up to 2^53-1 and counts: numbers, not text (int8 is oid 20). */
const int8Oid = 20;

/**
 * Opens the database: Postgres by its URL, else the embedded PGlite on a folder that one process at
 * a time may hold. Does not migrate.
 */
export async function openDatabase(
  target: DatabaseTarget,
  onError: (error: Error) => void,
): Promise<Database> {
  return target.kind === 'postgres' ? openPostgres(target, onError) : openPglite(target);
}

function openPostgres(
  { url, poolSize, lockTimeoutMs = 5_000 }: DatabaseTarget & { kind: 'postgres' },
  onError: (error: Error) => void,
): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    application_name: 'omega',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    // A statement or lock that takes longer is a fault: the caller gets 503 or 409 and may repeat.
    options: `-c statement_timeout=15000 -c lock_timeout=${lockTimeoutMs} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC`,
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8Oid
          ? Number
          : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
    },
  });
  // An idle connection that the server ends: without a listener this would end the process.
  pool.on('error', onError);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return { db, kind: 'postgres', pglite: null, url, close: () => db.destroy() };
}

async function openPglite(
  target: { kind: 'pglite'; dataDir: string } | { kind: 'memory' },
): Promise<Database> {
  const parsers = { [pgliteTypes.INT8]: Number };
  let pglite: PGlite;
  let unlock = async () => {};
  if (target.kind === 'memory') {
    const tar = templateTar();
    const loadDataDir = existsSync(tar) ? new Blob([await readFile(tar)]) : undefined;
    pglite = new PGlite({ dataDir: 'memory://', parsers, loadDataDir });
  } else {
    const folder = join(target.dataDir, 'pglite');
    await mkdir(target.dataDir, { recursive: true });
    unlock = await lockDataDir(target.dataDir);
    // Making a database takes seconds, copying one that the installation made takes milliseconds.
    if (!existsSync(folder) && existsSync(templateDir())) {
      await mkdir(dirname(folder), { recursive: true });
      await cp(templateDir(), folder, { recursive: true });
    }
    pglite = new PGlite({ dataDir: folder, parsers });
  }
  try {
    await pglite.waitReady;
  } catch (error) {
    await unlock();
    throw error;
  }
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) });
  return {
    db,
    kind: 'pglite',
    pglite,
    url: null,
    close: async () => {
      await db.destroy();
      await unlock();
    },
  };
}
