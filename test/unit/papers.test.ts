import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { contract } from '../../contract/index.ts';
import { canonicalReasons } from '../../server/channels/index.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const papersIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(folder, file));
const papers = [...papersIn('.'), ...papersIn('docs'), ...papersIn('docs/adr'), ...papersIn('docs/carriers')];

describe('ARCHITECTURE.md', () => {
  const rows = read('ARCHITECTURE.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);

  test('has every operation of the contract in its table, with its method and path', () => {
    const told = rows.map(([, id, url]) => `${quoted(id!)[0]} ${url!.replaceAll('`', '')}`);
    expect(told.sort()).toEqual(
      Object.values(contract)
        .map((row) => `${row.id} ${row.method} ${row.path}`)
        .sort(),
    );
  });

  test.each(rows.map((cells) => [quoted(cells[1]!)[0]!, cells] as const))(
    'leads from %s to the files that have it',
    (id, [, , , contractFile, routesFile, actFiles]) => {
      expect(read(quoted(contractFile!)[0]!)).toContain(`id: '${id}'`);
      expect(read(quoted(routesFile!)[0]!)).toContain(`'${id}'`);
      for (const file of quoted(actFiles!)) expect(existsSync(join(root, file)), file).toBe(true);
    },
  );
});

test('docs/reasons.md has every canonical reason, told as the code tells it', () => {
  const table = read('docs/reasons.md').matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm);
  expect([...table].map(([, reason, retries, forGood]) => ({ reason, retries, forGood }))).toEqual(
    canonicalReasons.map(({ reason, retry, final }) => ({
      reason,
      retries: retry ? `${retry.maxAttempts} attempts` : 'no',
      forGood: final ? 'yes' : 'no',
    })),
  );
});

test.each(papers)('%s links to files that are there', (paper) => {
  const links = [...read(paper).matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1]!);
  const dead = links.filter((link) => !existsSync(join(root, dirname(paper), link)));
  expect(dead).toEqual([]);
});

test.each(papers)('%s names files of the code that are there', (paper) => {
  const named = read(paper).matchAll(
    /`((?:contract|server|sdk|test|bench|scripts|docs|bin)\/[\w./-]*[\w/])`/g,
  );
  const gone = [...named].map((match) => match[1]!).filter((path) => !existsSync(join(root, path)));
  expect(gone).toEqual([]);
});

test('docs/configuration.md has every variable that the configuration reads, and no other', () => {
  const names = /\b(?:PORT|HOST|DATABASE_URL|LOG_LEVEL|OMEGA_[A-Z]+(?:_[A-Z]+)*)\b/g;
  const readByCode = new Set(read('server/config.ts').match(names));
  const table = read('docs/configuration.md').matchAll(/^\| `([A-Z_]+)` \|/gm);
  expect([...table].map((match) => match[1]!).sort()).toEqual([...readByCode].sort());
});
