import { sql } from 'kysely';
import { type Provider, readProviderAccount } from '../businesses/index.ts';
import type { Carrier, CarrierAccount, Carriers, SendOutcome } from '../channels/index.ts';
import { createBatcher } from '../core/batcher.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, faultOfDatabaseError, inTransaction, type Tx } from '../core/db/index.ts';
import type { Log } from '../core/log.ts';
import type { CarrierCall } from '../core/metrics.ts';
import type { Job, JobHandler, JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { claimMessages } from './claim.ts';
import { giveUpAttempts, suppressMessages } from './claimed-besides.ts';
import { type ClaimedMessage, loadMail, withFiles } from './mail-content.ts';
import { carrierDeadlineMs, sendMessageQueue, settleAttemptQueue } from './queues.ts';
import { applyReports, type Report } from './report.ts';
import { type AttemptOutcome, settleAttempts, settleDelaysS } from './settle.ts';

export interface DeliveryOptions {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  secrets: Secrets;
  carriers: Carriers;
  log: Log;
  /** Told of every call of a carrier. */
  carrierCalled: (call: CarrierCall) => void;
  /** Milliseconds that a carrier may take in all; tests shorten it. */
  deadlineMs?: number;
  concurrency: number;
  /** Seconds that a claimed job may take; tests shorten it. */
  leaseS?: number;
}

/**
 * The worker's part: claims in batches, calls the carrier for each with no transaction open, and
 * writes the outcomes as they come, those of one moment together.
 */
export function deliveryJobs(options: DeliveryOptions): JobHandler<never>[] {
  const { db, queue, clock, carriers, log } = options;
  const deadlineMs = options.deadlineMs ?? carrierDeadlineMs;
  const now = () => new Date(clock.now());
  const accounts = accountReader(options);
  const leaseMs = (options.leaseS ?? sendMessageQueue.leaseS) * 1000;

  const outcomes = createBatcher<AttemptOutcome, void>({
    run: async (batch) => {
      await inTransaction(db, (tx) => settleAttempts(tx, now(), queue, batch));
      return batch.map(() => ({ ok: true as const, value: undefined }));
    },
    keyOf: ({ message }) => String(message.businessId),
    maxItems: 100,
    lanes: 1,
    maxWaiting: 10_000,
  });

  /** A mail's files take their time on the line; the lease still outlives it, with time to begin. */
  const deadlineOf = ({ mail }: ClaimedMessage): number => {
    const bytes = mail?.attachments.reduce((sum, { size }) => sum + size, 0) ?? 0;
    return Math.max(deadlineMs, Math.min(deadlineMs + bytes / bytesPerMs, leaseMs - mostClaimMs));
  };

  /** @param leaseEnds on the process's own clock: a call that begins later than it allows might outlive the lease */
  async function handOver(
    message: ClaimedMessage,
    account: AccountOrError,
    leaseEnds: number,
  ): Promise<void> {
    // Paused since the claim (a full machine, a stopped VM): somebody else may have the message by now.
    if (performance.now() > leaseEnds - deadlineOf(message))
      throw new Error('The worker was held up past its lease.');
    const outcome = await callCarrier(message, account);
    await outcomes.submit({ message, outcome });
  }

  async function callCarrier(message: ClaimedMessage, account: AccountOrError): Promise<SendOutcome> {
    const carrier = carriers.get(message.provider);
    if (!carrier) return noCarrier(message.provider);
    if (account instanceof Error) {
      log.error({ err: account, business_id: message.businessId }, 'credentials could not be read');
      return { kind: 'refused', code: null, reason: 'account_config', message: account.message };
    }
    try {
      return await timed(carrier, 'send', () =>
        withDeadline(deadlineOf(message), (signal) => carrier.send(withFiles(db, message), account, signal)),
      );
    } catch (error) {
      log.warn(
        { err: error, message_id: message.messageId, provider: message.provider },
        'outcome of a send is not known',
      );
      return { kind: 'unknown', detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /** A call that throws has an outcome too: nobody knows. */
  async function timed<Outcome extends { kind: string }>(
    { provider }: Carrier,
    act: CarrierCall['act'],
    call: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const begun = performance.now();
    let outcome = 'unknown';
    try {
      const answer = await call();
      outcome = answer.kind;
      return answer;
    } finally {
      options.carrierCalled({ provider, act, outcome, seconds: (performance.now() - begun) / 1000 });
    }
  }

  /**
   * With the claim, in its transaction: once that is committed, nothing but the carrier stands between a message and
   * its outcome. Credentials that do not open are known before any carrier is called.
   */
  async function readAccounts(
    tx: Tx,
    messages: readonly ClaimedMessage[],
  ): Promise<Map<string, AccountOrError>> {
    const read = new Map<string, AccountOrError>();
    for (const message of messages) {
      const carrier = carriers.get(message.provider);
      if (!carrier || read.has(accountKey(message))) continue;
      const account = await accounts(tx, carrier, message.businessId).catch((error: unknown) => {
        if (!(error instanceof Error) || 'severity' in error || faultOfDatabaseError(error)) throw error;
        return new Error(
          `The credentials for ${carrier.provider} cannot be read with this OMEGA_SECRET. Onboard them again.`,
          { cause: error },
        );
      });
      read.set(accountKey(message), account);
    }
    return read;
  }

  const send: JobHandler<{ business_id: number; message_id: string }> = {
    queue: sendMessageQueue,
    batchSize: 25,
    concurrency: options.concurrency,
    // A carrier that hangs holds its business's batches for as long as its deadline.
    spare: { most: 100, mostOfGroup: 25, batchSize: 25 },
    async run(jobs) {
      const ids = jobs.map(({ data }) => ({ businessId: data.business_id, messageId: data.message_id }));
      const leaseEnds = performance.now() + leaseMs;
      const {
        claimed,
        refused,
        lost,
        accounts: read,
      } = await inTransaction(db, async (tx) => {
        const claims = await claimMessages(tx, now(), queue, ids, leaseMs, options.secrets);
        return { ...claims, accounts: await readAccounts(tx, claims.claimed) };
      });
      const work = [
        ...claimed.map((message) => handOver(message, read.get(accountKey(message)) ?? null, leaseEnds)),
        ...together(refused, (messages) => inTransaction(db, (tx) => suppressMessages(tx, now(), messages))),
        ...together(lost, (messages) =>
          inTransaction(db, (tx) => giveUpAttempts(tx, now(), queue, messages)),
        ),
      ];
      return failuresOf(jobs, await Promise.allSettled(work), [...claimed, ...refused, ...lost]);
    },
    async bury(tx, data, error) {
      await applyReports(tx, now(), [
        givenUp({ businessId: data.business_id, messageId: data.message_id }, 'internal', error),
      ]);
    },
  };

  const settle: JobHandler<SettleData> = {
    queue: settleAttemptQueue,
    batchSize: 10,
    concurrency: 1,
    spare: { most: 20, mostOfGroup: 5, batchSize: 5 },
    async run(jobs) {
      return failuresOf(jobs, await Promise.allSettled(jobs.map(({ data }) => settleOne(data))), jobs);
    },
    async bury(tx, data, error) {
      const about = { businessId: data.business_id, messageId: data.message_id, attemptNo: data.attempt_no };
      await applyReports(tx, now(), [givenUp(about, 'no_answer', error)]);
    },
  };

  /** Asks the carrier about one attempt whose outcome is not known. */
  async function settleOne(data: SettleData): Promise<void> {
    const attempt = await openAttempt(db, data, options.secrets);
    if (!attempt) return;
    const carrier = carriers.get(attempt.provider);
    const found = carrier
      ? await findAt(carrier, attempt)
      : { kind: 'unknown' as const, detail: `no carrier ${attempt.provider}` };
    if (found.kind === 'found')
      await outcomes.submit({ message: attempt, outcome: { ...found, kind: 'accepted' } });
    else if (found.kind === 'absent')
      await outcomes.submit({ message: attempt, outcome: { kind: 'absent' } });
    else await askAgain(data, attempt, found.detail);
  }

  async function findAt(carrier: Carrier, attempt: ClaimedMessage) {
    try {
      const account = await accounts(db, carrier, attempt.businessId);
      return await timed(carrier, 'find', () =>
        withDeadline(deadlineMs, (signal) =>
          carrier.find(withFiles(db, attempt), attempt.claimedAt, account, signal),
        ),
      );
    } catch (error) {
      return { kind: 'unknown' as const, detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The carrier cannot say. Asked often enough, the message fails for people to see; it is never sent again by itself. */
  async function askAgain(data: SettleData, attempt: ClaimedMessage, detail: string): Promise<void> {
    const tries = data.tries + 1;
    await inTransaction(db, async (tx) => {
      const delayS = settleDelaysS[tries];
      if (delayS !== undefined)
        return queue.insert(tx, settleAttemptQueue, [{ data: { ...data, tries }, delayS }]);
      // A callback may have settled it since we asked.
      if (await isStillUnknown(tx, data))
        await applyReports(tx, now(), [givenUp(attempt, 'no_answer', detail)]);
    });
  }

  return [send, settle] as unknown as JobHandler<never>[];
}

type SettleData = { business_id: number; message_id: string; attempt_no: number; tries: number };

/** The report of a message that nothing more is tried for. */
function givenUp(
  about: { businessId: number; messageId: string; attemptNo?: number },
  reason: string,
  detail: string,
): Report {
  return {
    businessId: about.businessId,
    messageId: about.messageId,
    attemptNo: about.attemptNo,
    source: 'given up',
    status: 'failed',
    provider: null,
    providerMessageId: null,
    providerStatus: null,
    errorCode: null,
    errorMessage: detail,
    reason,
    occurredAt: null,
    by: { actor: { type: 'system', id: null }, origin: {} },
  };
}

async function isStillUnknown(tx: Tx, data: SettleData): Promise<boolean> {
  const row = await tx
    .selectFrom('attempts')
    .select('state')
    .where('business_id', '=', data.business_id)
    .where('message_id', '=', data.message_id)
    .where('attempt_no', '=', data.attempt_no)
    .forUpdate()
    .executeTakeFirst();
  return row?.state === 'unknown';
}

function noCarrier(provider: string): SendOutcome {
  return {
    kind: 'refused',
    code: null,
    reason: 'account_config',
    message: `This Omega has no carrier ${provider}. Choose another provider for the sender.`,
  };
}

/** Slow lines carry 16 Mbit/s. */
const bytesPerMs = 2_000;
/** What is left of a lease for the claim before the call. */
const mostClaimMs = 5_000;

/**
 * A total deadline: when it passes the promise rejects, whether or not `work` listens to the signal. The signal
 * comes a tenth before it: only the carrier knows whether what it breaks off was on its way already.
 */
async function withDeadline<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const end = AbortSignal.timeout(Math.ceil(ms));
  return await Promise.race([
    work(AbortSignal.timeout(Math.floor(ms * 0.9))),
    new Promise<never>((_, reject) => {
      end.addEventListener('abort', () => reject(new Error(`The carrier gave no answer within ${ms} ms.`)), {
        once: true,
      });
    }),
  ]);
}

/**
 * One piece of work for all of `items`, awaited for each. None for none: a promise that nobody awaits would end the
 * process when it rejects, and its transaction would be for nothing.
 */
function together<T>(items: T[], act: (items: T[]) => Promise<void>): Promise<void>[] {
  if (items.length === 0) return [];
  const done = act(items);
  return items.map(() => done);
}

/** Jobs whose work threw, by their id: only those are tried again. */
function failuresOf(
  jobs: Job<{ business_id: number; message_id: string }>[],
  results: PromiseSettledResult<void>[],
  worked: ({ messageId: string } | Job<{ message_id: string }>)[],
): Map<string, Error> {
  const failed = new Map<string, Error>();
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') continue;
    const one = worked[i]!;
    const messageId = 'messageId' in one ? one.messageId : one.data.message_id;
    const job = jobs.find(({ data }) => data.message_id === messageId);
    if (job)
      failed.set(job.id, result.reason instanceof Error ? result.reason : new Error(String(result.reason)));
  }
  return failed;
}

type AccountOrError = CarrierAccount | Error;
const accountKey = ({ businessId, provider }: ClaimedMessage) => `${businessId} ${provider}`;

function accountReader({ secrets }: Pick<DeliveryOptions, 'secrets'>) {
  return async (db: Db | Tx, { account }: Carrier, businessId: number): Promise<CarrierAccount> => {
    if (account === null) return null;
    return readProviderAccount(db, secrets, businessId, account as Provider);
  };
}

/** The attempt with its message, if its outcome is still not known. */
async function openAttempt(
  db: Db,
  data: { business_id: number; message_id: string; attempt_no: number },
  secrets: Secrets,
): Promise<ClaimedMessage | null> {
  const { rows } = await sql<{
    provider: string;
    claimed_at: Date;
    channel: string;
    content: string;
    subject: string | null;
    media_urls: string[];
    business_id: number;
    message_id: string;
    from_address: string;
    to_address: string;
    category: 'transactional' | 'marketing' | null;
    superseded_attempts: number;
  }>`
    select a.business_id, a.message_id, a.provider, a.claimed_at, m.channel, m.category, m.content, m.subject, m.media_urls, m.from_address, m.to_address,
      m.superseded_attempts
    from attempts a join messages m on m.business_id = a.business_id and m.message_id = a.message_id
    where a.business_id = ${data.business_id} and a.message_id = ${data.message_id} and a.attempt_no = ${data.attempt_no}
      and a.state = 'unknown'`.execute(db);
  const row = rows[0];
  if (!row) return null;
  const mails = await loadMail(db, [row], secrets);
  return {
    businessId: data.business_id,
    messageId: data.message_id,
    attemptNo: data.attempt_no,
    supersededAttempts: row.superseded_attempts,
    channel: row.channel,
    from: row.from_address,
    to: row.to_address,
    content: row.content,
    subject: row.subject,
    mediaUrls: row.media_urls,
    mail: mails.get(data.message_id) ?? null,
    provider: row.provider,
    claimedAt: row.claimed_at,
  };
}
