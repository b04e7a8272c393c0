import { sql } from 'kysely';
import { type AccountKey, accountOf } from '../businesses/index.ts';
import { explainFailure, retryDelayMs, type SendOutcome } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { ClaimedMessage } from './mail-content.ts';
import { pause } from './paused-accounts.ts';
import { sendMessageQueue, settleAttemptQueue } from './queues.ts';
import { applyReports, type Report } from './report.ts';
import { type TimelineEntry, writeTimeline } from './timeline.ts';

/** An attempt's outcome, or that the carrier does not have it (`absent`: asked after an unknown one). */
export interface AttemptOutcome {
  message: Pick<ClaimedMessage, 'businessId' | 'messageId' | 'attemptNo' | 'supersededAttempts' | 'provider'>;
  outcome: SendOutcome | { kind: 'absent' };
}

/** How soon the carrier is asked about an unknown outcome, by how often it was asked. */
export const settleDelaysS = [2, 10, 30, 60, 300, 900];

/**
 * Writes the outcomes of attempts: the attempt, the message's status, and what follows (a retry by
 * the reason's policy, or the question at the carrier). Fenced: an attempt that somebody else has
 * settled meanwhile is left alone, so a worker that was paused past its lease changes nothing.
 */
export async function settleAttempts(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  outcomes: AttemptOutcome[],
  random: () => number = Math.random,
): Promise<void> {
  const held = await moveAttempts(tx, now, outcomes);
  const reports: Report[] = [];
  const timeline: TimelineEntry[] = [];
  const resend: { message: AttemptOutcome['message']; delayS: number }[] = [];
  const ask: AttemptOutcome['message'][] = [];
  const accountRefused: (AccountKey & { reason: string })[] = [];
  for (const { message, outcome } of held) {
    timeline.push({
      businessId: message.businessId,
      messageId: message.messageId,
      kind: `attempt.${outcome.kind}`,
      at: now,
      data: { attempt_no: message.attemptNo, provider: message.provider, ...outcome },
    });
    if (outcome.kind === 'accepted')
      reports.push(
        reportOf(message, outcome, {
          status: outcome.status,
          providerStatus: outcome.providerStatus,
          errorCode: outcome.errorCode ?? null,
          errorMessage: outcome.errorMessage ?? null,
        }),
      );
    else if (outcome.kind === 'unknown') ask.push(message);
    else if (outcome.kind === 'absent') {
      // The carrier fell over before it took the message: the policy of its 5xx, or a carrier that
      // always does would be called for ever.
      const policy = explainFailure('http', '500', null).retry;
      if (policy && made(message) < policy.maxAttempts) {
        resend.push({ message, delayS: Math.ceil(retryDelayMs(policy, made(message), random) / 1000) });
      } else {
        const failed = {
          status: 'failed' as const,
          errorMessage: 'The carrier never took it.',
          reason: 'server_error',
        };
        reports.push(reportOf(message, outcome, failed));
      }
    } else {
      const why = explainFailure(message.provider, outcome.code, outcome.reason ?? null);
      if (why.effect === 'pause_account' || outcome.accountRefused)
        accountRefused.push({
          businessId: message.businessId,
          provider: accountOf(message.provider),
          reason: outcome.message,
        });
      const policy = why.retry;
      if (why.retryable && policy && made(message) < policy.maxAttempts) {
        const delayMs = retryDelayMs(policy, made(message), random, outcome.retryAfterMs);
        resend.push({ message, delayS: Math.ceil(delayMs / 1000) });
      } else {
        reports.push(
          reportOf(message, outcome, {
            status: 'failed',
            errorCode: outcome.code,
            errorMessage: outcome.message,
            reason: outcome.reason,
          }),
        );
      }
    }
  }
  await writeTimeline(tx, timeline);
  await queue.insert(
    tx,
    sendMessageQueue,
    resend.map(({ message, delayS }) => ({
      data: { business_id: message.businessId, message_id: message.messageId },
      delayS,
      priority: 5,
    })),
  );
  await queue.insert(
    tx,
    settleAttemptQueue,
    ask.map((message) => ({
      data: {
        business_id: message.businessId,
        message_id: message.messageId,
        attempt_no: message.attemptNo,
        tries: 0,
      },
      delayS: settleDelaysS[0],
    })),
  );
  const paused = await pause(tx, now, queue, accountRefused);
  // Events come last: their lock is the most contended.
  await applyReports(tx, now, reports);
  await recordEvents(tx, now, paused);
  // After the reports, which lock the conversations of failures and then these messages: the other way
  // round, a host that reports on the same messages meanwhile would wait crosswise.
  await nameByCarrier(tx, held);
}

