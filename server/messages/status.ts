import type { MessageStatus } from '../../contract/index.ts';

/**
 * A status is a rank, and a message only climbs. Reports come late, twice and in any order (Twilio promises
 * no order for its callbacks), so the highest rank ever reported is the one answer that all orders share.
 *
 * Of a carrier's two bad endings, `undelivered` outranks `failed`: it tells more (the carrier took the
 * message and charged for it). Proof of arrival outranks both, for a phone that showed the message had it.
 */
const carrierRanks = ladder('scheduled queued sending sent failed undelivered delivered read');

/**
 * Mail differs: a receiving server may accept a message and bounce it later, and an "open" is often a
 * scanner's. So the bounce has the last word, even over `read`.
 */
const emailRanks = ladder('scheduled queued sending sent failed delivered read undelivered');

function ladder(words: string): ReadonlyMap<MessageStatus, number> {
  return new Map(words.split(' ').map((word, rank) => [word as MessageStatus, rank]));
}

/** `email` has its own ladder; SMS, WhatsApp, voice and channels yet unknown share the carriers' one. */
function ranksOf(channel: string): ReadonlyMap<MessageStatus, number> {
  return channel === 'email' ? emailRanks : carrierRanks;
}

/**
 * The status after a report.
 *
 * `applied` is false, and `status` is `current`, when the report is a repeat, comes too late, or would leave
 * an end. `canceled` and `suppressed` are reached only from `scheduled` or `queued` (a message once handed
 * over cannot be called back); `received` belongs to inbound messages and is reached from nothing.
 *
 * A retry is not a report: whoever starts a new attempt of a failed message sets `queued` itself.
 */
export function nextStatus(
  channel: string,
  current: MessageStatus,
  reported: MessageStatus,
): { status: MessageStatus; applied: boolean } {
  const ranks = ranksOf(channel);
  const from = ranks.get(current);
  const to = ranks.get(reported);
  const applied =
    from !== undefined && (to === undefined ? reported !== 'received' && isWaiting(current) : to > from);
  return { status: applied ? reported : current, applied };
}

/** Whether no report can change this status any more: nothing on the channel's ladder lies above it. */
export function isEnd(channel: string, status: MessageStatus): boolean {
  const ranks = ranksOf(channel);
  const rank = ranks.get(status);
  return rank === undefined || rank === ranks.size - 1;
}

/** Whether the message did not reach its client. */
export function isFailure(status: MessageStatus): boolean {
  return status === 'failed' || status === 'undelivered';
}

/** Whether the message will not reach its client, by failure or by decision: then it answers nobody. */
export function isLost(status: MessageStatus): boolean {
  return isFailure(status) || status === 'canceled' || status === 'suppressed';
}

/**
 * Whether a report about an attempt that a retry has superseded may still move the message. Only proof that
 * it arrived may: the client has the message, whichever attempt brought it. The old attempt's failure is
 * what the retry answers, and its `sent` says nothing about the new one.
 */
export function lateAttemptMayApply(reported: MessageStatus): boolean {
  return reported === 'delivered' || reported === 'read';
}

/** Not yet handed to a carrier, so it can still be called back. */
function isWaiting(status: MessageStatus): boolean {
  return status === 'scheduled' || status === 'queued';
}
