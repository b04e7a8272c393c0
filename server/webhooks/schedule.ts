const [second, minute, hour] = [1_000, 60_000, 3_600_000];

/** Pauses before the second attempt, the third, …: 27 h and a half in all. Then a delivery is given up. */
export const pausesMs: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  10 * hour,
];
/** So that what failed together does not come back together. */
const jitter = 0.1;
/** A receiver may put an attempt off by so much; it could otherwise ask for next year. */
const longestRetryAfterMs = 12 * hour;

/**
 * When a delivery that failed is attempted next.
 *
 * @param tries how often it has been attempted by now, since it began or was replayed
 * @param retryAfterMs what the receiver asks for
 * @param random in [0, 1)
 * @returns null where it is given up
 */
export function pauseAfter(tries: number, retryAfterMs: number | null, random: number): number | null {
  const pauseMs = pausesMs[tries - 1];
  if (pauseMs === undefined) return null;
  const jittered = Math.round(pauseMs * (1 + jitter * (2 * random - 1)));
  return Math.max(jittered, Math.min(retryAfterMs ?? 0, longestRetryAfterMs));
}

/**
 * `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
 *
 * @returns milliseconds from `now`; null for what is neither, or past
 */
export function readRetryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  const ms = /^\d{1,10}$/.test(text) ? Number(text) * second : Date.parse(text) - now;
  return ms > 0 ? ms : null;
}
