import { createHmac } from 'node:crypto';
import { readProviderAccount } from '../../businesses/index.ts';
import type { Db } from '../../core/db/index.ts';
import type { RawWebhook } from '../../core/http/index.ts';
import { type Secrets, sameText } from '../../core/secrets.ts';
import { believe, businessesOfRecipients, hintOf, isBusinessId } from '../candidates.ts';
import {
  enhancedCode,
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  metadataOf,
  parseJson,
  textOf,
  timeOf,
} from '../fields.ts';
import { isFresh } from '../freshness.ts';
import { metadataNames } from '../ids.ts';
import { readRawMail } from '../inbound/raw-mail.ts';
import { ignored, type MailEvent, type MailNews, type MailWebhooks, unreadable } from '../provider.ts';
import { fetchReceivedMail } from './resend-api.ts';

/** Svix signs each try anew; Standard Webhooks advises five minutes. */
const freshForS = 300;
const mostEventBytes = 1024 * 1024;

interface Signed {
  id: string;
  timestamp: string;
  signatures: string[];
}

/**
 * Resend signs by Standard Webhooks, under Svix's names of the headers
 * (https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests).
 */
export function resendWebhooks(parts: { db: Db; secrets: Secrets }): MailWebhooks {
  const { db, secrets } = parts;
  return {
    provider: 'resend',
    proofHeaders: ['svix-id', 'svix-timestamp', 'svix-signature'],

    async verify(webhook) {
      const { id, timestamp, signatures } = signedIn(webhook);
      const doubt = (reason: string) => ({ kind: 'doubted' as const, reason, businessId: null });
      if (id === '' || signatures.length === 0) return doubt('It has no svix-id or no svix-signature.');
      if (webhook.body.length > mostEventBytes) return doubt('It is larger than any event.');
      if (!isFresh(webhook, timestamp, freshForS)) return doubt('Its timestamp is too old, or none.');
      return believe(parts, 'resend', await businessesNamed(parts, webhook), (account) => {
        const expected = signatureOf(account.signing_secret, `${id}.${timestamp}.`, webhook.body);
        // Each is compared, so that the time tells nothing.
        return signatures.filter((one) => sameText(one, expected)).length > 0;
      });
    },

    async read(webhook, businessIds) {
      const json = parseJson(webhook.body);
      if (!json.ok) return [unreadable(json.why)];
      const told = fieldsOf(json.value);
      const type = textOf(told.type);
      if (type === null || !isFields(told.data)) return [unreadable('It has no type or no data.')];
      if (type === 'email.received') return [await readReceived(told.data, businessIds)];
      return [newsOf(type, told, told.data, signedIn(webhook).id)];
    },
  };

  /** The webhook brings no more than who wrote to whom: the mail itself is fetched with the business's API key. */
  async function readReceived(data: Fields, businessIds: readonly number[]): Promise<MailNews> {
    const id = textOf(data.email_id);
    if (id === null) return unreadable('It has no email_id.');
    for (const businessId of businessIds) {
      const account = await readProviderAccount(db, secrets, businessId, 'resend');
      if (!account?.api_key) continue;
      const raw = await fetchReceivedMail(id, { apiKey: account.api_key, baseUrl: account.api_base_url });
      if (raw === null) return ignored(`Resend has no received mail ${id} any more.`);
      const recipients = listOf(data.to)
        .map(textOf)
        .filter((one) => one !== null);
      return readRawMail(raw, { providerMailId: id, recipients });
    }
    return ignored(
      'Resend posts no text of inbound mail: give providers.resend.api_key with the onboarding, then replay this receipt.',
    );
  }
}

function signedIn({ headers }: RawWebhook): Signed {
  return {
    id: headers['svix-id'] ?? headers['webhook-id'] ?? '',
    timestamp: headers['svix-timestamp'] ?? headers['webhook-timestamp'] ?? '',
    // Several while a secret is being rotated, of which we know one.
    signatures: (headers['svix-signature'] ?? headers['webhook-signature'] ?? '')
      .split(' ')
      .filter((one) => one.startsWith('v1,'))
      .slice(0, 10),
  };
}

/**
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, over the bytes as they
 * came. Natively: anybody can post a megabyte, to be tried with the secrets of every business.
 */
function signatureOf(secret: string, before: string, body: Buffer): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  // What was pasted wrong must not become a key that anybody has.
  if (key.length < 16) return '';
  return `v1,${createHmac('sha256', key).update(before).update(body).digest('base64')}`;
}

async function businessesNamed(parts: { db: Db; secrets: Secrets }, webhook: RawWebhook): Promise<number[]> {
  const json = parseJson(webhook.body);
  const data = fieldsOf(fieldsOf(json.ok ? json.value : null).data);
  const named = Number(metadataOf(data.tags, metadataNames.businessId) ?? Number.NaN);
  const recipients = listOf(data.to).filter((one) => typeof one === 'string');
  return [
    ...hintOf(webhook),
    ...(isBusinessId(named) ? [named] : []),
    ...(await businessesOfRecipients(parts, recipients.slice(0, 50))),
  ];
}

/** https://resend.com/docs/dashboard/webhooks/event-types */
function newsOf(type: string, told: Fields, data: Fields, webhookId: string): MailNews {
  const what = whatOf(type, data);
  if (!what) return ignored(`There is nothing to do for ${type}.`);
  const id = textOf(data.email_id);
  const to = listOf(data.to).map(textOf);
  return {
    kind: 'event',
    event: {
      eventKey: webhookId,
      names: {
        metadata: metadataOf(data.tags, metadataNames.messageId),
        mailId: textOf(data.message_id),
        providerIds: id === null ? [] : [id],
      },
      // Of several it does not say which.
      recipient: to.length === 1 ? to[0]! : null,
      occurredAt: timeOf(fieldsOf(data.click).timestamp ?? told.created_at),
      what,
    },
  };
}

function whatOf(type: string, data: Fields): MailEvent['what'] | null {
  const status = (
    to: (MailEvent['what'] & { kind: 'status' })['status'],
    errorCode: string | null = null,
    errorMessage: string | null = null,
  ) => ({
    kind: 'status' as const,
    status: to,
    providerStatus: type.replace('email.', ''),
    errorCode,
    errorMessage,
  });
  switch (type) {
    case 'email.sent':
      return status('sent');
    case 'email.delivered':
      return status('delivered');
    case 'email.delivery_delayed':
      return status('sending');
    case 'email.bounced': {
      const bounce = fieldsOf(data.bounce);
      const said = textOf(bounce.message);
      const kind = [textOf(bounce.type), textOf(bounce.subType)].filter((one) => one !== null).join('.');
      return status('undelivered', enhancedCode(said) ?? (kind || 'bounced'), said);
    }
    case 'email.failed': {
      const reason = textOf(fieldsOf(data.failed).reason);
      return status('failed', reason ?? 'failed', reason);
    }
    case 'email.suppressed': {
      const said = textOf(fieldsOf(data.suppressed).message);
      return status('failed', 'suppressed', said);
    }
    case 'email.opened':
      return { kind: 'fact', fact: 'open' };
    case 'email.clicked':
      return { kind: 'fact', fact: 'click' };
    case 'email.complained':
      return { kind: 'fact', fact: 'complaint' };
    default:
      return null;
  }
}
