import { Command } from 'commander';
import { printBanner } from './banner.ts';
import { listen } from './listen.ts';
import { runUntilStopped } from './run.ts';

/** `omega server`: answers HTTP. */
export function serverCommand(): Command {
  return new Command('server')
    .summary('answer HTTP only')
    .description(
      'Answers HTTP and leaves the jobs to workers. Any number of servers and workers may share one Postgres. It migrates first.',
    )
    .addHelpText(
      'after',
      `
Examples:
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega server
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega worker`,
    )
    .action(async () => {
      await runUntilStopped({ server: true, worker: false }, async ({ config, omega, log }) => {
        if (omega.database.kind === 'pglite') {
          log.warn(
            'the embedded database takes one process at a time, so no worker can run beside this server: what is queued waits for `omega start`',
          );
        }
        await listen(omega, config, log);
        const { firstPlatformKey } = await import('./platform-key.ts');
        const platformKey = await firstPlatformKey(omega.database.db, config);
        await printBanner({ config, omega, platformKey, studio: null });
      });
    });
}
