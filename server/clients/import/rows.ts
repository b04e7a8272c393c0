import { parse } from 'csv-parse/sync';
import { invalid } from '../../core/fault.ts';
import { longestRecord, type RawRecord, recordsOf } from './records.ts';

/** A row as an object that the contract's schema can check, or why it cannot be read. */
export type ImportRow = { row: number } & ({ fields: unknown } | { unreadable: string });

export type ImportFormat = 'ndjson' | 'csv';

/** The rows of a stream as they come. @throws 422 for a CSV whose header cannot be used */
export function rowsOf(stream: AsyncIterable<Buffer>, format: ImportFormat): AsyncIterable<ImportRow> {
  return format === 'ndjson' ? ndjsonRows(stream) : csvRows(stream);
}

const tooLong = `is longer than ${longestRecord} bytes`;

async function* ndjsonRows(stream: AsyncIterable<Buffer>): AsyncIterable<ImportRow> {
  for await (const { row, bytes } of recordsOf(stream, false)) {
    if (bytes === null) yield { row, unreadable: tooLong };
    else {
      const text = textOf(bytes, row);
      if (text === null) yield { row, unreadable: notUtf8 };
      else if (text.trim() !== '') yield { row, ...jsonOf(text) };
    }
  }
}

const notUtf8 = 'is not UTF-8; save the file as UTF-8';
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer, row: number): string | null {
  try {
    const text = utf8.decode(bytes);
    return row === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text;
  } catch {
    return null;
  }
}

function jsonOf(text: string): { fields: unknown } | { unreadable: string } {
  try {
    return { fields: JSON.parse(text) };
  } catch {
    return { unreadable: 'is not JSON; each line must be one object' };
  }
}

/** How a cell becomes a field; a cell that does not fit stays text, and the schema says so. */
const columns: Record<string, { field: string; read(cell: string): unknown }> = {
  client_id: { field: 'client_id', read: numberOf },
  name: { field: 'name', read: (cell) => cell },
  phones: { field: 'phones', read: listOf },
  emails: { field: 'emails', read: listOf },
  location_id: { field: 'location_id', read: numberOf },
  time_zone: { field: 'time_zone', read: (cell) => cell },
  language: { field: 'language', read: (cell) => cell },
  tags: { field: 'tags', read: listOf },
  metadata: { field: 'metadata', read: metadataOf },
};
columns.phone = columns.phones!;
columns.email = columns.emails!;

function numberOf(cell: string): unknown {
  return /^[0-9]{1,16}$/.test(cell) ? Number(cell) : cell;
}

function listOf(cell: string): string[] {
  return cell
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function metadataOf(cell: string): unknown {
  try {
    return JSON.parse(cell);
  } catch {
    return cell;
  }
}

const recordsTogether = 200;

async function* csvRows(stream: AsyncIterable<Buffer>): AsyncIterable<ImportRow> {
  let header: (typeof columns)[string][] | null = null;
  let waiting: { row: number; text: string }[] = [];
  const flush = () => {
    const rows = parseTogether(waiting).map((cells, i) => rowOf(waiting[i]!.row, cells, header!));
    waiting = [];
    return rows;
  };
  for await (const record of recordsOf(stream, true)) {
    const text = record.bytes === null ? null : textOf(record.bytes, record.row);
    if (header === null) {
      if (text !== null && text.trim() === '') continue;
      header = readHeader(record, text);
      continue;
    }
    if (text === null) {
      yield* flush();
      yield { row: record.row, unreadable: record.bytes === null ? tooLong : notUtf8 };
    } else if (text.trim() !== '') {
      waiting.push({ row: record.row, text });
      if (waiting.length === recordsTogether) yield* flush();
    }
  }
  if (header !== null) yield* flush();
}

function readHeader(record: RawRecord, text: string | null): (typeof columns)[string][] {
  const cells = text === null ? null : cellsOf(text);
  if (!cells || typeof cells === 'string') {
    throw invalid(
      'row 1',
      record.bytes === null ? tooLong : 'is not a CSV header in UTF-8',
      'invalid_format',
    );
  }
  const names = cells.map((cell) => cell.trim().toLowerCase());
  for (const [i, name] of names.entries()) {
    if (!Object.hasOwn(columns, name)) {
      throw invalid(
        'row 1',
        `column ${i + 1} is none of ${Object.keys(columns).join(', ')}`,
        'unknown_field',
      );
    }
    const twin = names.findIndex((other) => columns[other] === columns[name]);
    if (twin !== i) throw invalid('row 1', `columns ${twin + 1} and ${i + 1} are the same field`, 'conflict');
  }
  if (!names.includes('client_id')) throw invalid('row 1', 'has no column client_id', 'required');
  return names.map((name) => columns[name]!);
}

/** A record's cells, or what is wrong with it. */
function cellsOf(text: string): string[] | string {
  try {
    return (parse(text, { relax_column_count: true }) as string[][])[0] ?? [];
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    return code === 'CSV_QUOTE_NOT_CLOSED' ? 'has a quote that is not closed' : 'has a quote out of place';
  }
}

/** Many at once is five times as fast; one that is wrong has them read one by one. */
function parseTogether(records: { text: string }[]): (string[] | string)[] {
  try {
    const text = records.map((record) => record.text).join('\n');
    const parsed = parse(text, { relax_column_count: true }) as string[][];
    if (parsed.length === records.length) return parsed;
  } catch {
    // Below it is found which one.
  }
  return records.map((record) => cellsOf(record.text));
}

function rowOf(row: number, cells: string[] | string, header: (typeof columns)[string][]): ImportRow {
  if (typeof cells === 'string') return { row, unreadable: cells };
  if (cells.length !== header.length) {
    return { row, unreadable: `has ${cells.length} cells, the header has ${header.length}` };
  }
  const fields: Record<string, unknown> = {};
  for (const [i, { field, read }] of header.entries()) {
    const cell = cells[i]!.trim();
    if (cell !== '') fields[field] = read(cell);
  }
  return { row, fields };
}
