/** One record of a stream: a line of NDJSON, or a record of CSV, which may span lines in quotes. */
export interface RawRecord {
  /** From 1; empty ones count, so that it is the row that a spreadsheet or an editor shows. */
  row: number;
  /** Null where it is longer than a record may be: it was skipped to the end of its line. */
  bytes: Buffer | null;
}

/** No client takes more; a forgotten quote must not swallow the file into memory. */
export const longestRecord = 256 * 1024;

const lf = 0x0a;
const cr = 0x0d;
const quote = 0x22;
const comma = 0x2c;

/**
 * Cuts a stream into records without knowing what is in them, holding one record at most.
 *
 * In CSV (RFC 4180) a line break inside quotes does not end a record. A quote opens only where a
 * field begins: a stray one elsewhere is that record's fault alone and swallows none of the others.
 */
export async function* recordsOf(
  stream: AsyncIterable<Buffer>,
  quoting: boolean,
  longest = longestRecord,
): AsyncIterable<RawRecord> {
  let row = 0;
  let parts: Buffer[] = [];
  let length = 0;
  let inQuotes = false;
  let fieldBegins = true;
  let justClosed = false;
  let tooLong = false;

  const take = (): RawRecord => {
    const bytes = tooLong ? null : withoutLineEnd(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
    parts = [];
    length = 0;
    inQuotes = false;
    fieldBegins = true;
    justClosed = false;
    tooLong = false;
    row += 1;
    return { row, bytes };
  };

  for await (const chunk of stream) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === lf && !inQuotes) {
        if (!tooLong) parts.push(chunk.subarray(start, at));
        yield take();
        start = at + 1;
        continue;
      }
      if (length + at - start > longest && !tooLong) {
        // Read on at the next line, whatever the quotes say.
        tooLong = true;
        inQuotes = false;
        parts = [];
      }
      if (!quoting || tooLong) continue;
      if (byte !== quote) {
        fieldBegins = byte === comma && !inQuotes;
        justClosed = false;
      } else if (inQuotes) {
        inQuotes = false;
        justClosed = true;
      } else {
        // Two quotes inside a quoted field are one: the second opens what the first closed.
        inQuotes = fieldBegins || justClosed;
        fieldBegins = false;
        justClosed = false;
      }
    }
    if (start < chunk.length && !tooLong) {
      // A copy: the chunk's memory is the socket's and would be held by a slice of it.
      parts.push(Buffer.from(chunk.subarray(start)));
      length += chunk.length - start;
    }
  }
  if (length > 0 || tooLong) yield take();
}

function withoutLineEnd(bytes: Buffer): Buffer {
  return bytes.at(-1) === cr ? bytes.subarray(0, -1) : bytes;
}
