import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type { Db } from './database.ts';

const folder = join(import.meta.dirname, '..', '..', 'migrations');

let newest: Promise<string> | undefined;

/** The newest migration that this version of the code brings; looked up once, for a public probe asks. */
export function newestMigration(): Promise<string> {
  newest ??= migrationFiles().then(
    (files) => nameOf(files.sort().at(-1)!),
    (error) => {
      newest = undefined;
      throw error;
    },
  );
  return newest;
}

const migrationFiles = async () => (await readdir(folder)).filter((file) => file.endsWith('.sql'));

const nameOf = (file: string) => file.replace(/\.sql$/, '');

/**
 * Brings the schema up to this version. Safe when several processes start at once: one migrates
 * under a lock, the others wait and find it done. All or nothing.
 *
 * @returns the names of the migrations applied now
 */
export async function migrate(db: Db): Promise<string[]> {
  if (await isMigrated(db)) return [];
  const migrator = new Migrator({ db, provider: { getMigrations: readMigrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error) throw error;
  return (results ?? []).map((result) => result.migrationName);
}

/** The newest migration applied, or null on an empty database. */
export async function appliedMigration(db: Db): Promise<string | null> {
  const { rows } = await sql<{
    name: string;
  }>`select name from kysely_migration order by name desc limit 1`.execute(db);
  return rows[0]?.name ?? null;
}

/** Most starts find all done: one statement says so. Kysely asks the catalog for every column of every table first. */
async function isMigrated(db: Db): Promise<boolean> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db);
    const applied = rows.map(({ name }) => name).sort();
    return applied.join() === (await migrationFiles()).map(nameOf).sort().join();
  } catch (error) {
    // There is no table of migrations.
    if ((error as { code?: string }).code === '42P01') return false;
    throw error;
  }
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = await migrationFiles();
  const migrations: Record<string, Migration> = {};
  for (const file of files) {
    const text = await readFile(join(folder, file), 'utf8');
    migrations[nameOf(file)] = {
      async up(db) {
        for (const statement of splitStatements(text)) await sql.raw(statement).execute(db);
      },
    };
  }
  return migrations;
}

/**
 * PGlite takes one statement a call, so a file is cut where a line ends with a semicolon outside a
 * `$$` body. That is a rule for our own files, not a parser of SQL.
 */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  let inBody = false;
  for (const line of text.split('\n')) {
    if (!inBody && /^\s*(--.*)?$/.test(line)) continue;
    current += `${line}\n`;
    if ((line.match(/\$\$/g)?.length ?? 0) % 2 === 1) inBody = !inBody;
    if (!inBody && line.trimEnd().endsWith(';')) {
      statements.push(current.trim().slice(0, -1));
      current = '';
    }
  }
  if (current.trim()) throw new Error(`A migration ends inside a statement: ${current.trim().slice(0, 80)}`);
  return statements;
}
