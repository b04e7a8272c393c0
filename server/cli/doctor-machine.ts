import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { Config } from '../config.ts';
import { explain } from './explain.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { embeddedExists } from './open-database.ts';
import { keptSecret, secretFile } from './secret.ts';

const oldestNode = 24;

export function checkNode(): Finding {
  const { node } = process.versions;
  return Number(node.split('.')[0]) >= oldestNode
    ? ok('node', node)
    : fail(
        'node',
        `${node} is too old`,
        `Use Node ${oldestNode} or newer; \`npm ci\` and \`npm start\` bring their own.`,
      );
}

export function checkConfig(config: Config): Finding[] {
  const simulator = config.simulator ? 'simulator on' : 'simulator off';
  return [
    ok('configuration', `API at ${config.publicUrl}${config.basePath}, ${simulator}, log ${config.logLevel}`),
    ...config.warnings.map((warning) =>
      warn('configuration', warning, 'Correct the name, or take it out of the environment.'),
    ),
  ];
}

/** The embedded database's folder: there, writable. Who holds it is found out by opening it. */
export async function checkDataDir({ dataDir }: Config): Promise<Finding[]> {
  if (dataDir === null) return [];
  // Of a folder that is still to be made, the nearest one above must be writable.
  let folder = dataDir;
  for (;;) {
    try {
      const isFolder = (await stat(folder)).isDirectory();
      if (!isFolder) return [fail('data', `${folder} is not a folder`, 'Set OMEGA_DATA_DIR to another.')];
      await access(folder, constants.W_OK | constants.X_OK);
      break;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || folder === dirname(folder)) {
        const advice = 'Make it writable for this user, or set OMEGA_DATA_DIR to another folder.';
        return [fail('data', `${folder} cannot be written to (${code})`, advice)];
      }
      folder = dirname(folder);
    }
  }
  return [
    ok('data', embeddedExists(dataDir) ? dataDir : `${dataDir}: nothing there yet, the first start makes it`),
  ];
}

export async function checkSecret(config: Config): Promise<Finding> {
  if (config.secret !== null) return ok('secret', 'set by OMEGA_SECRET');
  if (config.dataDir === null) return ok('secret', 'made anew at each start, as nothing is kept');
  const file = secretFile(config.dataDir);
  try {
    if ((await keptSecret(config.dataDir)) === null) {
      return embeddedExists(config.dataDir)
        ? fail(
            'secret',
            `${file} is gone`,
            "Put it back from a backup, or set OMEGA_SECRET to what it was: carriers' credentials open with nothing else.",
          )
        : ok('secret', 'made and kept in the data folder by the first start');
    }
    const { mode } = await stat(file);
    return (mode & 0o077) === 0
      ? ok('secret', `kept in ${file}`)
      : warn('secret', `${file} can be read by other users`, `chmod 600 ${file}`);
  } catch (error) {
    return fail('secret', explain(error, config) ?? String(error));
  }
}

/** Free, or taken by an Omega that runs. */
export async function checkPort(config: Config): Promise<Finding> {
  const error = await tryListening(config);
  const where = `${config.port} on ${config.host}`;
  if (error === null) return ok('port', `${where} is free`);
  const running = error.code === 'EADDRINUSE' ? await runningOmega(config) : null;
  if (running) return ok('port', `${where} is held by Omega ${running}, which answers`);
  return fail('port', explain(error, config) ?? `${where}: ${error.message}`);
}

function tryListening({ port, host }: Config): Promise<NodeJS.ErrnoException | null> {
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
