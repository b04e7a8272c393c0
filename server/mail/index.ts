import type { Agent } from 'node:https';
import type { WebhookSource } from '../receipts/index.ts';
import { mailgunWebhooks } from './providers/mailgun.ts';
import { postmarkWebhooks } from './providers/postmark.ts';
import { resendWebhooks } from './providers/resend.ts';
import { sendgridWebhooks } from './providers/sendgrid.ts';
import { sesWebhooks } from './providers/ses.ts';
import { smtpSource } from './smtp-listener.ts';
import { type MailParts, mailSource } from './source.ts';

export { createMailCarriers } from './outbound/carriers.ts';
export { unsubscribeRoutes } from './outbound/unsubscribe-routes.ts';
export { mailRoutes } from './routes.ts';
export { createSmtpListener, type SmtpListener, type SmtpOptions } from './smtp-listener.ts';

/**
 * The webhooks of every mail provider, and what comes by SMTP.
 *
 * @param parts.amazonAgent for requests to Amazon, whose certificates sign what SES tells; the usual one when left out
 */
export function mailSources(parts: MailParts & { amazonAgent?: Agent }): WebhookSource[] {
  const providers = [
    sendgridWebhooks(parts),
    mailgunWebhooks(parts),
    postmarkWebhooks(parts),
    sesWebhooks({ ...parts, agent: parts.amazonAgent }),
    resendWebhooks(parts),
  ];
  return [...providers.map((webhooks) => mailSource(parts, webhooks)), smtpSource(parts)];
}
