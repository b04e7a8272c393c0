import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another process holds the data folder: two would corrupt it. */
export class DataDirInUse extends Error {
  /** @param pid the other's, where it has said it; in a container it counts from 1 */
  constructor(folder: string, pid: number | null) {
    super(
      `Another omega${pid === null ? '' : ` (process ${pid})`} is using the data in ${folder}. Stop it first, or set OMEGA_DATA_DIR to another folder, or DATABASE_URL to a Postgres that several may share.`,
    );
    this.name = 'DataDirInUse';
  }
}

/** What is locked lives as long as the process, whatever becomes of the function that unlocks it. */
const held = new Set<DatabaseSync>();

/**
 * Takes the folder for this process: PGlite has no guard of its own.
 *
 * The lock is the kernel's own on a file (fcntl, LockFileEx), which Node reaches through its SQLite:
 * an empty database in a transaction that never ends. The kernel gives it to one process and takes it
 * back when that process is gone, however it went. A file that names its process can do neither: two
 * starters both find it stale, two containers are both process 1, and a pid comes again after a crash.
 * `omega.pid` only tells people whom to stop.
 *
 * @returns gives the folder back
 * @throws DataDirInUse
 */
export async function lockDataDir(folder: string): Promise<() => Promise<void>> {
  const pidFile = join(folder, 'omega.pid');
  const lock = openLock(folder);
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw asFileError(error, folder);
    throw new DataDirInUse(folder, await readPid(pidFile));
  }
  held.add(lock);
  // Only a help for people: a full disk must not keep the data from its readers.
  await writeFile(pidFile, String(process.pid)).catch(() => undefined);
  return async () => {
    if (!held.delete(lock)) return;
    // The lock's file stays: whoever removed it could remove one that another has just locked.
    await rm(pidFile, { force: true });
    lock.close();
  };
}

function openLock(folder: string): DatabaseSync {
  try {
    return new DatabaseSync(join(folder, 'omega.lock'), { timeout: 0 });
  } catch (error) {
    throw asFileError(error, folder);
  }
}

/** SQLITE_READONLY, SQLITE_FULL, SQLITE_CANTOPEN: what a folder that takes no file says, by the system's words. */
const fileCodes = new Map([
  [8, 'EROFS'],
  [13, 'ENOSPC'],
  [14, 'EACCES'],
]);

function asFileError(cause: unknown, folder: string): unknown {
  const code = fileCodes.get(((cause as { errcode?: number }).errcode ?? 0) & 0xff);
  if (!code) return cause;
  return Object.assign(new Error(`The lock in ${folder} cannot be made.`, { cause }), { code, path: folder });
}

/** SQLITE_BUSY. */
const busy = 5;

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === busy;
}

async function readPid(file: string): Promise<number | null> {
  const pid = Number(await readFile(file, 'utf8').catch(() => ''));
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}
