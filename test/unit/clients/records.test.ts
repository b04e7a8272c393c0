import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordsOf } from '../../../server/clients/import/records.ts';

async function cut(text: string | Buffer, sizes: number[], quoting: boolean, longest?: number) {
  const bytes = Buffer.from(text as string);
  async function* chunks() {
    let at = 0;
    for (let i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length]!;
      yield bytes.subarray(at, at + size);
      at += size;
    }
  }
  const records: (string | null)[] = [];
  for await (const { row, bytes: record } of recordsOf(chunks(), quoting, longest)) {
    records.push(record === null ? null : record.toString());
    expect(row).toBe(records.length);
  }
  return records;
}

const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 });

describe('recordsOf', () => {
  test('cuts lines the same wherever the stream is cut', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '😀', '"', ',') })),
        sizes,
        async (lines, at) => {
          const text = lines.map((line) => `${line}\n`).join('');
          expect(await cut(text, at, false)).toEqual(lines);
        },
      ),
    ));

  test('finds the records of any CSV that csv-parse finds', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.array(fc.string({ unit: fc.constantFrom('a', '"', '\n', ',', '\r\n') }), {
            minLength: 2,
            maxLength: 3,
          }),
        ),
        sizes,
        async (rows, at) => {
          const quote = (cell: string) => `"${cell.replaceAll('"', '""')}"`;
          const text = rows.map((row) => `${row.map(quote).join(',')}\n`).join('');
          const records = await cut(text, at, true);
          expect(records.map((record) => parse(record!)[0])).toEqual(rows);
        },
      ),
    ));

  test('a stray quote swallows nothing', async () => {
    const text = 'a,b"c\nd,e""f\n"g"h,i\nj,"k\nl",m\n';
    expect(await cut(text, [3], true)).toEqual(['a,b"c', 'd,e""f', '"g"h,i', 'j,"k\nl",m']);
  });

  test('a record too long is skipped to the end of its line, and the rest is read', async () => {
    expect(await cut('short\nmuch too long for this\nshort again\n', [5], false, 12)).toEqual([
      'short',
      null,
      'short again',
    ]);
    expect(await cut('a,"never closed\nb\nc\nd\ne\nf,g', [4], true, 16)).toEqual([null, 'd', 'e', 'f,g']);
  });
});
