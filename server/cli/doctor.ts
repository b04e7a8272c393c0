import { Command } from 'commander';
import { type Config, ConfigError, readConfig } from '../config.ts';
import type { Finding } from './finding.ts';
import { readBusinessId } from './read-business-id.ts';
import { aligned, paintFor } from './terminal.ts';

/** `omega doctor`: what is wrong, and what to do about it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('say what is wrong here, and what to do')
    .description(
      "Looks at the runtime, the configuration, the database, the port, the queues and the carriers' credentials. Changes nothing. Each line is ok, warn or fail; what is not ok says what to do. Ends with 1 where something fails.",
    )
    .option(
      '--business <id>',
      "ask this business's carriers too: credentials, numbers, domains, webhooks",
      readBusinessId,
    )
    .addHelpText(
      'after',
      `
Examples:
  omega doctor
  omega doctor --business 1001
  DATABASE_URL=postgres://omega:secret@localhost/omega OMEGA_SECRET=… omega doctor`,
    )
    .action(async ({ business }: { business?: number }) => {
      const findings = await examine(business);
      print(findings);
      process.exitCode = findings.some(({ level }) => level === 'fail') ? 1 : 0;
    });
}

async function examine(businessId: number | undefined): Promise<Finding[]> {
  const { checkNode, checkConfig, checkDataDir, checkSecret, checkPort } = await import(
    './doctor-machine.ts'
  );
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const wrong = error.problems.map(
      (problem): Finding => ({ level: 'fail', subject: 'configuration', text: problem }),
    );
    return [checkNode(), ...wrong];
  }
  const { checkDatabase } = await import('./doctor-database.ts');
  return [
    checkNode(),
    ...checkConfig(config),
    ...(await checkDataDir(config)),
    await checkSecret(config),
    await checkPort(config),
    ...(await checkDatabase(config, businessId)),
  ];
}

function print(findings: Finding[]): void {
  const paint = paintFor(process.stdout);
  const colors = { ok: paint.green, warn: paint.yellow, fail: paint.red };
  const rows = aligned(findings.map(({ level, subject, text }) => [level, subject, text]));
  for (const [i, { level, advice }] of findings.entries()) {
    process.stdout.write(`${colors[level](level)}${rows[i]!.slice(level.length)}\n`);
    const indent = rows[i]!.indexOf(findings[i]!.text);
    if (advice) process.stdout.write(`${' '.repeat(indent)}${paint.dim('→')} ${advice}\n`);
  }
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  const [fails, warns] = [count('fail'), count('warn')];
  const verdict =
    fails > 0
      ? paint.red(`${fails} to mend${warns > 0 ? `, ${warns} to look at` : ''}.`)
      : warns > 0
        ? paint.yellow(`Nothing fails; ${warns} to look at.`)
        : paint.green('All is well.');
  process.stdout.write(`\n${verdict}\n`);
}
