import { createBatcher } from '../core/batcher.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, faultOfDatabaseError, inTransaction, type Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import {
  claimRequests,
  type KeptAnswer,
  keepAnswers,
  keyText,
  type RequestKey,
  requestIdReused,
} from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Draft, Written } from './draft.ts';
import { writeMessages } from './write-messages.ts';

/**
 * The write path. Requests that wait at the same moment are written in one transaction, and a lone
 * one waits for nobody; either way request, client, consent, conversation, message, job and event
 * commit together or not at all.
 */
export interface Intake {
  /** @throws what is wrong with the request, or why it could not be written */
  submit(submission: Submission): Promise<{ answer: KeptAnswer; replayed: boolean }>;
  /** Takes no more, and waits for those under way. */
  close(): Promise<void>;
}

export interface Submission {
  request: RequestKey;
  draft: Draft;
  /** Shapes what was written as the operation's answer, which is kept for repetitions. */
  present(written: Written): KeptAnswer;
}

interface Outcome {
  answer: KeptAnswer;
  replayed: boolean;
}

type Settled = { ok: true; value: Outcome } | { ok: false; error: unknown };

export interface IntakeOptions {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  secrets: Secrets;
  /** Transactions at once: one on the embedded database, which has one connection. */
  lanes: number;
}

/** Messages written in one transaction at most: a bound on how long its locks are held. */
const mostInOneTransaction = 200;
const mostWaiting = 20_000;

export function createIntake(options: IntakeOptions): Intake {
  const { db, clock } = options;
  const batcher = createBatcher<Submission, Outcome>({
    run: (batch) => inTransaction(db, (tx) => writeBatch(tx, new Date(clock.now()), options, batch)),
    keyOf: (submission) => String(submission.request.businessId),
    maxItems: mostInOneTransaction,
    lanes: options.lanes,
    maxWaiting: mostWaiting,
    // A database that is away is away for each of them; a locked row is one item's alone.
    mayBeOneItem: (error) => faultOfDatabaseError(error)?.code !== 'unavailable',
  });
  return batcher;
}

/** All of a batch in one transaction. Twins (the same request id) are written once and answered each. */
async function writeBatch(
  tx: Tx,
  now: Date,
  { queue, secrets }: IntakeOptions,
  batch: Submission[],
): Promise<Settled[]> {
  const firsts = new Map<string, Submission>();
  for (const submission of batch) {
    const key = keyText(submission.request);
    if (!firsts.has(key)) firsts.set(key, submission);
  }
  const claims = await claimRequests(
    tx,
    [...firsts.values()].map(({ request }) => request),
    now,
    secrets,
  );
  const fresh = [...firsts.values()].filter(({ request }) => claims.get(keyText(request))!.kind === 'new');
  const written = await writeMessages(
    tx,
    now,
    queue,
    fresh.map(({ draft }) => draft),
    secrets,
  );
  const settled = new Map<string, Settled>();
  const refused: RequestKey[] = [];
  const answers: { key: RequestKey; answer: KeptAnswer; sealed: boolean }[] = [];
  for (const [i, { request, present }] of fresh.entries()) {
    const result = written[i]!;
    if (result instanceof Fault) {
      // What was wrong is not pinned: the same id may come again, corrected.
      refused.push(request);
      settled.set(keyText(request), { ok: false, error: result });
    } else {
      const answer = present(result);
      answers.push({ key: request, answer, sealed: false });
      settled.set(keyText(request), { ok: true, value: { answer, replayed: false } });
    }
  }
  await releaseRequests(tx, refused);
  await keepAnswers(tx, answers, secrets);

  return batch.map((submission) => {
    const key = keyText(submission.request);
    const claim = claims.get(key)!;
    const first = firsts.get(key)!;
    // Of twins with different bodies the first to be claimed counts, be it in this batch or before it.
    const counts = claim.kind === 'kept' ? claim.fingerprint : first.request.fingerprint;
    if (submission.request.fingerprint !== counts) return { ok: false, error: requestIdReused() };
    if (claim.kind === 'kept') return { ok: true, value: { answer: claim.answer, replayed: true } };
    const outcome = settled.get(key)!;
    return outcome.ok && submission !== first
      ? { ok: true, value: { ...outcome.value, replayed: true } }
      : outcome;
  });
}

async function releaseRequests(tx: Tx, keys: RequestKey[]): Promise<void> {
  for (const key of keys) {
    await tx
      .deleteFrom('requests')
      .where('business_id', '=', key.businessId)
      .where('request_id', '=', key.requestId)
      .execute();
  }
}
