import { type Selectable, sql } from 'kysely';
import type { Db, Tables, Tx } from '../../core/db/index.ts';
import { notFound } from '../../core/fault.ts';

export type ImportRecord = Selectable<Tables['client_imports']>;

export interface ImportErrorRow {
  row: number;
  /** Counts the errors of one row. */
  position: number;
  path: string;
  message: string;
}

/** An import that got on nowhere for so long has lost its process. */
const lostAfterMs = 90_000;

export function isLost(record: ImportRecord, now: Date): boolean {
  return record.status === 'running' && record.updated_at.getTime() < now.getTime() - lostAfterMs;
}

/** The only way to an import for a caller: the row, or not found. */
export async function importFor(db: Db | Tx, businessId: number, importId: string): Promise<ImportRecord> {
  const row = await db
    .selectFrom('client_imports')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('import_id', '=', importId)
    .executeTakeFirst();
  if (!row) throw notFound('import');
  return row;
}

export async function importOfRequest(
  tx: Tx,
  businessId: number,
  requestId: string,
): Promise<ImportRecord | undefined> {
  return await tx
    .selectFrom('client_imports')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('request_id', '=', requestId)
    .forUpdate()
    .executeTakeFirst();
}

/** Starts the import of a request, or starts it again from nothing where it was interrupted. */
export async function startImport(
  tx: Tx,
  now: Date,
  record: { businessId: number; importId: string; requestId: string; format: 'ndjson' | 'csv' },
): Promise<void> {
  await tx
    .deleteFrom('client_import_errors')
    .where('business_id', '=', record.businessId)
    .where('import_id', '=', record.importId)
    .execute();
  const fresh = {
    format: record.format,
    status: 'running' as const,
    note: null,
    rows: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    failed: 0,
    last_row: 0,
    body_sha256: null,
    started_at: now,
    updated_at: now,
    finished_at: null,
  };
  await tx
    .insertInto('client_imports')
    .values({
      business_id: record.businessId,
      import_id: record.importId,
      request_id: record.requestId,
      ...fresh,
    })
    .onConflict((conflict) => conflict.columns(['business_id', 'import_id']).doUpdateSet(fresh))
    .execute();
}

/** What one batch adds: written in the batch's own transaction, so the report is never ahead of the rows. */
export async function addProgress(
  tx: Tx,
  now: Date,
  businessId: number,
  importId: string,
  counts: {
    rows: number;
    created: number;
    updated: number;
    unchanged: number;
    failed: number;
    lastRow: number;
  },
  errors: ImportErrorRow[],
): Promise<void> {
  await sql`
    update client_imports set rows = rows + ${counts.rows}, created = created + ${counts.created},
      updated = updated + ${counts.updated}, unchanged = unchanged + ${counts.unchanged}, failed = failed + ${counts.failed},
      last_row = ${counts.lastRow}, updated_at = ${now}
    where business_id = ${businessId} and import_id = ${importId}`.execute(tx);
  if (errors.length === 0) return;
  await sql`
    insert into client_import_errors (business_id, import_id, row_number, position, path, message)
    select ${businessId}::bigint, ${importId}::uuid, w.row, w.position, w.path, w.message
    from jsonb_to_recordset(${JSON.stringify(errors)}::jsonb) as w("row" int, position int, path text, message text)`.execute(
    tx,
  );
}

export async function endImport(
  tx: Tx | Db,
  now: Date,
  businessId: number,
  importId: string,
  end: { status: 'complete'; bodySha256: string } | { status: 'interrupted'; note: string },
): Promise<void> {
  await tx
    .updateTable('client_imports')
    .set({
      status: end.status,
      ...(end.status === 'complete' ? { body_sha256: end.bodySha256 } : { note: end.note }),
      updated_at: now,
      finished_at: now,
    })
    .where('business_id', '=', businessId)
    .where('import_id', '=', importId)
    .where('status', '=', 'running')
    .execute();
}

export async function listImports(
  db: Db,
  businessId: number,
  requestId: string | undefined,
  limit: number,
  after: { at: string; importId: string } | null,
): Promise<ImportRecord[]> {
  const where = [sql`business_id = ${businessId}`];
  if (requestId !== undefined) where.push(sql`request_id = ${requestId}`);
  if (after) where.push(sql`(started_at, import_id) < (${after.at}::timestamptz, ${after.importId}::uuid)`);
  const { rows } = await sql<ImportRecord>`
    select * from client_imports where ${sql.join(where, sql` and `)}
    order by started_at desc, import_id desc limit ${limit + 1}`.execute(db);
  return rows;
}

export async function listErrors(
  db: Db | Tx,
  businessId: number,
  importId: string,
  limit: number,
  after: { row: number; position: number } | null,
): Promise<ImportErrorRow[]> {
  const from = after ?? { row: 0, position: -1 };
  const { rows } = await sql<ImportErrorRow>`
    select row_number as row, position, path, message from client_import_errors
    where business_id = ${businessId} and import_id = ${importId}
      and (row_number, position) > (${from.row}::int, ${from.position}::int)
    order by row_number, position limit ${limit + 1}`.execute(db);
  return rows;
}
