import { ClientId, clientFields, Exactly } from '../../../contract/index.ts';
import { businessFor } from '../../businesses/index.ts';
import type { Clock } from '../../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../../core/db/index.ts';
import { recordEvents } from '../../core/events/index.ts';
import { Fault } from '../../core/fault.ts';
import { compileInput, faultOf, type Origin, refuseUnstorable } from '../../core/http/index.ts';
import { type ClientFields, type ClientWrite, readClientFields } from '../fields.ts';
import { upsertClients } from '../upsert.ts';
import { type ImportFormat, type ImportRow, rowsOf } from './rows.ts';
import { addProgress, type ImportErrorRow } from './store.ts';

/** Rows written in one transaction: long enough to be fast, short enough that nobody waits for its locks. */
const batchSize = 500;
/** A slow stream's rows are written at least so often, which also shows that it lives. */
const flushAfterMs = 2_000;
/** Faults of one row that are kept: a row of a thousand wrong phones needs no thousand lines. */
const errorsOfRow = 20;

export interface ImportRun {
  businessId: number;
  importId: string;
  format: ImportFormat;
  stream: AsyncIterable<Buffer>;
  by: Origin;
}

/** The schema of a `PUT` with the id in the row: one rule for both. */
const isRow = compileInput(Exactly({ client_id: ClientId, ...clientFields }), 'body');

/** A row that can be written, or what is wrong with it. */
type ReadRow = { row: number } & ({ write: ClientWrite } | { fault: Fault });

/**
 * Reads a stream of clients and writes them as they come, in batches that are each a transaction of
 * their own. Holds one batch at most; while one is written the stream waits.
 *
 * @throws what broke the stream; the batches before are written by then
 */
export async function runImport({ db, clock }: { db: Db; clock: Clock }, run: ImportRun): Promise<void> {
  const { country } = await businessFor(db, run.businessId);
  let batch: ReadRow[] = [];
  let ids = new Set<number>();
  let flushedAt = performance.now();
  const flush = async () => {
    const rows = batch;
    batch = [];
    ids = new Set();
    flushedAt = performance.now();
    if (rows.length === 0) return;
    await inTransaction(db, (tx) => writeBatch(tx, new Date(clock.now()), run, rows));
  };
  for await (const one of rowsOf(run.stream, run.format)) {
    const row = readRow(one, country);
    // A client named twice is written twice, the later row last.
    if ('write' in row && ids.has(row.write.clientId)) await flush();
    batch.push(row);
    if ('write' in row) ids.add(row.write.clientId);
    if (batch.length >= batchSize || performance.now() - flushedAt > flushAfterMs) await flush();
  }
  await flush();
}

function readRow(one: ImportRow, country: string): ReadRow {
  const { row } = one;
  try {
    if ('unreadable' in one) throw wrongRow(one.unreadable);
    const { fields } = one;
    if (!fields || typeof fields !== 'object' || Array.isArray(fields)) throw wrongRow('is not an object');
    refuseUnstorable(fields);
    if (!isRow(fields)) throw faultOf({ validation: isRow.errors });
    const { client_id, ...rest } = fields as ClientFields & { client_id: number };
    return { row, write: readClientFields(client_id, rest, country) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { row, fault: error };
  }
}

function wrongRow(message: string): Fault {
  return new Fault('invalid_parameters', message, {
    errors: [{ path: '', message, code: 'invalid_format' }],
  });
}

async function writeBatch(tx: Tx, now: Date, run: ImportRun, batch: ReadRow[]): Promise<void> {
  const writable = batch.filter((row): row is { row: number; write: ClientWrite } => 'write' in row);
  const results = await upsertClients(
    tx,
    now,
    run.businessId,
    writable.map(({ write }) => write),
  );
  const faults = batch.flatMap((row) => ('fault' in row ? [{ row: row.row, fault: row.fault }] : []));
  const counts = { created: 0, updated: 0, unchanged: 0 };
  for (const [i, result] of results.entries()) {
    if (result.outcome === 'refused') faults.push({ row: writable[i]!.row, fault: result.fault });
    else counts[result.outcome] += 1;
  }
  await addProgress(
    tx,
    now,
    run.businessId,
    run.importId,
    { ...counts, rows: batch.length, failed: faults.length, lastRow: batch.at(-1)!.row },
    faults.flatMap(errorRows),
  );
  await recordEvents(
    tx,
    now,
    results.flatMap((result) =>
      result.outcome !== 'refused' && result.event ? [{ ...result.event, by: run.by }] : [],
    ),
  );
}

function errorRows({ row, fault }: { row: number; fault: Fault }): ImportErrorRow[] {
  const errors = fault.errors ?? [{ path: 'client_id', message: fault.message }];
  return errors
    .slice(0, errorsOfRow)
    .map(({ path, message }, position) => ({ row, position, path, message }));
}
