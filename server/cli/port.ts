import { createServer } from 'node:net';
import { type Config, ConfigError } from '../config.ts';

/**
 * Tries the port before anything is built: what would fail at the end fails at once.
 *
 * @throws ConfigError where an Omega runs there already; else the system's error, for {@link explain}
 */
export async function portMustBeFree(config: Config): Promise<void> {
  const error = await tryPort(config);
  if (error === null) return;
  const running = error.code === 'EADDRINUSE' ? await runningOmega(config) : null;
  if (running === null) throw error;
  throw new ConfigError(
    `Omega ${running} runs at ${config.localUrl}${config.basePath} already: use that one, or set PORT (and OMEGA_DATA_DIR) to start another beside it.`,
  );
}

/** @returns why the port cannot be listened on, or null where it is free */
export function tryPort({ port, host }: Config): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen(port, host, () => probe.close(() => resolve(null)));
  });
}

/** The version of the Omega that answers at the port, or null where it is something else. */
export async function runningOmega(config: Config): Promise<string | null> {
  try {
    const response = await fetch(`${config.localUrl}${config.basePath}/health`, {
      signal: AbortSignal.timeout(2_000),
    });
    const body = (await response.json()) as { status?: string; version?: string };
    return body.status === 'ok' && body.version ? body.version : null;
  } catch {
    return null;
  }
}
