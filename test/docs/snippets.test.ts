import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync } from 'node:fs';
import { cp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, buildSdk } from '../../scripts/build-sdk.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';
import { compile, runProgram, strictOptions } from '../support/programs.ts';
import { differenceFrom, printedBy, type Snippet, snippetsOf } from '../support/snippets.ts';

const root = join(import.meta.dirname, '..', '..');
const docs = ['guide.md', 'sdk.md'] as const;
const snippets = Object.fromEntries(
  docs.map((doc) => [doc, snippetsOf(readFileSync(join(root, 'docs', doc), 'utf8'))]),
) as Record<(typeof docs)[number], Snippet[]>;
const fileOf = (doc: string, snippet: Snippet, kind: string) =>
  `${doc.replace('.md', '')}-${snippet.line}.${kind}`;
const setup = snippets['guide.md'].find((snippet) => snippet.info === 'setup')!.code;
const programs = docs.flatMap((doc) =>
  snippets[doc]
    .filter((snippet) => snippet.language === 'ts' && snippet.info !== 'setup')
    .map((snippet) => ({
      file: fileOf(doc, snippet, 'ts'),
      // What stands alone is said to be plain JavaScript too, and is run as that.
      run: fileOf(doc, snippet, snippet.info === 'quickstart' ? 'mjs' : 'ts'),
      code: snippet.info === 'quickstart' ? snippet.code : setup + snippet.code,
    })),
);

