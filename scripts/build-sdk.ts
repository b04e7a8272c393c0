/**
 * Builds the typed client: `dist/omega/`, a package without dependencies, for Node and browsers. Node strips
 * no types under `node_modules`, so what is installed is JavaScript with its declarations beside it.
 *
 * `node scripts/build-sdk.ts` writes the folder and says its size; with `--pack` it also makes the `.tgz` to install.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { sdkTypes } from './sdk-types.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

export interface Bundle {
  code: string;
  map: string;
  /** Bytes as they travel. */
  gzipped: number;
}

/** One file without imports, minified. */
export async function bundleSdk(): Promise<Bundle> {
  const result = await build({
    entryPoints: [join(root, 'sdk', 'index.ts')],
    bundle: true,
    minify: true,
    sourcemap: 'linked',
    outfile: 'index.js',
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
  });
  const [map, code] = result.outputFiles.map((file) => file.text);
  return { code: code!, map: map!, gzipped: gzipSync(code!).length };
}

/** Writes the package's folder anew. */
export async function buildSdk(folder: string): Promise<Bundle> {
  const bundle = await bundleSdk();
  await rm(folder, { recursive: true, force: true });
  const sdk = join(folder, 'sdk');
  await mkdir(sdk, { recursive: true });
  const { version, description, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const files: Record<string, string> = {
    'package.json': JSON.stringify(
      {
        name: 'omega',
        version,
        description: `${description}: the typed client`,
        license,
        type: 'module',
        sideEffects: false,
        exports: { './sdk': { types: './sdk/index.d.ts', default: './sdk/index.js' } },
        engines: { node: '>=20' },
      },
      null,
      2,
    ),
    // The page's links lead to its neighbours, which are not in the package.
    'README.md': (await readFile(join(root, 'docs', 'sdk.md'), 'utf8')).replaceAll(
      /\[([^\]]+)\]\((?!https?:|#)[^)]*\)/g,
      '$1',
    ),
    'sdk/index.js': bundle.code,
    'sdk/index.js.map': bundle.map,
    ...(await declarations()),
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  await cp(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  return bundle;
}

/** The client's own declarations by tsc, the contract's types written out. */
async function declarations(): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'omega-sdk-'));
  try {
    await run(process.execPath, [
      join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      join(root, 'sdk'),
      '--outDir',
      folder,
    ]);
    const names = ['client', 'error', 'index', 'types', 'webhook'];
    const texts = await Promise.all(
      names.map((name) => readFile(join(folder, 'sdk', `${name}.d.ts`), 'utf8')),
    );
    return {
      ...Object.fromEntries(
        names.map((name, i) => [
          `sdk/${name}.d.ts`,
          texts[i]!.replaceAll(/(from ['"]\.\/\w+)\.ts(['"])/g, '$1.js$2'),
        ]),
      ),
      'sdk/operations.d.ts': `${sdkTypes()}\n`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const folder = join(root, 'dist', 'omega');
  const { code, gzipped } = await buildSdk(folder);
  console.log(`dist/omega/sdk/index.js: ${code.length} bytes, ${gzipped} gzipped`);
  if (process.argv.includes('--pack')) {
    const { stdout } = await run('npm', [
      'pack',
      folder,
      '--pack-destination',
      join(root, 'dist'),
      '--silent',
    ]);
    console.log(`dist/${stdout.trim()}: npm install it where it is used`);
  }
}
