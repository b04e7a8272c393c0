import type { Event } from '../../contract/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { DeliveryRow, WebhookRow } from './access.ts';
import type { Postman } from './postman.ts';
import { signedHeaders } from './secret.ts';
import type { Attempted } from './settle.ts';

export const sealedAbout = (businessId: number, webhookId: string) =>
  `webhook secret ${businessId} ${webhookId}`;

/** Posts one event, signed as of now. With no transaction open: the receiver takes its time. */
export async function postDelivery(
  { postman, secrets }: { postman: Postman; secrets: Secrets },
  now: Date,
  webhook: WebhookRow,
  delivery: DeliveryRow,
  event: Event,
): Promise<Attempted> {
  const about = sealedAbout(webhook.business_id, webhook.webhook_id);
  const isOldGood = webhook.old_secret_until !== null && webhook.old_secret_until > now;
  const sealed = [webhook.sealed_secret, ...(isOldGood ? [webhook.sealed_old_secret] : [])];
  const signing = sealed.filter((one) => one !== null).map((one) => secrets.open(one, about));
  const body = JSON.stringify(event);
  const posted = await postman.post(webhook.url, signedHeaders(signing, event.id, now, body), body);
  return { delivery, posted, at: now };
}
