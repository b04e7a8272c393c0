import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Another process holds the data folder: two would corrupt it. */
export class DataDirInUse extends Error {
  constructor(folder: string, pid: number) {
    super(
      `Another omega (process ${pid}) is using the data in ${folder}. Stop it first, or set OMEGA_DATA_DIR to another folder, or DATABASE_URL to a Postgres that several may share.`,
    );
    this.name = 'DataDirInUse';
  }
}

/**
 * Takes the folder for this process: PGlite has no guard of its own. The lock names its process, so
 * one left behind by a killed process is taken over.
 *
 * @returns gives the folder back
 */
export async function lockDataDir(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, 'omega.pid');
  for (let tries = 0; tries < 5; tries++) {
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(String(process.pid));
      await handle.close();
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(await readFile(file, 'utf8').catch(() => '0'));
    if (pid !== process.pid && isAlive(pid)) throw new DataDirInUse(folder, pid);
    await rm(file, { force: true });
  }
  throw new Error(
    `Could not take the lock ${file}: it comes back as fast as it is removed. Remove it by hand.`,
  );
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
