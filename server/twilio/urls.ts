/**
 * Ours to be called at, by Twilio's rules: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
 *
 * Without `rp` it comes again only when it could not connect; so while Omega restarts behind a proxy (5xx), or
 * is slow, what it posts would be lost. The fragment is for Twilio alone, and not part of what it signs.
 */
export const tryAgain = '#rc=5&rp=ct,rt,5xx';

/** Whether Twilio's setting is our URL: `#`, which somebody who sets it by hand may leave out, is not looked at. */
export function leadsTo(url: string | null, ours: string): boolean {
  return url?.split('#')[0] === ours.split('#')[0];
}

export function incomingUrl(apiUrl: string): string {
  return `${apiUrl}/twilio/sms/incoming${tryAgain}`;
}

/** Names the message: a callback may be there before the answer that tells us Twilio's id, or in place of it. */
export function statusUrl(
  apiUrl: string,
  about: { businessId: number; messageId: string; attemptNo: number },
): string {
  const { businessId, messageId, attemptNo } = about;
  return `${apiUrl}/twilio/sms/status?business_id=${businessId}&message_id=${messageId}&attempt=${attemptNo}${tryAgain}`;
}
