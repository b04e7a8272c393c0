import { Command } from 'commander';
import { readConfig } from '../config.ts';
import { createLog } from '../core/log.ts';
import { build } from './run.ts';

/** `omega migrate`: brings the database up to this version. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .summary('bring the database up to this version')
    .description(
      'Applies the migrations that this version brings, and makes the queues. Safe to repeat, and while others do the same: one migrates, the rest wait. `start`, `server` and `worker` do it too; this is for those who want it as a step of its own.',
    )
    .addHelpText(
      'after',
      `
Examples:
  omega migrate
  DATABASE_URL=postgres://owner:secret@localhost/omega OMEGA_SECRET=… omega migrate`,
    )
    .action(async () => {
      const config = readConfig();
      const log = createLog({ level: 'error', pretty: false });
      const omega = await build(config, log, { server: false, worker: false });
      await omega.close();
      const { newestMigration } = await import('../core/db/index.ts');
      const { migrated } = omega;
      process.stdout.write(
        migrated.length > 0
          ? `Applied ${migrated.join(', ')} to ${config.databaseName}.\n`
          : `Nothing to do: ${config.databaseName} is at ${await newestMigration()}.\n`,
      );
    });
}
