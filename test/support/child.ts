/**
 * One process of Omega for tests that kill it: its options come as JSON in OMEGA_CHILD, and when it
 * answers it says where, as one line of JSON. The command line's `start` reads the environment that
 * people write; this takes what only a test sets, such as a lease of a second.
 */
import { flushCompileCache } from 'node:module';
import type { AddressInfo } from 'node:net';
import { adoptPlatformKey } from '../../server/access/index.ts';
import { defaultLimits } from '../../server/core/http/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createOmega } from '../../server/omega.ts';
import type { ChildOptions } from './process.ts';

const options: ChildOptions = JSON.parse(process.env.OMEGA_CHILD!);
const log = createLog({ level: process.env.TEST_LOG_LEVEL ?? 'fatal', pretty: false });
const omega = await createOmega({
  ...options,
  log,
  server: true,
  worker: options.worker ?? true,
  simulator: true,
  basePath: '/omega',
  publicUrl: 'http://127.0.0.1',
  limits: { ...defaultLimits, send: 1_000_000, read: 1_000_000 },
});
await adoptPlatformKey(omega.database.db, options.platformKey, new Date());
await omega.http!.listen({ port: 0, host: '127.0.0.1' });
const { port } = omega.http!.server.address() as AddressInfo;
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}/omega` })}\n`);

// Those that are killed would keep nothing of what they compiled for the next ones.
flushCompileCache();

process.once('SIGTERM', async () => {
  await omega.close();
  process.exit(0);
});
