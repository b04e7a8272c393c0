import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from './support.ts';

const commands = [
  ['start'],
  ['server'],
  ['worker'],
  ['migrate'],
  ['key'],
  ['key', 'create'],
  ['key', 'list'],
  ['key', 'revoke'],
  ['demo'],
  ['doctor'],
];

describe('help', () => {
  it.concurrent.each(commands)('omega %s %s --help explains itself with an example', async (...words) => {
    const { code, stdout, stderr } = await run([...words, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: omega ${words.join(' ')}`);
    expect(stdout).toMatch(new RegExp(`Examples:\\n(.*\\n)*.*omega ${words.join(' ')}`));
  });

  it.concurrent('omega --help lists every command and every variable', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const [command] of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    const config = await readFile(join(import.meta.dirname, '..', '..', 'server', 'config.ts'), 'utf8');
    for (const name of new Set(config.match(/\bOMEGA_[A-Z_]+[A-Z]\b/g))) expect(stdout).toContain(name);
  });

  it.concurrent('omega --version is the version of the package', async () => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
    expect((await run(['--version'])).stdout).toBe(`${JSON.parse(text).version}\n`);
  });

  it.concurrent('an unknown command, option or argument ends with 1 and a line about it', async () => {
    const wrong = await Promise.all([
      run(['strat']),
      run(['start', '--dmeo']),
      run(['key', 'create', '--scopes', 'write']),
      run(['key', 'create', '--expires', '2020-01-01']),
      run(['key', 'revoke', 'omk_secret']),
    ]);
    expect(wrong.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
    expect(wrong.map(({ stderr }) => stderr.split('\n')[0])).toEqual([
      expect.stringContaining('unknown command'),
      expect.stringContaining('--dmeo'),
      expect.stringContaining('Scopes are'),
      expect.stringContaining('over already'),
      expect.stringContaining('no id of a key'),
    ]);
  });
});
