import type { RawWebhook } from '../core/http/index.ts';

/** How far a carrier's clock may be before ours. */
const aheadS = 300;

/** Whether what was signed in Unix seconds was signed lately, as of when it came: a replay of ours judges it the same. */
export function isFresh({ receivedAt }: RawWebhook, timestamp: string, withinS: number): boolean {
  if (!/^\d{1,12}$/.test(timestamp)) return false;
  const ageS = receivedAt.getTime() / 1000 - Number(timestamp);
  return ageS <= withinS && ageS >= -aheadS;
}
