import {
  mailProviders,
  providerRows,
  type ReasonName,
  type ReasonRow,
  type RetryPolicy,
  reasonRows,
} from './reasons.data.ts';

export type { ReasonName, RetryPolicy } from './reasons.data.ts';

/** Why a message was not delivered, in our own words, and what follows from it. */
export interface Reason {
  reason: ReasonName;
  /** Omega tries again by itself, as `retry` says; never without a `retry`. */
  retryable: boolean;
  /** Failed for good: a retry by filter skips it unless forced. Never together with `retryable`. */
  final: boolean;
  /** For the staff, in plain sentences. */
  advice: string;
  retry: Readonly<RetryPolicy> | null;
  /** `opt_out`: write it to the consent ledger. `pause_account`: stop sending with the account. */
  effect: 'opt_out' | 'pause_account' | null;
}

/** Every reason with its usual advice, for the documentation and for filters. */
export const canonicalReasons: readonly Readonly<Reason>[] = reasonRows.map((row: ReasonRow) =>
  Object.freeze({ retry: null, effect: null, ...row, reason: row.reason as ReasonName }),
);

const byName = new Map(canonicalReasons.map((reason) => [reason.reason as string, reason]));

const byCode = new Map(
  providerRows.flatMap(({ provider, codes, ...row }) =>
    codes.map((code) => [`${provider} ${code}`, Object.freeze({ ...named(row.reason), ...row })]),
  ),
);

/** A Map is asked, not an object: a name such as `constructor` finds nothing. */
function named(name: ReasonName): Readonly<Reason> {
  return byName.get(name)!;
}

/**
 * What a provider's error code means.
 *
 * - `provider`: `twilio`; `simulator`, which speaks Twilio's codes; `http`, whose codes are the statuses of
 *   answers that carry no code of their own (`429`, any `5xx`); `omega`, whose codes are the reasons
 *   themselves, for what a provider has no code for (`no_answer`, `timeout`, `erased`, `expired`, …).
 *   Enhanced status codes of mail (`5.1.1`, RFC 3463) mean the same whoever reports them.
 * - `code`: as the provider wrote it, or null when it gave none.
 *
 * A pair that is not in the table is `unknown`: not retried by itself, and its advice shows the code.
 *
 * About 5xx: Twilio may have accepted the message before it failed, and has no idempotency key. Its
 * `retryable` therefore holds from the moment the attempt is known not to have been accepted.
 */
export function explain(provider: string, code: string | null): Readonly<Reason> {
  const known =
    code === null
      ? undefined
      : provider === 'omega'
        ? byName.get(code)
        : (byCode.get(`${provider === 'simulator' ? 'twilio' : provider} ${code}`) ??
          byCode.get(`${provider} ${code.replace(/^(\d)\d\d$/, '$1xx')}`) ??
          byEnhancedStatus(code) ??
          bySmtpReply(provider, code));
  if (known) return known;
  const unknown = named('unknown');
  return code === null
    ? unknown
    : { ...unknown, advice: `${unknown.advice} The provider's code: ${printable(code)}.` };
}

/** RFC 3463: class, subject, detail. Every mail provider reports them, so they mean the same for all. */
function byEnhancedStatus(code: string): Readonly<Reason> | undefined {
  const [, status, subject, detail] = /^([45])\.(\d{1,3})\.(\d{1,3})$/.exec(code) ?? [];
  if (status === undefined) return undefined;
  return (
    byCode.get(`smtp ${status}.${subject}.${detail}`) ??
    byCode.get(`smtp ${status}.${subject}.x`) ??
    byCode.get(`smtp ${status}.x.x`)
  );
}

/** RFC 5321's three digits, of a mail provider that has no meaning of its own for them. */
function bySmtpReply(provider: string, code: string): Readonly<Reason> | undefined {
  if (!mailProviders.includes(provider) || !/^[45]\d\d$/.test(code)) return undefined;
  return byCode.get(`smtp ${code}`) ?? byCode.get(`smtp ${code[0]}xx`);
}

/** A code is the other side's text and is shown to people: no line breaks, no bidi tricks, no novel. */
function printable(code: string): string {
  return (
    code
      .slice(0, 40)
      .replace(/[^\x21-\x7e]+/g, ' ')
      .trim() || '(unreadable)'
  );
}

/** A `Retry-After` beyond a day is nonsense or an end in disguise; the message must not sleep for a year. */
const maxRetryAfterMs = 86_400_000;

/**
 * Milliseconds to wait before the next attempt, when attempt `attemptNo` (1 is the first) has just failed.
 *
 * Exponential backoff with full jitter: drawn evenly from `firstDelayS` up to `firstDelayS · 2^attemptNo`,
 * at most `maxDelayS`. The draw starts at `firstDelayS` rather than at 0 because for some reasons (a phone
 * that is off, a full queue) trying again at once is useless.
 *
 * Never less than the provider's `retryAfterMs` (which counts for a day at most). The jitter comes on top of
 * it, since everything else that was refused in that second was told the same time.
 *
 * `random` answers in [0, 1). Whether there is a next attempt at all is `policy.maxAttempts`, for the caller.
 */
export function retryDelayMs(
  policy: Readonly<RetryPolicy>,
  attemptNo: number,
  random: () => number,
  retryAfterMs = 0,
): number {
  const firstMs = policy.firstDelayS * 1_000;
  const ceilingMs = Math.max(firstMs, Math.min(policy.maxDelayS * 1_000, firstMs * 2 ** attemptNo));
  const floorMs = retryAfterMs > firstMs ? Math.min(retryAfterMs, maxRetryAfterMs) : firstMs;
  return Math.ceil(floorMs + random() * (ceilingMs - firstMs));
}

/** Why something failed: by the provider's code, or by our own reason where there is no code. */
export function explainFailure(
  provider: string | null,
  code: string | null,
  reason: string | null,
): Readonly<Reason> {
  if (reason !== null && code === null) return explain('omega', reason);
  return explain(provider ?? 'twilio', code);
}
