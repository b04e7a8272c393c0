/**
 * Bundles the typed client for browsers and for Node without type stripping: `dist/sdk/index.js`, one
 * file without dependencies, with its size as it travels.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** @returns the bundle's text */
export async function bundleSdk(): Promise<string> {
  const result = await build({
    entryPoints: [join(root, 'sdk', 'index.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
  });
  return result.outputFiles[0]!.text;
}

if (import.meta.main) {
  const text = await bundleSdk();
  const folder = join(root, 'dist', 'sdk');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'index.js'), text);
  console.log(`dist/sdk/index.js: ${text.length} bytes, ${gzipSync(text).length} gzipped`);
}
