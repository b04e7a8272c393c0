import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';

export const mainProgram = join(import.meta.dirname, '..', '..', 'server', 'main.ts');

/** How a run of the command line ended, and what it said. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A run of the command line that goes on. */
export interface Running {
  /** What it has written to standard output so far. */
  stdout(): string;
  /** Resolves when its standard output matches; rejects when it ends before. */
  says(pattern: RegExp): Promise<void>;
  signal(name: NodeJS.Signals): void;
  ended: Promise<Ended>;
}

type Environment = Record<string, string | undefined>;

/**
 * What a program sees of this process's environment: where programs are, and nothing that is about
 * the tests themselves.
 */
const inherited: Environment = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: process.env.TMPDIR };

/** Starts `omega` with the arguments. `program` is run by this Node unless told. */
export function omega(args: string[], env: Environment = {}, program: string[] = [mainProgram]): Running {
  const child = spawn(process.execPath, [...program, ...args], {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return follow(child);
}

export function follow(child: ChildProcess): Running {
  const heard = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    heard.stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    heard.stderr += text;
  });
  // `close` and not `exit`: by then everything that was written has been read.
  const ended = once(child, 'close').then(([code]): Ended => ({ code, ...heard }));
  return {
    stdout: () => heard.stdout,
    says: async (pattern) => {
      while (!pattern.test(heard.stdout)) {
        const over = await Promise.race([once(child.stdout!, 'data').then(() => null), ended]);
        if (over && !pattern.test(heard.stdout))
          throw new Error(`It ended (${over.code}) without saying ${pattern}: ${over.stdout}${over.stderr}`);
      }
    },
    signal: (name) => void child.kill(name),
    ended,
  };
}

/** Runs `omega` to its end. */
export function run(args: string[], env: Environment = {}): Promise<Ended> {
  return omega(args, env).ended;
}

/** The end of what `start` and `server` show when they are ready. */
export const ready = /ready in [\s\S]+\n\n$/m;

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

const hasCurl = (() => {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/**
 * Runs a printed curl line as a shell would; where there is no curl, its words are read and fetched.
 *
 * @returns the JSON that was answered
 */
export async function pasted(line: string): Promise<any> {
  if (hasCurl) {
    const { code, stdout, stderr } = await follow(
      spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'] }),
    ).ended;
    if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
  const after = (flag: string) => words.flatMap((word, i) => (words[i - 1] === flag ? [word] : []));
  const [body] = after('-d');
  const response = await fetch(words.find((word) => word.startsWith('http'))!, {
    method: body === undefined ? 'GET' : 'POST',
    headers: after('-H').map((header) => header.split(/: (.*)/s).slice(0, 2) as [string, string]),
    body,
  });
  return response.json();
}

/** The curl lines in what was printed. */
export const curlLines = (text: string) => text.split('\n').filter((line) => line.startsWith('curl '));
