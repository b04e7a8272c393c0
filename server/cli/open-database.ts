import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Config, ConfigError } from '../config.ts';
import type { Database, Db } from '../core/db/index.ts';

/** Where a database's schema stands, and where this version needs it. */
export interface SchemaState {
  /** Null where nothing was ever migrated. */
  applied: string | null;
  newest: string;
}

export async function schemaState(db: Db): Promise<SchemaState> {
  const { appliedMigration, newestMigration } = await import('../core/db/index.ts');
  const newest = await newestMigration();
  try {
    return { applied: await appliedMigration(db), newest };
  } catch (error) {
    // There is no table of migrations.
    if ((error as { code?: string }).code === '42P01') return { applied: null, newest };
    throw error;
  }
}

/** Whether an embedded database has been made in its folder. */
export function embeddedExists(dataDir: string): boolean {
  return existsSync(join(dataDir, 'pglite'));
}

/** Postgres 15 is the oldest that the schema is made for and tested on. */
export const oldestPostgres = 15;

/** The major version of the database behind the connection. */
export async function postgresMajor(db: Db): Promise<number> {
  const { rows } = await sql<{ version: number }>`
    select current_setting('server_version_num')::int as version`.execute(db);
  return Math.floor(rows[0]!.version / 10_000);
}

/** Before anything is migrated. @throws ConfigError on an older Postgres */
export async function postgresMustBeNewEnough(config: Config): Promise<void> {
  const { openDatabase } = await import('../core/db/index.ts');
  const database = await openDatabase(config.database, () => undefined);
  try {
    const major = await postgresMajor(database.db);
    if (major >= oldestPostgres) return;
    throw new ConfigError(
      `The database at ${config.databaseName} is Postgres ${major}: use ${oldestPostgres} or newer.`,
    );
  } finally {
    await database.close();
  }
}

/** Opens the configured database for a short command, which neither makes nor migrates one. */
export async function withDatabase<T>(config: Config, act: (database: Database) => Promise<T>): Promise<T> {
  if (config.dataDir !== null && !embeddedExists(config.dataDir)) {
    throw new ConfigError(
      `There is no database in ${config.dataDir} yet: run \`${config.program} start\` there first, or set OMEGA_DATA_DIR or DATABASE_URL.`,
    );
  }
  const { openDatabase } = await import('../core/db/index.ts');
  const database = await openDatabase(config.database, () => undefined);
  try {
    const { applied, newest } = await schemaState(database.db);
    if (applied !== newest) {
      throw new ConfigError(
        `The schema of ${config.databaseName} is at ${applied ?? 'nothing'}, this version needs ${newest}: run \`${config.program} migrate\` first.`,
      );
    }
    return await act(database);
  } finally {
    await database.close();
  }
}
