import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clientOf } from '../support/omega.ts';
import { curlLines, follow, freePort, ready } from './support.ts';

const launcher = join(import.meta.dirname, '..', '..', 'bin', 'omega.js');

/** A Node of this machine that cannot run the server itself, if there is one. */
const olderNode = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .map((folder) => join(folder, 'node'))
  .find((program) => {
    if (!existsSync(program)) return false;
    const version = execFileSync(program, ['--version'], { encoding: 'utf8' });
    return Number(/^v(\d+)/.exec(version)?.[1]) < 24;
  });

const launch = (node: string, args: string[], env: Record<string, string> = {}) =>
  follow(
    spawn(node, [launcher, ...args], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );

describe('bin/omega.js', () => {
  const nodes = [process.execPath, ...(olderNode ? [olderNode] : [])];

  it.each(nodes)('runs the command line on %s, and hands its words and exit code on', async (node) => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
    const [good, bad] = await Promise.all([
      launch(node, ['--version']).ended,
      launch(node, ['nonsense']).ended,
    ]);
    expect(good).toMatchObject({ code: 0, stdout: `${JSON.parse(text).version}\n` });
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain("unknown command 'nonsense'");
  });

  it('hands SIGTERM on: Omega closes cleanly and both end with 0; a key from outside holds and is not shown', async () => {
    const port = await freePort();
    const key = 'a-platform-key-from-the-vault-4711';
    const env = { PORT: String(port), OMEGA_DATA_DIR: 'memory:', OMEGA_PLATFORM_KEY: key };
    const running = launch(olderNode ?? process.execPath, ['start', '--no-demo'], env);
    await running.says(ready);
    const api = clientOf(`http://127.0.0.1:${port}/omega`, key);
    const { status } = await api.get('/businesses/1001/conversations');
    expect(status).toBe(404);
    running.signal('SIGTERM');
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('"msg":"stopped"');
    expect(stdout + stderr).not.toContain(key);
    expect(curlLines(stdout)).toEqual([expect.stringContaining('$OMEGA_PLATFORM_KEY')]);
  });
});
