import { Command } from 'commander';
import { runUntilStopped } from './run.ts';

/** `omega worker`: works on jobs. */
export function workerCommand(): Command {
  return new Command('worker')
    .summary('work on jobs only')
    .description(
      'Hands messages to the carriers and does every other job; answers no HTTP. Any number of workers may share one Postgres. It migrates first.',
    )
    .addHelpText(
      'after',
      `
Examples:
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega worker

Ctrl-C finishes the jobs under way; what a killed worker held is taken up by another.`,
    )
    .action(async () => {
      await runUntilStopped({ server: false, worker: true }, async ({ config, log }) => {
        log.info({ database: config.databaseName }, 'working on jobs');
      });
    });
}
