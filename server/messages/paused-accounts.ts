import {
  type AccountKey,
  accountOf,
  type Provider,
  pauseAccounts,
  pausedAmong,
  readProviderAccount,
  resumeAccount,
} from '../businesses/index.ts';
import type { Carriers } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobHandler, JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { resumeAccountQueue } from './queues.ts';

/** How soon a paused account is asked about again: twice as long each time, to this at most. */
const firstAskS = 60;
const mostAskS = 900;
/** How long a message that waits for its account is left alone; spread, since many may. */
export const heldS = 120;

const checkDeadlineMs = 15_000;
const system: Origin = { actor: { type: 'system', id: null }, origin: {} };

/**
 * The carrier refuses the account: its messages wait in the queue, for each would only be refused as well, and
 * the carrier would be asked in vain as fast as the queue goes. A job asks about the account, and lets them go.
 *
 * @returns what happened, to be recorded with the rest
 */
export async function pause(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  refused: (AccountKey & { reason: string })[],
): Promise<NewEvent[]> {
  const paused = await pauseAccounts(tx, now, refused);
  await queue.insert(
    tx,
    resumeAccountQueue,
    paused.map(({ businessId, provider }) => ({
      data: { business_id: businessId, provider, tries: 0 },
      delayS: firstAskS,
    })),
  );
  return paused.map(({ businessId, provider, reason }) => ({
    businessId,
    type: 'account.paused',
    by: { actor: { type: 'carrier', id: provider }, origin: { provider } },
    data: { provider, reason },
  }));
}

/** Of these messages those whose account is paused. */
export async function heldByAccount<Row extends { business_id: number; provider: string }>(
  tx: Tx,
  rows: readonly Row[],
): Promise<Set<Row>> {
  const keyOf = ({ business_id, provider }: Row) => `${business_id} ${accountOf(provider)}`;
  const accounts = new Map(
    rows.map((row) => [keyOf(row), { businessId: row.business_id, provider: accountOf(row.provider) }]),
  );
  const paused = await pausedAmong(tx, [...accounts.values()]);
  if (paused.length === 0) return new Set();
  const keys = new Set(paused.map(({ businessId, provider }) => `${businessId} ${provider}`));
  return new Set(rows.filter((row) => keys.has(keyOf(row))));
}

/** Asks carriers whether they take paused accounts again. */
export function pausedAccountJobs(options: {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  secrets: Secrets;
  carriers: Carriers;
}): JobHandler<never>[] {
  const { db, queue, clock, secrets, carriers } = options;

  async function ask({ business_id, provider, tries }: ResumeData): Promise<void> {
    const account = { businessId: business_id, provider };
    // New credentials let it go at once.
    if ((await pausedAmong(db, [account])).length === 0) return;
    const isWell = await takes(account);
    await inTransaction(db, async (tx) => {
      if (!isWell) {
        const delayS = Math.min(firstAskS * 2 ** (tries + 1), mostAskS);
        await queue.insert(tx, resumeAccountQueue, [
          { data: { business_id, provider, tries: tries + 1 }, delayS },
        ]);
        return;
      }
      if (!(await resumeAccount(tx, account))) return;
      const resumed = {
        businessId: business_id,
        type: 'account.resumed' as const,
        by: system,
        data: { provider },
      };
      await recordEvents(tx, new Date(clock.now()), [resumed]);
    });
  }

  async function takes({ businessId, provider }: AccountKey): Promise<boolean> {
    const carrier = carriers.get(provider);
    if (!carrier) return false;
    const credentials = await readProviderAccount(db, secrets, businessId, provider as Provider);
    const problems = await carrier.check(credentials, [], AbortSignal.timeout(checkDeadlineMs));
    return problems.length === 0;
  }

  const handler: JobHandler<ResumeData> = {
    queue: resumeAccountQueue,
    batchSize: 5,
    concurrency: 1,
    async run(jobs) {
      const results = await Promise.allSettled(jobs.map(({ data }) => ask(data)));
      return new Map(
        results.flatMap((result, i) =>
          result.status === 'rejected' ? [[jobs[i]!.id, result.reason as Error] as const] : [],
        ),
      );
    },
  };
  return [handler as unknown as JobHandler<never>];
}

type ResumeData = { business_id: number; provider: string; tries: number };
