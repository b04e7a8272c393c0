import { readFile } from 'node:fs/promises';
import { type Config, ConfigError, readConfig } from '../config.ts';
import { createLog, type Log } from '../core/log.ts';
import type { Omega, OmegaOptions } from '../omega.ts';
import { portMustBeFree } from './port.ts';
import { secretOf } from './secret.ts';

/** Longer than a job's grace (15 s): after that the process ends whatever still runs. */
const closeWithinMs = 25_000;

/**
 * A launcher hands on the signal that the terminal has sent to the whole group already (npm does, and
 * bin/omega.js): what comes again within this is the same press of Ctrl-C.
 */
const samePressMs = 400;

/** What a process of Omega was started with. */
export interface Started {
  config: Config;
  omega: Omega;
  log: Log;
}

/**
 * Builds Omega, lets `ready` do what comes first, and runs until SIGINT, SIGTERM or SIGHUP; then
 * closes in order and ends the process with 0. A second signal ends it at once.
 */
export async function runUntilStopped(
  parts: { server: boolean; worker: boolean },
  ready: (started: Started) => Promise<void>,
): Promise<void> {
  const stopped = nextSignal();
  const config = readConfig();
  const log = createLog({ level: config.logLevel, pretty: config.prettyLog });
  for (const warning of config.warnings) log.warn(warning);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'an error that nobody caught: ending, as what is in memory cannot be trusted');
    process.exit(1);
  });
  if (parts.server) await portMustBeFree(config);
  const omega = await build(config, log, parts);
  try {
    await ready({ config, omega, log });
  } catch (error) {
    await omega.close();
    throw error;
  }
  const signal = await stopped;
  log.info({ signal }, 'stopping: what is under way is finished first');
  const overdue = setTimeout(() => {
    log.error('what was under way did not finish in time; it goes on at the next start');
    process.exit(1);
  }, closeWithinMs);
  await omega.close();
  clearTimeout(overdue);
  log.info('stopped');
  process.exit(0);
}

/** An Omega of this configuration. The bulk of the imports is here, so that `--help` does without. */
export async function build(
  config: Config,
  log: Log,
  parts: { server: boolean; worker: boolean },
): Promise<Omega> {
  const secret = await secretOf(config);
  if (config.database.kind === 'postgres') {
    const { postgresMustBeNewEnough } = await import('./open-database.ts');
    await postgresMustBeNewEnough(config);
  }
  const { createOmega } = await import('../omega.ts');
  return createOmega({
    database: config.database,
    secret,
    log,
    ...parts,
    simulator: config.simulator,
    basePath: config.basePath,
    publicUrl: config.publicUrl,
    trustProxy: config.trustProxy,
    smtp: parts.server ? await smtpOf(config) : undefined,
    webhooks: { hosts: config.webhookHosts },
  });
}

/** @throws ConfigError where a file of its certificate cannot be read */
async function smtpOf({ smtp }: Config): Promise<OmegaOptions['smtp']> {
  if (smtp === null) return undefined;
  const { host, port, certFile, keyFile } = smtp;
  if (certFile === null || keyFile === null) return { host, port };
  const read = async (name: string, file: string) =>
    readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(`${name}: ${file} cannot be read (${error.code}).`);
    });
  return {
    host,
    port,
    tls: { cert: await read('OMEGA_SMTP_CERT', certFile), key: await read('OMEGA_SMTP_KEY', keyFile) },
  };
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAt: number | null = null;
    const onSignal = (signal: NodeJS.Signals) => {
      if (firstAt === null) {
        firstAt = performance.now();
        resolve(signal);
      } else if (performance.now() - firstAt > samePressMs) {
        process.exit(130);
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
