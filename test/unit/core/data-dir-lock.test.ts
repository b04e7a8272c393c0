import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DataDirInUse, lockDataDir } from '../../../server/core/db/data-dir-lock.ts';

let folder: string;
let children: ChildProcess[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'omega-lock-'));
  children = [];
});
afterEach(async () => {
  await Promise.all(children.map(kill));
  await rm(folder, { recursive: true });
});

const program = join(import.meta.dirname, '..', '..', 'support', 'lock-child.ts');

/** What a process of its own says, that reaches for the folder at that moment. */
async function reachFor(at: number): Promise<string> {
  const child = spawn(process.execPath, [program, folder, String(at)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [said] = await once(child.stdout!, 'data');
  return String(said).trim();
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** As many processes at once: how many got it. */
const race = async (count: number) => {
  const at = Date.now() + 700;
  const said = await Promise.all(Array.from({ length: count }, () => reachFor(at)));
  return said.filter((word) => word === 'got').length;
};

test('of several processes at once one gets the folder, also where a crash left its mark', async () => {
  expect(await race(4)).toBe(1);
  await Promise.all(children.map(kill));
  expect(await race(4)).toBe(1);
});

test('a pid that is alive again, or our own as in a container that was restarted, holds nothing', async () => {
  for (const pid of [process.ppid, process.pid]) {
    await writeFile(join(folder, 'omega.pid'), String(pid));
    const unlock = await lockDataDir(folder);
    await unlock();
  }
});

test('the folder is free once it is given back, and the refusal names who has it', async () => {
  const unlock = await lockDataDir(folder);
  const refused = await lockDataDir(folder).catch((error) => error);
  expect(refused).toBeInstanceOf(DataDirInUse);
  expect(refused.message).toContain(`process ${process.pid}`);
  expect(refused.message).toContain(folder);
  await unlock();
  await unlock();
  const again = await lockDataDir(folder);
  // Giving the first one back once more takes nothing from the second.
  await unlock();
  await expect(lockDataDir(folder)).rejects.toBeInstanceOf(DataDirInUse);
  await again();
});
