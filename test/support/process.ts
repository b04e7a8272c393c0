import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { type Client, clientOf, testSecret } from './omega.ts';

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

/** Starts Omega as a child and resolves when it answers; it takes the same platform key at each start. */
export async function startProcess(
  options: Omit<ChildOptions, 'secret' | 'platformKey'>,
): Promise<OmegaProcess> {
  const given: ChildOptions = { ...options, secret: testSecret, platformKey };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    env: { ...process.env, OMEGA_CHILD: JSON.stringify(given) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const { url } = await firstLine(child, exited);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return (await exited)[0];
  };
  return {
    pid: child.pid!,
    url,
    platform: clientOf(url, platformKey),
    as: (key) => clientOf(url, key),
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
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
