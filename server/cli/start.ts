import { Command } from 'commander';
import { type Config, ConfigError } from '../config.ts';
import type { Omega } from '../omega.ts';
import { printBanner } from './banner.ts';
import { listen } from './listen.ts';
import { runUntilStopped, type Started } from './run.ts';

/** `omega start`: server and worker in one process. */
export function startCommand(): Command {
  return new Command('start')
    .summary('run everything in one process')
    .description(
      'Runs the server and the worker in one process, on the embedded database unless DATABASE_URL names a Postgres. It migrates first. An empty embedded database gets the demo studio; its keys and two curl lines to try are printed once.',
    )
    .option('--demo', 'make the demo studio, on Postgres too')
    .option('--no-demo', 'do not make the demo studio')
    .addHelpText(
      'after',
      `
Examples:
  omega start
  PORT=9000 omega start --no-demo
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega start

Ctrl-C finishes what is under way and stops; a second Ctrl-C stops at once.`,
    )
    .action((options: { demo?: boolean }) =>
      runUntilStopped({ server: true, worker: true }, (started) => welcome(started, options.demo)),
    );
}

/** Listens, makes what a first start makes, and shows it. */
async function welcome({ config, omega, log }: Started, demo: boolean | undefined): Promise<void> {
  if (demo && !config.simulator) {
    throw new ConfigError(
      'The demo studio lives on the simulator: set OMEGA_SIMULATOR=on, or leave --demo out.',
    );
  }
  await listen(omega, config, log);
  // Loaded with Omega by now; an import above would make every --help wait for it.
  const { firstPlatformKey } = await import('./platform-key.ts');
  const platformKey = await firstPlatformKey(omega.database.db, config);
  const studio = (await wantsDemo(omega, config, demo)) ? await makeDemo(omega) : null;
  await printBanner({ config, omega, platformKey, studio });
}

/** Where it is told to; else where somebody tries Omega out: on an embedded database without a business. */
async function wantsDemo(omega: Omega, config: Config, told: boolean | undefined): Promise<boolean> {
  const { db, kind } = omega.database;
  if (told === false || !config.simulator) return false;
  if (told) {
    const { demoExists } = await import('../demo/studio.ts');
    return !(await demoExists(db));
  }
  if (kind === 'postgres') return false;
  const business = await db.selectFrom('businesses').select('business_id').limit(1).executeTakeFirst();
  return business === undefined;
}

async function makeDemo({ database, queue, secrets }: Omega) {
  const { createDemo } = await import('../demo/studio.ts');
  return createDemo({ db: database.db, queue, secrets, now: new Date() });
}