/** @returns the outcomes whose attempt was still open */
async function moveAttempts(tx: Tx, now: Date, outcomes: AttemptOutcome[]): Promise<AttemptOutcome[]> {
  const rows = outcomes.map(({ message, outcome }, i) => ({
    i,
    b: message.businessId,
    m: message.messageId,
    n: message.attemptNo,
    state: outcome.kind,
    id: outcome.kind === 'accepted' ? outcome.providerMessageId : null,
    code: outcome.kind === 'refused' ? outcome.code : null,
    text: outcome.kind === 'refused' ? outcome.message : outcome.kind === 'unknown' ? outcome.detail : null,
  }));
  const given = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(i int, b bigint, m uuid, n int, state text, id text, code text, text text)`;
  const moved = await sql<{ i: number }>`
    update attempts a set state = w.state, provider_message_id = coalesce(w.id, a.provider_message_id),
      error_code = w.code, error_message = w.text, settled_at = ${now}
    from ${given}
    where a.business_id = w.b and a.message_id = w.m and a.attempt_no = w.n and a.state in ('claimed', 'unknown')
    returning w.i`.execute(tx);
  return moved.rows.map((row) => outcomes[row.i]!);
}

/** The carrier's id names the message from now on, whatever its status is already. */
async function nameByCarrier(tx: Tx, held: AttemptOutcome[]): Promise<void> {
  const accepted = held.flatMap(({ message, outcome }) =>
    outcome.kind === 'accepted'
      ? [
          {
            b: message.businessId,
            m: message.messageId,
            n: message.attemptNo,
            id: outcome.providerMessageId,
            mail: outcome.mailId ?? null,
          },
        ]
      : [],
  );
  if (accepted.length === 0) return;
  await sql`
    update messages set provider_message_id = coalesce(messages.provider_message_id, w.id),
      mail_id = coalesce(w.mail, messages.mail_id)
    from jsonb_to_recordset(${JSON.stringify(accepted)}::jsonb) as w(b bigint, m uuid, n int, id text, mail text)
    where messages.business_id = w.b and messages.message_id = w.m and messages.attempts = w.n
      -- The host may have recorded our own send under the carrier's id before us; the attempt keeps it.
      and not exists (select 1 from messages o where o.business_id = w.b and o.provider = messages.provider
        and o.provider_message_id = w.id and o.message_id <> w.m)`.execute(tx);
}

/** The attempts since somebody last had it sent again: each time it has all the tries of its reason. */
const made = (message: AttemptOutcome['message']) => message.attemptNo - message.supersededAttempts;

function reportOf(
  message: AttemptOutcome['message'],
  outcome: AttemptOutcome['outcome'],
  more: Partial<Report> & Pick<Report, 'status'>,
): Report {
  const by: Origin = {
    actor: { type: 'carrier', id: message.provider },
    origin: { provider: message.provider },
  };
  return {
    businessId: message.businessId,
    messageId: message.messageId,
    source: 'attempt',
    provider: message.provider,
    providerMessageId: outcome.kind === 'accepted' ? outcome.providerMessageId : null,
    providerStatus: null,
    errorCode: null,
    errorMessage: null,
    attemptNo: message.attemptNo,
    occurredAt: null,
    by,
    ...more,
  };
}
