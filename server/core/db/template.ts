import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

/**
 * An empty embedded database, made once at installation and copied at each first start: PGlite's
 * `initdb` takes 3 to 4 s here, a copy 60 ms (docs/adr/0003-embedded-default.md).
 */
const home = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'omega');

const version: string = createRequire(import.meta.url)(
  join(dirname(import.meta.dirname), '..', '..', 'node_modules', '@electric-sql', 'pglite', 'package.json'),
).version;

export const templateDir = () => join(home, `pglite-${version}`);
/** The same as an archive, which is what an in-memory database loads. */
export const templateTar = () => join(home, `pglite-${version}.tar`);

/** Makes the template where it is missing. @returns whether it had to */
export async function makeTemplate(): Promise<boolean> {
  if (existsSync(templateDir()) && existsSync(templateTar())) return false;
  const unfinished = join(home, `unfinished-${process.pid}`);
  await mkdir(home, { recursive: true });
  const pglite = new PGlite(unfinished);
  await pglite.waitReady;
  const tar = await pglite.dumpDataDir('none');
  await pglite.close();
  await writeFile(`${unfinished}.tar`, Buffer.from(await tar.arrayBuffer()));
  await rename(`${unfinished}.tar`, templateTar());
  await rm(templateDir(), { recursive: true, force: true });
  await rename(unfinished, templateDir());
  return true;
}
