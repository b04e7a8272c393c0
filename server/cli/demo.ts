import { Command } from 'commander';
import { ConfigError, readConfig } from '../config.ts';
import { createLog } from '../core/log.ts';
import { demoLines } from './banner.ts';
import { build } from './run.ts';
import { paintFor } from './terminal.ts';

/** `omega demo`: makes the demo studio. */
export function demoCommand(): Command {
  return new Command('demo')
    .summary('make the demo studio')
    .description(
      'Makes Lotus Yoga (business 1001) on the simulator in the configured database: two locations, staff, eight clients and a few days of conversation. Its key and two curl lines to try are printed once. Nothing is changed where business 1001 exists.',
    )
    .addHelpText(
      'after',
      `
Examples:
  omega demo
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega demo`,
    )
    .action(async () => {
      const config = readConfig();
      if (!config.simulator)
        throw new ConfigError('The demo studio lives on the simulator: set OMEGA_SIMULATOR=on.');
      const log = createLog({ level: 'error', pretty: false });
      const omega = await build(config, log, { server: false, worker: false });
      try {
        const { createDemo, demoExists } = await import('../demo/studio.ts');
        const { db } = omega.database;
        if (await demoExists(db)) {
          throw new ConfigError(
            `Business 1001 is there already, so the demo studio is left as it is: for another key of it, \`${config.program} key create --business 1001\`.`,
          );
        }
        const studio = await createDemo({ ...omega, db, now: new Date() });
        const lines = demoLines(config, studio, paintFor(process.stdout));
        process.stdout.write(`\n${lines.join('\n')}\n\n`);
      } finally {
        await omega.close();
      }
    });
}
