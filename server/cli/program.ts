import { Command } from 'commander';
import { type Config, readConfig } from '../config.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { explain } from './explain.ts';
import { keyCommand } from './key.ts';
import { migrateCommand } from './migrate.ts';
import { serverCommand } from './server.ts';
import { startCommand } from './start.ts';
import { paintFor } from './terminal.ts';
import { version } from './version.ts';
import { workerCommand } from './worker.ts';

/** Runs the command line; where it fails, says in a sentence why and ends the process with 1. */
export async function run(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(argv);
  } catch (error) {
    const { red } = paintFor(process.stderr);
    const sentence = explain(error, configIfRight());
    // What nobody foresaw is a fault of ours: whoever looks into it needs the whole of it.
    const text = sentence ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
    for (const line of text.split('\n')) {
      process.stderr.write(sentence === null ? `${line}\n` : `${red('omega:')} ${line}\n`);
    }
    process.exit(1);
  }
}

function program(): Command {
  const omega = new Command('omega')
    .description('Omega: client messaging for businesses that live by appointments.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError('(omega --help lists the commands and options)')
    .addHelpText('after', afterHelp);
  for (const command of [
    startCommand(),
    serverCommand(),
    workerCommand(),
    migrateCommand(),
    keyCommand(),
    demoCommand(),
    doctorCommand(),
  ]) {
    omega.addCommand(command.helpOption('-h, --help', 'show this help'));
  }
  return omega;
}

const afterHelp = `
Configuration comes from the environment alone:
  PORT, HOST           where to listen (8080, 127.0.0.1)
  DATABASE_URL         a Postgres 15 or newer; left out: an embedded database
  OMEGA_DATA_DIR       the embedded database's folder (.omega); memory: keeps nothing
  OMEGA_PUBLIC_URL     what carriers call and sign (http://HOST:PORT)
  OMEGA_BASE_PATH      where the API is (/omega)
  OMEGA_SECRET         32 bytes or more; required with DATABASE_URL
  OMEGA_PLATFORM_KEY   a platform key given from outside
  OMEGA_SIMULATOR      on or off (on)
  OMEGA_SMTP_PORT      where mail is taken in by SMTP (off)
  OMEGA_SMTP_HOST      where that listens (127.0.0.1)
  OMEGA_SMTP_CERT,
  OMEGA_SMTP_KEY       certificate and key files for STARTTLS
  OMEGA_TRUST_PROXY    hops, or addresses of the proxies in front (off)
  OMEGA_WEBHOOK_HOSTS  what webhooks may reach beside public addresses (none)
  OMEGA_SEARCH_CONNECTIONS,
  OMEGA_SEARCH_TIMEOUT_MS
                       connections that searches have (3), and their limit (3000)
  LOG_LEVEL            trace, debug, info, warn, error, fatal or silent (info)

Examples:
  omega start          everything in one process, on the embedded database
  omega doctor         what is wrong here, and what to do about it`;

function configIfRight(): Config | null {
  try {
    return readConfig();
  } catch {
    return null;
  }
}
