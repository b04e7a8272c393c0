import { askCarriers } from '../businesses/index.ts';
import { allCarriers } from '../carriers.ts';
import type { Config } from '../config.ts';
import { systemClock } from '../core/clock.ts';
import type { Database } from '../core/db/index.ts';
import { createLog } from '../core/log.ts';
import { createJobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Asks a business's carriers what its onboarding asked: the account, each sender, what calls back. */
export async function checkBusiness(
  database: Database,
  secrets: Secrets,
  config: Config,
  businessId: number,
): Promise<Finding[]> {
  const subject = `business ${businessId}`;
  const { db } = database;
  const log = createLog({ level: 'silent', pretty: false });
  // Never started: the simulator enqueues nothing for a check.
  const queue = createJobQueue(database, { queues: [], log, clock: systemClock, supervise: false });
  const apiUrl = config.publicUrl + config.basePath;
  const carriers = allCarriers({
    db,
    queue,
    clock: systemClock,
    secrets,
    apiUrl,
    simulator: config.simulator,
  });
  const checks = await askCarriers({ db, secrets, carriers, apiUrl }, businessId, 'check').finally(() => {
    for (const carrier of carriers.values()) carrier.close?.();
  });
  if (checks.length === 0) return [await withoutSenders(database, businessId)];
  return checks.flatMap(({ provider, senders, problems }) =>
    problems.length === 0
      ? [ok(subject, `${provider} takes ${senders.map((sender) => sender.address).join(', ')}`)]
      : problems.map(({ about, error, remedy, hint }) =>
          (hint ? warn : fail)(subject, `${provider}${about === null ? '' : `, ${about}`}: ${error}`, remedy),
        ),
  );
}

async function withoutSenders({ db }: Database, businessId: number): Promise<Finding> {
  const business = await db
    .selectFrom('businesses')
    .select('name')
    .where('business_id', '=', businessId)
    .executeTakeFirst();
  return business
    ? warn(`business ${businessId}`, 'has no senders', 'Post its onboarding again with senders.')
    : fail(
        `business ${businessId}`,
        'is not here',
        'Look for its id in your booking system; onboard it first.',
      );
}
