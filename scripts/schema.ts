/**
 * Writes `server/schema.sql`: the whole database on one page, as the migrations make it, dumped by
 * pg_dump. With `--check` it says instead whether the page is fresh, and fails where it is not.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { migrate, openDatabase } from '../server/core/db/index.ts';

const page = join(import.meta.dirname, '..', 'server', 'schema.sql');

const database = await openDatabase({ kind: 'memory' }, (error) => {
  throw error;
});
await migrate(database.db);
const dump = await pgDump({
  pg: database.pglite!,
  args: ['--schema-only', '--no-owner', '--no-privileges', '--schema=public', '--exclude-table=kysely_*'],
});
const text = tidy(await dump.text());
await database.close();

if (process.argv.includes('--check')) {
  const kept = await readFile(page, 'utf8').catch(() => '');
  if (kept !== text) {
    console.error('server/schema.sql is stale. Run `npm run schema` and commit it.');
    process.exit(1);
  }
  console.log('server/schema.sql is fresh.');
} else {
  await writeFile(page, text);
  console.log('server/schema.sql written.');
}

/** Leaves out what differs between runs and versions, and what says nothing. */
function tidy(dumped: string): string {
  const lines = dumped
    .split('\n')
    .filter(
      (line) =>
        !/^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict|CREATE SCHEMA public|COMMENT ON SCHEMA)/.test(
          line,
        ),
    );
  return `-- Made by \`npm run schema\` from server/migrations; do not edit.\n${lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}