const hasCurl = (() => {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A program's folder, with the client's package installed as its users install it. */
const folder = mkdtempSync(join(tmpdir(), 'omega-docs-'));
let bundle: Bundle;
let omega: RunningOmega;
let env: Record<string, string>;

beforeAll(async () => {
  const started = startOmega({ realTime: true });
  bundle = await buildSdk(join(folder, 'built'));
  await writeFile(
    join(folder, 'package.json'),
    '{"name": "an-integrator", "private": true, "type": "module"}',
  );
  // Packed and unpacked as from a registry, not linked to.
  const install = [
    'install',
    '--offline',
    '--silent',
    '--no-audit',
    '--no-fund',
    '--install-links',
    './built',
  ];
  await runProgram('npm', install, { cwd: folder });
  for (const { file, run, code } of programs) {
    for (const name of [file, run]) await writeFile(join(folder, name), code);
  }
  // curl tells the status too, without a word of it in the guide.
  await writeFile(join(folder, '.curlrc'), 'write-out = "\\n%{http_code}"\n');

  omega = await started;
  const { key } = await omega.business({ business_id: 1001 });
  env = { OMEGA: omega.url, KEY: key, HOME: folder };
}, 180_000);
afterAll(async () => {
  await omega?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the package of the client', () => {
  test('is installed without the internet, and brings nothing else along', async () => {
    expect((await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual([
      'omega',
    ]);
    const installed = JSON.parse(readFileSync(join(folder, 'node_modules', 'omega', 'package.json'), 'utf8'));
    expect(installed).not.toHaveProperty('dependencies');
    expect(lstatSync(join(folder, 'node_modules', 'omega')).isSymbolicLink()).toBe(false);
  });

  test('is as small as its page says, with no schema and nothing of Node in it', () => {
    const page = readFileSync(join(root, 'docs', 'sdk.md'), 'utf8');
    const [, gzipped, minified] = /([\d.]+) kB as it travels \(([\d.]+) kB minified\)/.exec(page)!;
    expect(bundle.gzipped).toBeLessThanOrEqual(Number(gzipped) * 1000);
    expect(bundle.code.length).toBeLessThanOrEqual(Number(minified) * 1000);
    // Not larger than it has to say, either.
    expect(bundle.gzipped).toBeGreaterThan(Number(gzipped) * 900);
    expect(bundle.code).not.toMatch(/\brequire\(|from ?"|additionalProperties/);
  });

  test('lets every snippet of the papers compile, in Node and in a browser, with every type of the package checked', async () => {
    const types = {
      // Node's own declarations take long to check, and are not what this is about.
      node: {
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')],
        lib: ['es2024'],
        skipLibCheck: true,
      },
      browser: { types: [], lib: ['es2024', 'dom', 'dom.iterable'] },
    };
    await writeFile(
      join(folder, 'env.d.ts'),
      'declare const process: { env: Record<string, string | undefined> };',
    );
    for (const [where, options] of Object.entries(types)) {
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: { ...strictOptions, ...options },
          files: [...programs.map(({ file }) => file), ...(where === 'browser' ? ['env.d.ts'] : [])],
        }),
      );
      await compile(folder);
    }
  });

  test('has the types of the contract: what fits the one fits the other', async () => {
    const place = join(folder, 'types');
    await cp(join(folder, 'built'), join(place, 'built'), { recursive: true });
    await symlink(join(root, 'node_modules'), join(place, 'node_modules'));
    await writeFile(
      join(place, 'same.ts'),
      `import type { Operations as Source } from ${JSON.stringify(join(root, 'sdk', 'operations.ts'))};
       import type { Operations as Built } from './built/sdk/operations.js';
       type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
       type Differing = { [Id in keyof Source | keyof Built]: Id extends keyof Source & keyof Built
         ? [Same<Source[Id]['input'], Built[Id]['input']>, Same<Source[Id]['data'], Built[Id]['data']>] extends [true, true] ? never : Id
         : Id }[keyof Source | keyof Built];
       const none: [Differing] extends [never] ? 'none' : Differing = 'none';
       console.log(none);`,
    );
    const options = {
      ...strictOptions,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      types: ['node'],
    };
    await writeFile(
      join(place, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['same.ts'] }),
    );
    await compile(place);
  });
});

describe.each(docs)('docs/%s does what it says, from its top to its end', (doc) => {
  const told = snippets[doc].map((snippet, i) => ({ ...snippet, next: snippets[doc][i + 1] }));
  const run = told.filter(
    ({ language, info }) => (language === 'ts' && info !== 'setup') || (language === 'sh' && hasCurl),
  );

  test.each(run)('line $line ($language)', async (snippet) => {
    await omega.settled();
    if (snippet.language === 'ts') {
      const file = `${doc.replace('.md', '')}-${snippet.line}.ts`;
      expect(await runProgram(process.execPath, [file], { cwd: folder, env })).toMatch(
        printedBy(snippet.code),
      );
      return;
    }
    const output = await runProgram('bash', ['-euo', 'pipefail', '-c', snippet.code], { cwd: folder, env });
    const [, body, status] = /^([\s\S]*)\n(\d{3})$/.exec(output.trim())!;
    const answer = snippet.next?.language === 'json' ? snippet.next : null;
    expect(Number(status), body).toBe(Number(answer?.info ?? 202));
    if (answer) expect(differenceFrom(JSON.parse(answer.code), JSON.parse(body!))).toBeNull();
  });

  test('each of its answers stands below what asks for it, with its status', () => {
    for (const [i, snippet] of snippets[doc].entries()) {
      if (snippet.language !== 'json') continue;
      expect(snippets[doc][i - 1]?.language, `line ${snippet.line}`).toBe('sh');
      expect(snippet.info, `line ${snippet.line}`).toMatch(/^\d{3}$/);
    }
  });
});

test.skipIf(hasCurl)('the curl lines of the guide were not run: there is no curl here', () => {});

test('every step of the guide stands for curl and for the client', () => {
  const guide = readFileSync(join(root, 'docs', 'guide.md'), 'utf8');
  const steps = guide.split(/^## /m).slice(1);
  expect(steps.map((step) => step.split('\n')[0])).toEqual(
    expect.arrayContaining([
      'The first message',
      'Replies',
      'Recording what another system sent',
      'Statuses',
      'Consent',
      'Errors',
      'Request ids',
      'Pages',
      'Scheduling',
      'Import',
      'Senders',
      'Retention',
    ]),
  );
  for (const step of steps.slice(0, -1)) {
    const languages = snippetsOf(step).map((snippet) => snippet.language);
    expect(languages, step.split('\n')[0]).toEqual(expect.arrayContaining(['sh', 'ts']));
  }
});
