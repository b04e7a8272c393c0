import { sql } from 'kysely';
import type { Config } from '../config.ts';
import { type Database, DataDirInUse, type Db, openDatabase } from '../core/db/index.ts';
import { createSecrets } from '../core/secrets.ts';
import { secretFits, WrongSecret } from '../secret-fits.ts';
import { checkBusiness } from './doctor-business.ts';
import { checkCarriers } from './doctor-carriers.ts';
import { checkQueues } from './doctor-queues.ts';
import { explain } from './explain.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { embeddedExists, oldestPostgres, postgresMajor, schemaState } from './open-database.ts';
import { keptSecret } from './secret.ts';

/** The database and what is in it, as far as it can be reached. */
export async function checkDatabase(config: Config, businessId?: number): Promise<Finding[]> {
  if (config.database.kind === 'memory') return [ok('database', 'in memory: nothing is kept')];
  if (config.dataDir !== null && !embeddedExists(config.dataDir)) return [];
  let database: Database;
  try {
    database = await openDatabase(config.database, () => undefined);
  } catch (error) {
    if (!(error instanceof DataDirInUse)) return [unreachable(error, config)];
    return [
      ok('database', `in use by ${/process \d+/.exec(error.message)?.[0] ?? 'another process'}`),
      warn(
        'database',
        'not looked into: an embedded database takes one process at a time',
        'Stop Omega and run this again, to see its queues and credentials.',
      ),
    ];
  }
  try {
    return await look(database, config, businessId);
  } catch (error) {
    return [unreachable(error, config)];
  } finally {
    await database.close().catch(() => undefined);
  }
}

function unreachable(error: unknown, config: Config): Finding {
  const text = explain(error, config) ?? (error instanceof Error ? error.message : String(error));
  return fail('database', text);
}

async function look(database: Database, config: Config, businessId: number | undefined): Promise<Finding[]> {
  const { db, kind } = database;
  const findings = [await checkVersion(db, kind, config)];
  const { applied, newest } = await schemaState(db);
  if (applied !== newest) {
    const isNewer = applied !== null && applied > newest;
    findings.push(
      isNewer
        ? fail(
            'schema',
            `is at ${applied}, newer than this version's ${newest}`,
            'Run the newer version of Omega, or restore a backup.',
          )
        : fail(
            'schema',
            `is at ${applied ?? 'nothing'}, this version needs ${newest}`,
            `Run \`${config.program} migrate\`; every start does it too.`,
          ),
    );
    return findings;
  }
  findings.push(ok('schema', applied));
  if (kind === 'postgres') findings.push(await checkClocks(db));
  const secret = config.secret ?? (config.dataDir === null ? null : await keptSecret(config.dataDir));
  if (secret !== null) {
    const secrets = createSecrets(secret);
    if (!(await secretFits(db, secrets))) findings.push(fail('secret', new WrongSecret().message));
    findings.push(...(await checkCarriers(db, secrets, config)));
    if (businessId !== undefined)
      findings.push(...(await checkBusiness(database, secrets, config, businessId)));
  }
  findings.push(await checkKeys(db, config), ...(await checkQueues(database)));
  return findings;
}

async function checkVersion(db: Db, kind: Database['kind'], config: Config): Promise<Finding> {
  const startedAt = performance.now();
  const major = await postgresMajor(db);
  const ms = Math.round((performance.now() - startedAt) * 10) / 10;
  const name = kind === 'postgres' ? `Postgres ${major} at ${config.databaseName}` : `embedded, ${major}`;
  return major >= oldestPostgres
    ? ok('database', `${name}, answers in ${ms} ms`)
    : fail('database', `${name} is too old`, `Use Postgres ${oldestPostgres} or newer.`);
}

const skewToWarnMs = 2_000;
const skewToFailMs = 60_000;

/** Due times and leases go by the database's clock, carriers' signatures by this machine's. */
async function checkClocks(db: Db): Promise<Finding> {
  const before = Date.now();
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
  const skewMs = rows[0]!.now.getTime() - (before + Date.now()) / 2;
  const text = `the database is ${Math.abs(Math.round(skewMs))} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this machine`;
  const advice = 'Let both take the time from the same source (NTP).';
  if (Math.abs(skewMs) >= skewToFailMs) return fail('clocks', text, advice);
  return Math.abs(skewMs) >= skewToWarnMs ? warn('clocks', text, advice) : ok('clocks', text);
}

async function checkKeys(db: Db, config: Config): Promise<Finding> {
  const { rows } = await sql<{ platform: number; business: number }>`
    select count(*) filter (where business_id is null)::int as platform,
      count(*) filter (where business_id is not null)::int as business
    from api_keys where revoked_at is null and (expires_at is null or expires_at > ${new Date()})`.execute(
    db,
  );
  const { platform, business } = rows[0]!;
  return platform > 0 || config.platformKey !== null
    ? ok('keys', `${platform} for the platform, ${business} for businesses`)
    : warn('keys', 'no platform key holds', `\`${config.program} key create\` makes one.`);
}
