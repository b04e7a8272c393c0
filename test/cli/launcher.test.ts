import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { follow, freePort, ready } from './support.ts';

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

const nodes = [['the Node of the tests', process.execPath] as const].concat(
  olderNode ? [['an older Node', olderNode] as never] : [],
);

describe.each(nodes)('bin/omega.js on %s', (_, node) => {
  const launch = (args: string[], env: Record<string, string> = {}) =>
    follow(
      spawn(node, [launcher, ...args], {
        env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );

  it('runs the command line and hands its words and exit code on', async () => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
    const [good, bad] = await Promise.all([launch(['--version']).ended, launch(['nonsense']).ended]);
    expect(good).toMatchObject({ code: 0, stdout: `${JSON.parse(text).version}\n` });
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain("unknown command 'nonsense'");
  });

  it('hands SIGTERM on: the server closes cleanly and both end with 0', async () => {
    const port = await freePort();
    const env = { PORT: String(port), OMEGA_DATA_DIR: 'memory:' };
    const running = launch(['start', '--no-demo'], env);
    await running.says(ready);
    running.signal('SIGTERM');
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('stopped');
  });
});
