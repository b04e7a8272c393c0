/**
 * Imports clients as a stream and measures it: `node bench/import-clients.ts [rows] [pglite|postgres]`.
 * Prints rows a second, the process's memory before, at most and after, and the same for running it again.
 * The rows are made while they are sent, so the memory is the server's and the embedded database's.
 */
import { Readable } from 'node:stream';
import { lotus } from '../test/support/lotus.ts';
import { startOmega } from '../test/support/omega.ts';
import { startPostgres } from '../test/support/postgres.ts';

const rows = Number(process.argv[2] ?? 100_000);
const kind = process.argv[3] ?? 'postgres';

const postgres = kind === 'postgres' ? await startPostgres() : null;
const omega = await startOmega(
  postgres
    ? {
        database: { kind: 'postgres', url: await postgres.createDatabase('bench'), poolSize: 8 },
        realTime: true,
      }
    : {},
);
const onboarded = await omega.platform.post('/business/onboard', { ...lotus, business_id: 1001 });
const key = onboarded.body.api_key as string;

function* lines() {
  for (let i = 0; i < rows; i++) {
    const row = {
      client_id: 1_000_000 + i,
      name: `Client Number ${i}`,
      phones: [`+1202${String(2_000_000 + i)}`],
      emails: [`client${i}@example.com`],
      tags: ['imported'],
    };
    yield `${JSON.stringify(row)}\n`;
  }
}

const mib = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

for (const round of ['first', 'again']) {
  global.gc?.();
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 100);
  const startedAt = performance.now();
  const response = await fetch(`${omega.url}/businesses/1001/clients/import`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(lines())) as ReadableStream,
    duplex: 'half',
  } as RequestInit);
  const report = (await response.json()) as Record<string, unknown>;
  clearInterval(watch);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${round}: ${rows} rows in ${seconds.toFixed(1)} s, ${Math.round(rows / seconds)} rows/s on ${kind}; ` +
      `memory ${mib(before)} before, ${mib(most)} at most, ${mib(process.memoryUsage().rss)} after; ` +
      `created ${report.created}, unchanged ${report.unchanged}, failed ${report.failed}`,
  );
}

await omega.close();
await postgres?.stop();
