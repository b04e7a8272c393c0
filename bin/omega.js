#!/usr/bin/env node
/**
 * Starts Omega's command line. The server is TypeScript that Node runs as it is, which needs Node 24;
 * on an older one this runs the Node that the project pins (the npm package `node`) in its place.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldestMajor = 24;
const main = new URL('../server/main.ts', import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= oldestMajor) {
  await import(main.href);
} else {
  const node = pinnedNode();
  if (node) runIn(node);
  else {
    console.error(
      `omega: Omega needs Node ${oldestMajor} or newer, and this is ${process.versions.node}. Run \`npm ci\` in its folder, which brings one along, or install a newer Node.`,
    );
    process.exitCode = 1;
  }
}

/** The program of the npm package `node`, or null where it is not installed. */
function pinnedNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    const program = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(program) ? program : null;
  } catch {
    return null;
  }
}

/** Signals go on to it, and it decides about them; how it ends is how this ends. */
function runIn(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`omega: ${node} does not run here (${error.message}). Run \`npm ci\` again.`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
