import { sql } from 'kysely';
import type { Db } from '../../server/core/db/index.ts';

/** Every row of one business, by table: for comparing before and after. */
export async function dumpBusiness(db: Db, businessId: number): Promise<Record<string, unknown[]>> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.columns
    where table_schema = 'public' and column_name = 'business_id' order by table_name`.execute(db);
  // In one statement: the walk over the contract asks for it twice an operation.
  const { rows } = await sql<{ name: string; rows: unknown[] }>`${sql.join(
    tables.map(
      ({ name }) => sql`
        select ${name}::text as name, coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]') as rows
        from ${sql.table(name)} t where business_id = ${businessId}`,
    ),
    sql` union all `,
  )}`.execute(db);
  return Object.fromEntries(rows.map((table) => [table.name, table.rows]));
}

/** Everything that the database holds, jobs included, as one text: for looking for what must not be in it. */
export async function dumpText(db: Db): Promise<string> {
  const { rows: tables } = await sql<{ schema: string; name: string }>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_schema in ('public', 'pgboss') and table_type = 'BASE TABLE'`.execute(db);
  const texts: string[] = [];
  for (const { schema, name } of tables) {
    const { rows } = await sql<{ row: string }>`
      select to_jsonb(t)::text as row from ${sql.id(schema, name)} t`.execute(db);
    texts.push(...rows.map(({ row }) => row));
  }
  return texts.join('\n');
}
