import type { Agent } from 'node:https';
import type { WebhookSource } from '../receipts/index.ts';
import { mailgunWebhooks } from './providers/mailgun.ts';
import { postmarkWebhooks } from './providers/postmark.ts';
import { resendWebhooks } from './providers/resend.ts';
import { sendgridWebhooks } from './providers/sendgrid.ts';
import { sesWebhooks } from './providers/ses.ts';
import { type MailParts, mailSource } from './source.ts';

export { createMailCarriers } from './outbound/carriers.ts';
export { smtpProviders } from './outbound/provider-headers.ts';
export { unsubscribeRoutes } from './outbound/unsubscribe-routes.ts';
export { mailRoutes } from './routes.ts';

/**
 * The webhooks of every mail provider.
 *
 * @param parts.amazonAgent for requests to Amazon, whose certificates sign what SES tells; the usual one when left out
 */
export function mailSources(parts: MailParts & { amazonAgent?: Agent }): WebhookSource[] {
  return [
    sendgridWebhooks(parts),
    mailgunWebhooks(parts),
    postmarkWebhooks(parts),
    sesWebhooks({ ...parts, agent: parts.amazonAgent }),
    resendWebhooks(parts),
  ].map((webhooks) => mailSource(parts, webhooks));
}
