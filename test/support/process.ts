import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { type Client, clientOf, testSecret } from './omega.ts';
import { cacheFolder } from './template.ts';

/** What a test sets in a process of its own (test/support/child.ts). */
export interface ChildOptions {
  database: DatabaseTarget;
  secret: string;
  platformKey: string;
  worker?: boolean;
  /** Seconds; the queues' own leases when left out. */
  leaseS?: number;
  carrierDeadlineMs?: number;
}

/** Omega in a process of its own, to be killed. */
export interface OmegaProcess {
  pid: number;
  /** With the base path. */
  url: string;
  platform: Client;
  as(key: string): Client;
  /** SIGKILL: no handler runs. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | null>;
  /** SIGSTOP: it runs no further, and keeps its connections. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

const program = join(import.meta.dirname, 'child.ts');
const platformKey = 'omp_a platform key for tests of crashes';

/** A child on its way up. */
export interface StartingProcess {
  /** Resolves when it answers. @throws what it said where it ended before */
  ready: Promise<OmegaProcess>;
  /** SIGKILL, also before it answers. */
  kill(): Promise<void>;
}

/** Starts Omega as a child; it takes the same platform key at each start. */
export function spawnProcess(options: Omit<ChildOptions, 'secret' | 'platformKey'>): StartingProcess {
  const given: ChildOptions = { ...options, secret: testSecret, platformKey };
  const child = spawn(process.execPath, [program], {
    env: {
      ...process.env,
      OMEGA_CHILD: JSON.stringify(given),
      // The one of the command line: they import the same.
      NODE_COMPILE_CACHE: join(cacheFolder, 'compiled'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return (await exited)[0];
  };
  const kill = async () => {
    await end('SIGKILL');
  };
  const ready = firstLine(child, exited).then(({ url }) => ({
    pid: child.pid!,
    url,
    platform: clientOf(url, platformKey),
    as: (key: string) => clientOf(url, key),
    kill,
    stop: () => end('SIGTERM'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }));
  // Who kills it on the way up need not wait for it.
  ready.catch(() => undefined);
  return { ready, kill };
}

/** Starts Omega as a child and resolves when it answers. */
export function startProcess(options: Omit<ChildOptions, 'secret' | 'platformKey'>): Promise<OmegaProcess> {
  return spawnProcess(options).ready;
}

async function firstLine(child: ChildProcess, exited: Promise<unknown>): Promise<{ url: string }> {
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-20_000);
  });
  const lines = createInterface({ input: child.stdout! });
  const line = once(lines, 'line').then(([text]) => JSON.parse(String(text)) as { url: string });
  return Promise.race([
    line,
    exited.then(() => {
      throw new Error(`Omega ended before it answered: ${errors}`);
    }),
  ]);
}
