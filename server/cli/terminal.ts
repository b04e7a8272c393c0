import { styleText } from 'node:util';

/** Colours for a stream: none where it is not a terminal, or NO_COLOR is set. */
export function paintFor(stream: NodeJS.WriteStream) {
  const paint = (style: Parameters<typeof styleText>[0]) => (text: string) =>
    styleText(style, text, { stream, validateStream: true });
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    green: paint('green'),
    yellow: paint('yellow'),
    red: paint('red'),
    cyan: paint('cyan'),
  };
}

export type Paint = ReturnType<typeof paintFor>;

/** Rows of text with their columns aligned; the last column is as long as it is. */
export function aligned(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + gap)))
      .join('')
      .trimEnd(),
  );
}
