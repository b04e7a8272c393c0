import { cpSync, existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, types as pgliteTypes } from '@electric-sql/pglite';
import { Kysely, PGliteDialect, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { makeFolder } from '../make-folder.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { ImpatientClient } from './impatient-client.ts';
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
      /** How long an answer may take before the connection is given up as dead; 20 s unless told. */
      queryTimeoutMs?: number;
    }
  | { kind: 'pglite'; dataDir: string }
  /** Keeps nothing. It begins empty, or as the archive `from` has it. */
  | { kind: 'memory'; from?: string };

export interface Database {
  db: Db;
  kind: 'pglite' | 'postgres';
  /** The embedded database, for the queue to share; null on Postgres. */
  pglite: PGlite | null;
  url: string | null;
  /** Null on PGlite, which has no connection to lose. */
  queryTimeoutMs: number | null;
  close(): Promise<void>;
}

/** Longer than the server's own `statement_timeout`, so that a slow statement is told from a dead server. */
const defaultQueryTimeoutMs = 20_000;

/**
 * What a page read out of order costs the planner, beside 1 in order. Its default of 4 is a turning
 * disk's, and it takes 100 rows for granted in every list that a statement is given as JSON: together
 * they made one text in 20,000 conversations read all of them (45 ms; an index takes 1).
 */
const randomPageCost = 1.1;

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
  {
    url,
    poolSize,
    lockTimeoutMs = 5_000,
    queryTimeoutMs = defaultQueryTimeoutMs,
  }: DatabaseTarget & { kind: 'postgres' },
  onError: (error: Error) => void,
): Database {
  const pool = new pg.Pool({
    Client: ImpatientClient,
    connectionString: url,
    max: poolSize,
    application_name: 'omega',
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    query_timeout: queryTimeoutMs,
    // A statement or lock that takes longer is a fault: the caller gets 503 or 409 and may repeat.
    options: `-c statement_timeout=15000 -c lock_timeout=${lockTimeoutMs} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC -c random_page_cost=${randomPageCost}`,
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8Oid
          ? Number
          : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
    },
  });
  // A connection that breaks says so by an event, and an error event that nobody hears ends the process.
  // The pool hears its idle ones alone: one inside a transaction needs a listener of its own.
  pool.on('connect', (client) => client.on('error', onError));
  // The connection's own listener has told it already.
  pool.on('error', () => undefined);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return { db, kind: 'postgres', pglite: null, url, queryTimeoutMs, close: () => db.destroy() };
}

async function openPglite(target: Exclude<DatabaseTarget, { kind: 'postgres' }>): Promise<Database> {
  const parsers = { [pgliteTypes.INT8]: Number };
  let pglite: PGlite;
  let unlock = async () => {};
  if (target.kind === 'memory') {
    const tar = target.from ?? templateTar();
    const loadDataDir = existsSync(tar) ? new Blob([await readFile(tar)]) : undefined;
    pglite = new PGlite({ dataDir: 'memory://', parsers, loadDataDir });
  } else {
    const folder = join(target.dataDir, 'pglite');
    await makeFolder(target.dataDir);
    unlock = await lockDataDir(target.dataDir);
    await copyTemplate(folder).catch(async (error) => {
      await unlock();
      throw error;
    });
    pglite = new PGlite({ dataDir: folder, parsers });
  }
  try {
    await pglite.waitReady;
    await pglite.exec(`set random_page_cost = ${randomPageCost}`);
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
    queryTimeoutMs: null,
    close: async () => {
      await db.destroy();
      await unlock();
    },
  };
}

/**
 * Making a database takes seconds, copying one that the installation made takes milliseconds. The folder
 * appears whole or not at all: half a copy, left by a crash, would be taken for a database.
 */
async function copyTemplate(folder: string): Promise<void> {
  if (existsSync(folder) || !existsSync(templateDir())) return;
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  // Nothing else runs yet: all at once is several times as fast as file by file between other work.
  cpSync(templateDir(), unfinished, { recursive: true });
  await rename(unfinished, folder);
}
