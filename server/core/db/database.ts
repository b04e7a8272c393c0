import { cpSync, existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, type PGliteOptions, types as pgliteTypes } from '@electric-sql/pglite';
import { Kysely, PGliteDialect, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { makeFolder } from '../make-folder.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { noteDatabaseError } from './database-errors.ts';
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
      /** Connections that searches may take, beside the others; 3 unless told. */
      searchPoolSize?: number;
      /** How long one statement of a search may take; 3 s unless told. */
      searchTimeoutMs?: number;
    }
  | { kind: 'pglite'; dataDir: string }
  /** Keeps nothing. It begins empty, or as its `engine` makes it begin. */
  | { kind: 'memory'; engine?: PGliteOptions };

export interface Database {
  db: Db;
  /**
   * For searches: on Postgres connections of their own with a short time limit, so that slow ones hold none that
   * sending uses. PGlite has one connection, and this is it.
   */
  searchDb: Db;
  /** How the connections are used at this moment; none on PGlite. */
  pools(): PoolUse[];
  kind: 'pglite' | 'postgres';
  /** The embedded database, for the queue to share; null on Postgres. */
  pglite: PGlite | null;
  url: string | null;
  /** Null on PGlite, which has no connection to lose. */
  queryTimeoutMs: number | null;
  close(): Promise<void>;
}

export interface PoolUse {
  pool: 'main' | 'search';
  /** Open connections, the idle ones among them, and the most there may be. */
  total: number;
  idle: number;
  most: number;
  /** Who waits for one. */
  waiting: number;
}

/** Longer than the server's own `statement_timeout`, so that a slow statement is told from a dead server. */
const defaultQueryTimeoutMs = 20_000;

/**
 * What a page read out of order costs the planner, beside 1 in order. Its default of 4 is a turning
 * disk's, and it takes 100 rows for granted in every list that a statement is given as JSON: together
 * they made one text in 20,000 conversations read all of them (45 ms; an index takes 1).
 */
const randomPageCost = 1.1;

/**
 * How PGlite starts. It fills its buffers with zeros at every start: with Postgres's usual 128 MB that is half a second
 * and more, and the files of an embedded database are in the system's own cache anyway.
 */
const startParams = [...PGlite.defaultStartParams, '-c', 'shared_buffers=32MB'];

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

/** A search that has not answered by then is too wide: the others go on. */
const usualSearchTimeoutMs = 3_000;
/** Few: what a search reads is soon the disk's work, and more at once would only take it from sending. */
const usualSearchPoolSize = 3;

function openPostgres(
  target: DatabaseTarget & { kind: 'postgres' },
  onError: (error: Error) => void,
): Database {
  const { queryTimeoutMs = defaultQueryTimeoutMs, searchTimeoutMs = usualSearchTimeoutMs } = target;
  const main = openPool(
    target,
    { most: target.poolSize, waitMs: 5_000, statementMs: 15_000, answerMs: queryTimeoutMs },
    onError,
  );
  const search = openPool(
    target,
    {
      most: target.searchPoolSize ?? usualSearchPoolSize,
      // No longer than one of those before it takes: then it is its turn, or there are too many.
      waitMs: searchTimeoutMs,
      statementMs: searchTimeoutMs,
      // A dead server is told from a slow statement, as above.
      answerMs: Math.min(queryTimeoutMs, searchTimeoutMs + 5_000),
    },
    onError,
  );
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: main }) });
  const searchDb = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: search }) });
  const useOf = (pool: PoolUse['pool'], of: pg.Pool): PoolUse => ({
    pool,
    total: of.totalCount,
    idle: of.idleCount,
    most: of.options.max,
    waiting: of.waitingCount,
  });
  return {
    db,
    searchDb,
    kind: 'postgres',
    pglite: null,
    url: target.url,
    queryTimeoutMs,
    pools: () => [useOf('main', main), useOf('search', search)],
    close: async () => {
      await Promise.all([db.destroy(), searchDb.destroy()]);
    },
  };
}

interface PoolLimits {
  most: number;
  /** How long to wait for a free connection, for a statement to end, and for any answer at all. */
  waitMs: number;
  statementMs: number;
  answerMs: number;
}

function openPool(
  { url, lockTimeoutMs = 5_000 }: DatabaseTarget & { kind: 'postgres' },
  { most, waitMs, statementMs, answerMs }: PoolLimits,
  onError: (error: Error) => void,
): pg.Pool {
  const pool = new NotingPool({
    Client: ImpatientClient,
    connectionString: url,
    max: most,
    application_name: 'omega',
    keepAlive: true,
    connectionTimeoutMillis: waitMs,
    idleTimeoutMillis: 30_000,
    query_timeout: answerMs,
    // A statement or lock that takes longer is a fault: the caller gets 503 or 409 and may repeat.
    options: `-c statement_timeout=${statementMs} -c lock_timeout=${lockTimeoutMs} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC -c random_page_cost=${randomPageCost}`,
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
  return pool;
}

/** Whom there is no connection for learns that it was the database. */
class NotingPool extends pg.Pool {
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Parameters<pg.Pool['connect']>[0]): void;
  override connect(callback?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | undefined {
    if (callback) {
      super.connect(callback);
      return undefined;
    }
    return super.connect().catch((error: unknown) => {
      noteDatabaseError(error);
      throw error;
    });
  }
}

async function openPglite(target: Exclude<DatabaseTarget, { kind: 'postgres' }>): Promise<Database> {
  const parsers = { [pgliteTypes.INT8]: Number };
  let pglite: PGlite;
  let unlock = async () => {};
  if (target.kind === 'memory') {
    pglite = new PGlite({
      dataDir: 'memory://',
      startParams,
      ...(target.engine ?? (await emptyEngine())),
      parsers,
    });
  } else {
    const folder = join(target.dataDir, 'pglite');
    await makeFolder(target.dataDir);
    unlock = await lockDataDir(target.dataDir);
    await copyTemplate(folder).catch(async (error) => {
      await unlock();
      throw error;
    });
    pglite = new PGlite({ dataDir: folder, startParams, parsers });
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
    searchDb: db,
    kind: 'pglite',
    pglite,
    url: null,
    queryTimeoutMs: null,
    pools: () => [],
    close: async () => {
      await db.destroy();
      await unlock();
    },
  };
}

async function emptyEngine(): Promise<PGliteOptions> {
  const tar = templateTar();
  return existsSync(tar) ? { loadDataDir: new Blob([await readFile(tar)]) } : {};
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
