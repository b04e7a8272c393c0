/** Takes the data folder in a process of its own, says whether it got it, and waits to be killed. */
import { DataDirInUse, lockDataDir } from '../../server/core/db/data-dir-lock.ts';

const [folder, at] = process.argv.slice(2) as [string, string];
// Every child at the same moment.
while (Date.now() < Number(at));
try {
  await lockDataDir(folder);
  process.stdout.write('got\n');
  setInterval(() => undefined, 60_000);
} catch (error) {
  if (!(error instanceof DataDirInUse)) throw error;
  process.stdout.write('refused\n');
}
