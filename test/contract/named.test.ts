import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../support/contract-requests.ts';

const folder = join(import.meta.dirname, '..', 'http');
/** Of every `describe`, `it` and `test`, `.each` of them too: the text that names it. */
const title = /\b(?:describe|it|test)(?:\.each\([\s\S]*?\))?\(\s*(['"`])((?:(?!\1).)+)\1/g;
const titles: { file: string; title: string }[] = [];

beforeAll(async () => {
  for (const file of await readdir(folder)) {
    const text = await readFile(join(folder, file), 'utf8');
    for (const [, , name] of text.matchAll(title)) titles.push({ file, title: name! });
  }
});

/** The operation by its name, or by its method and whole path: `queueSms`, `POST /sms/queue`. */
function names(title: string, id: string, method: string, path: string): boolean {
  const words = title.split(/[\s,:()]+/);
  return words.includes(id) || words.some((word, i) => word === path && words.slice(0, i).includes(method));
}

describe('each operation has a test of its promises that is named after it', () => {
  test.each(operations)('%s', (id, row) => {
    const found = titles.filter(({ title }) => names(title, id, row.method, row.path));
    expect(
      found,
      `a describe or test in test/http that names ${id} or ${row.method} ${row.path}`,
    ).not.toEqual([]);
  });
});
