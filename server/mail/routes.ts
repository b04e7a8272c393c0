import { mailProviders } from '../../contract/email.ts';
import { businessFor } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { answer, type Binding, own, read } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { answerWebhook, type Receipts } from '../receipts/index.ts';
import { inboundPassword } from './providers/sendgrid.ts';

export function mailRoutes(options: {
  receipts: Receipts;
  secrets: Secrets;
  publicUrl: string;
  basePath: string;
}): Binding[] {
  const { secrets, publicUrl, basePath } = options;
  return [
    own('receiveEmailWebhook', async (call) => {
      const provider = mailProviders.find((name) => name === call.params.provider);
      if (!provider) throw notFound('mail provider', `It is one of ${mailProviders.join(', ')}.`);
      const kept = { status: 200, type: 'text/plain', body: '' };
      return (await answerWebhook(call, options, `email.${provider}`, kept)) as never;
    }),

    read('listEmailWebhooks', async (db, { businessId }) => {
      await businessFor(db, businessId);
      const connected = await connectedProviders(db, businessId);
      const url = (provider: string, query: string, credentials = '') =>
        `${publicUrl.replace('://', `://${credentials}`)}${basePath}/email/webhooks/${provider}?business_id=${businessId}${query}`;
      return answer(200, {
        data: mailProviders.map((provider) => ({
          provider,
          events_url: url(provider, '', provider === 'postmark' ? 'USERNAME:PASSWORD@' : ''),
          inbound_url: url(
            provider,
            // A route whose URL ends so gets the mail as it came.
            provider === 'mailgun' ? '&format=mime' : '',
            provider === 'sendgrid'
              ? `${businessId}:${inboundPassword(businessId, secrets)}@`
              : provider === 'postmark'
                ? 'USERNAME:PASSWORD@'
                : '',
          ),
          connected: connected.has(provider),
        })),
      });
    }),
  ];
}

async function connectedProviders(db: Db, businessId: number): Promise<Set<string>> {
  const rows = await db
    .selectFrom('provider_accounts')
    .select('provider')
    .where('business_id', '=', businessId)
    .execute();
  return new Set(rows.map((row) => row.provider));
}
