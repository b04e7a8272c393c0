import type { Config } from '../config.ts';
import type { DemoStudio } from '../demo/studio.ts';
import type { Omega } from '../omega.ts';
import { onboardLine, queueLine, readLine } from './curl.ts';
import { aligned, type Paint, paintFor } from './terminal.ts';
import { version } from './version.ts';

interface Greeting {
  config: Config;
  omega: Omega;
  /** Made at this start; null where there was one already. */
  platformKey: string | null;
  /** Made at this start. */
  studio: DemoStudio | null;
}

/** What a start shows: where things are, the keys that were made now, and what to try. */
export async function printBanner(greeting: Greeting): Promise<void> {
  const { config, omega, platformKey, studio } = greeting;
  const paint = paintFor(process.stdout);
  const readyS = (performance.now() / 1000).toFixed(1);
  const lines = [
    `  ${paint.bold(`Omega ${version()}`)} ${paint.dim(`ready in ${readyS} s`)}`,
    '',
    ...places(config, paint),
  ];
  if (platformKey !== null) {
    lines.push('', `  Platform key   ${paint.green(platformKey)}`);
    lines.push(`                 ${paint.dim('for every business; shown only this once, so keep it')}`);
  }
  if (studio) lines.push('', ...demoLines(config, studio, paint));
  else if (await hasNoBusiness(omega)) lines.push('', ...onboardingLines(config, platformKey, paint));
  if (platformKey === null && !studio) lines.push('', ...keyAdvice(config, paint));
  if (process.stdin.isTTY) {
    const keeps = config.database.kind === 'memory' ? 'nothing is kept.' : 'starting again keeps everything.';
    lines.push('', paint.dim(`  Ctrl-C stops it; ${keeps}`));
  }
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
}

function places(config: Config, paint: Paint): string[] {
  const data = {
    postgres: `Postgres at ${config.databaseName}`,
    pglite: `${config.databaseName} (embedded database)`,
    memory: 'in memory: gone when it stops',
  }[config.database.kind];
  const rows = [
    ['API', paint.cyan(config.localUrl + config.basePath)],
    ['Reference', paint.cyan(`${config.localUrl}/docs`)],
    ...(config.publicUrl === config.localUrl ? [] : [['Public URL', paint.cyan(config.publicUrl)]]),
    ['Data', data],
  ];
  return aligned(rows.map(([name, value]) => [`  ${name!.padEnd(13)}`, value!]));
}

/** The demo's key and what to try with it. */
export function demoLines(config: Config, studio: DemoStudio, paint: Paint): string[] {
  const name = studio.clientName;
  return [
    `  ${studio.name.padEnd(14)} ${paint.green(studio.apiKey)}`,
    `                 ${paint.dim(`the demo studio's key (business ${studio.businessId}); shown only this once too`)}`,
    '',
    `  ${paint.bold('Try it')}: queue an SMS to ${name}`,
    '',
    queueLine(config, studio),
    '',
    '  and read the conversation back: a moment later it is delivered',
    '',
    readLine(config, studio),
  ];
}

function onboardingLines(config: Config, platformKey: string | null, paint: Paint): string[] {
  return [
    `  ${paint.bold('Next')}: bring a business in; the answer holds its key`,
    '',
    onboardLine(config, platformKey),
  ];
}

function keyAdvice(config: Config, paint: Paint): string[] {
  if (config.platformKey !== null) return [`  Platform key   ${paint.dim('the one of OMEGA_PLATFORM_KEY')}`];
  const first = config.dataDir === null ? '' : ', once this has stopped';
  return [
    `  Keys           ${paint.dim(`were shown when they were made; another one${first}:`)}`,
    `                 ${config.program} key create --business <id>`,
  ];
}

async function hasNoBusiness({ database }: Omega): Promise<boolean> {
  const row = await database.db.selectFrom('businesses').select('business_id').limit(1).executeTakeFirst();
  return row === undefined;
}
