import { createHash, type Hash } from 'node:crypto';
import type { Static } from 'typebox';
import type { ClientImport, ClientImportReport } from '../../../contract/index.ts';
import { businessFor } from '../../businesses/index.ts';
import type { Clock } from '../../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../../core/db/index.ts';
import { Fault } from '../../core/fault.ts';
import {
  answer,
  answerAgain,
  type Binding,
  type Cursors,
  claimRequests,
  keepAnswers,
  keyText,
  type OwnCall,
  own,
  pageOf,
  type RequestKey,
  read,
  requestIdReused,
  streamOf,
} from '../../core/http/index.ts';
import { newId } from '../../core/ids.ts';
import type { Secrets } from '../../core/secrets.ts';
import type { ImportFormat } from './rows.ts';
import { runImport } from './run.ts';
import {
  endImport,
  type ImportRecord,
  importFor,
  importOfRequest,
  isLost,
  listErrors,
  listImports,
  startImport,
} from './store.ts';

export interface ImportParts {
  db: Db;
  clock: Clock;
  cursors: Cursors;
  secrets: Secrets;
}

/** Errors that a report brings with it; the rest are read in pages. */
const errorsInReport = 1_000;

export function importRoutes(parts: ImportParts): Binding[] {
  const { db, clock, cursors, secrets } = parts;
  const now = () => new Date(clock.now());
  return [
    own('importClients', async (call) => {
      const { businessId } = call;
      const format = formatOf(call);
      await businessFor(db, businessId);
      const key = {
        businessId,
        requestId: call.requestId,
        operation: 'importClients',
        fingerprint: call.fingerprint,
      };
      const begun = await inTransaction(db, (tx) => begin(tx, now(), key, format, secrets));
      const hash = createHash('sha256');
      const stream = hashing(streamOf(call.http), hash);
      const { raw } = call.http;
      // Nobody is there any more to be told; it is no fault of the database either.
      const faultBy = (error: unknown) => (raw.destroyed && !raw.complete ? brokeOff() : error);
      if ('replay' in begun) {
        try {
          for await (const _ of stream);
        } catch (error) {
          throw faultBy(error);
        }
        if (begun.bodySha256 !== hash.digest('hex')) throw requestIdReused();
        return { ...begun.replay, replayed: true } as never;
      }
      const { importId } = begun;
      try {
        await runImport(parts, { businessId, importId, format, stream, by: call.origin });
      } catch (error) {
        const fault = faultBy(error);
        const note = fault instanceof Fault ? fault.message : 'It could not be written.';
        await inTransaction(db, async (tx) => {
          await endImport(tx, now(), businessId, importId, { status: 'interrupted', note });
          // Not pinned: the same id starts it again.
          await release(tx, key);
        });
        throw fault;
      }
      const report = await inTransaction(db, async (tx) => {
        await endImport(tx, now(), businessId, importId, {
          status: 'complete',
          bodySha256: hash.digest('hex'),
        });
        const body = await reportOf(tx, await importFor(tx, businessId, importId), now());
        await keepAnswers(tx, [{ key, answer: { status: 200, body }, sealed: false }], secrets);
        return body;
      });
      return answer(200, report);
    }),

    read('listClientImports', async (reader, { businessId, query }) => {
      await businessFor(reader, businessId);
      const { cursor, limit = 25, request_id: requestId } = query;
      const about = ['listClientImports', businessId, requestId ?? null];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && { at: String(place[0]), importId: String(place[1]) };
      const rows = await listImports(reader, businessId, requestId, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.started_at.toISOString(), row.import_id],
      );
      return answer(200, {
        data: page.rows.map((row) => presentImport(row, now())),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    read('getClientImport', async (reader, { businessId, params }) => {
      const record = await importFor(reader, businessId, params.import_id);
      return answer(200, await reportOf(reader, record, now()));
    }),

    read('listClientImportErrors', async (reader, { businessId, params, query }) => {
      await importFor(reader, businessId, params.import_id);
      const { cursor, limit = 25 } = query;
      const about = ['listClientImportErrors', businessId, params.import_id];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && { row: Number(place[0]), position: Number(place[1]) };
      const rows = await listErrors(reader, businessId, params.import_id, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.row, row.position],
      );
      return answer(200, {
        data: page.rows.map(({ row, path, message }) => ({ row, path, message })),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),
  ];
}

function formatOf(call: OwnCall<'importClients'>): ImportFormat {
  const type = call.http.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type === 'application/x-ndjson') return 'ndjson';
  if (type === 'text/csv') return 'csv';
  throw new Fault('unsupported_media_type', 'Send the body as application/x-ndjson or text/csv.');
}

/**
 * Claims the request and starts its import. The claim stays open while the import runs, so a twin is
 * told that it runs; one whose process died is taken over.
 */
async function begin(
  tx: Tx,
  now: Date,
  key: RequestKey,
  format: ImportFormat,
  secrets: Secrets,
): Promise<
  { importId: string } | { replay: { status: number; body: unknown }; bodySha256: string | undefined }
> {
  const earlier = await importOfRequest(tx, key.businessId, key.requestId);
  if (earlier && isLost(earlier, now)) await release(tx, key);
  const claim = (await claimRequests(tx, [key], now, secrets)).get(keyText(key))!;
  if (claim.kind === 'kept')
    return { replay: answerAgain(claim, key), bodySha256: earlier?.body_sha256 ?? undefined };
  const importId = earlier?.import_id ?? newId();
  await startImport(tx, now, { businessId: key.businessId, importId, requestId: key.requestId, format });
  return { importId };
}

/** A stream has been read before it is known whether it is the one that was sent before. */
async function* hashing(stream: AsyncIterable<Buffer>, hash: Hash): AsyncIterable<Buffer> {
  for await (const chunk of stream) {
    hash.update(chunk);
    yield chunk;
  }
}

function brokeOff(): Fault {
  return new Fault('conflict', 'The stream broke off before its end. Send it all again: that is safe.');
}

/** Lets an unanswered request's id be used again. */
async function release(tx: Tx, key: RequestKey): Promise<void> {
  await tx
    .deleteFrom('requests')
    .where('business_id', '=', key.businessId)
    .where('request_id', '=', key.requestId)
    .where('status', 'is', null)
    .execute();
}

function presentImport(record: ImportRecord, now: Date): Static<typeof ClientImport> {
  const lost = isLost(record, now);
  return {
    import_id: record.import_id,
    business_id: record.business_id,
    request_id: record.request_id,
    format: record.format,
    status: lost ? 'interrupted' : record.status,
    note: lost ? 'The server that read it ended.' : record.note,
    rows: record.rows,
    created: record.created,
    updated: record.updated,
    unchanged: record.unchanged,
    failed: record.failed,
    last_row: record.last_row,
    started_at: record.started_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
    finished_at: record.finished_at?.toISOString() ?? null,
  };
}

async function reportOf(
  db: Db | Tx,
  record: ImportRecord,
  now: Date,
): Promise<Static<typeof ClientImportReport>> {
  const errors = await listErrors(db, record.business_id, record.import_id, errorsInReport, null);
  return {
    ...presentImport(record, now),
    errors: errors.slice(0, errorsInReport).map(({ row, path, message }) => ({ row, path, message })),
    more_errors: errors.length > errorsInReport,
  };
}
