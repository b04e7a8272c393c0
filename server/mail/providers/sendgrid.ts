import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Db } from '../../core/db/index.ts';
import type { RawWebhook } from '../../core/http/index.ts';
import { type Secrets, sameText } from '../../core/secrets.ts';
import type { Belief } from '../../receipts/index.ts';
import { basicCredentials } from '../basic.ts';
import { believe, hintOf, isBusinessId } from '../candidates.ts';
import { enhancedCode, type Fields, isFields, parseJson, textOf, timeOf } from '../fields.ts';
import { type Form, type FormPart, readForm } from '../form.ts';
import { isFresh } from '../freshness.ts';
import { metadataNames } from '../ids.ts';
import { authenticationOf } from '../inbound/authentication.ts';
import { readRawHeaders, readRawMail } from '../inbound/raw-mail.ts';
import { type IncomingFile, ignored, type MailNews, type MailWebhooks, unreadable } from '../provider.ts';

const signatureHeader = 'x-twilio-email-event-webhook-signature';
const timestampHeader = 'x-twilio-email-event-webhook-timestamp';

/** SendGrid sends a batch every 30 s or at 768 kB. */
const mostEventBytes = 1_500_000;
/** SendGrid tries again for 24 hours, and does not say whether it signs anew. */
const freshForS = 25 * 3_600;

/** The password in the URL of SendGrid's inbound mail, which SendGrid does not sign. The user name is the business. */
export function inboundPassword(businessId: number, secrets: Secrets): string {
  return secrets.sign('sendgrid inbound', String(businessId));
}

/**
 * SendGrid: events signed with ECDSA over the raw bytes
 * (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features),
 * and Inbound Parse, which is signed by nobody: its URL bears a password of ours
 * (https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook).
 */
export function sendgridWebhooks(parts: { db: Db; secrets: Secrets }): MailWebhooks {
  return {
    provider: 'sendgrid',
    proofHeaders: [signatureHeader, timestampHeader, 'authorization'],

    async verify(webhook) {
      const signature = webhook.headers[signatureHeader];
      if (signature === undefined) return verifyInbound(webhook, parts.secrets);
      const timestamp = webhook.headers[timestampHeader] ?? '';
      if (webhook.body.length > mostEventBytes) return doubt('It is larger than any batch of events.');
      if (!isFresh(webhook, timestamp, freshForS)) return doubt('Its timestamp is too old, or none.');
      const bytes = Buffer.from(signature, 'base64');
      if (bytes.toString('base64') !== signature) return doubt('Its signature is no base64.');
      const signed = Buffer.concat([Buffer.from(timestamp), webhook.body]);
      return believe(parts, 'sendgrid', [...hintOf(webhook), ...businessesIn(webhook.body)], (account) => {
        const key = publicKeyOf(account.webhook_public_key);
        return key !== null && verify('sha256', signed, { key, dsaEncoding: 'der' }, bytes);
      });
    },

    async read(webhook) {
      if (webhook.headers[signatureHeader] === undefined) return [await readInbound(webhook)];
      const json = parseJson(webhook.body);
      if (!json.ok) return [unreadable(json.why)];
      const events = Array.isArray(json.value) ? json.value : [json.value];
      return events.map(newsOf);
    },
  };
}

const doubt = (reason: string, businessId: number | null = null): Belief => ({
  kind: 'doubted',
  reason,
  businessId,
});

function verifyInbound(webhook: RawWebhook, secrets: Secrets): Belief {
  const given = basicCredentials(webhook);
  if (!given) return doubt('It has no signature, and no password as the URL of inbound mail has.');
  const businessId = Number(given.username);
  if (!isBusinessId(businessId)) return doubt('Its user name is no business.');
  return sameText(given.password, inboundPassword(businessId, secrets))
    ? { kind: 'believed', businessIds: [businessId] }
    : doubt('Its password is not that of the URL of inbound mail.', businessId);
}

/** Keys as SendGrid shows them: base64 of SubjectPublicKeyInfo, or PEM. Reading one takes longer than a check. */
const keys = new Map<string, KeyObject | null>();
const mostKeys = 1_000;

function publicKeyOf(text: string | undefined): KeyObject | null {
  if (text === undefined) return null;
  let key = keys.get(text);
  if (key !== undefined) return key;
  try {
    const der = Buffer.from(text.replaceAll(/-----[^-]+-----|\s+/g, ''), 'base64');
    key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ec') key = null;
  } catch {
    key = null;
  }
  if (keys.size >= mostKeys) keys.clear();
  keys.set(text, key);
  return key;
}

function businessesIn(body: Buffer): number[] {
  const json = parseJson(body);
  if (!json.ok || !Array.isArray(json.value)) return [];
  return [
    ...new Set(json.value.filter(isFields).map((event) => Number(event[metadataNames.businessId]))),
  ].filter(isBusinessId);
}

const droppedCodes: Record<string, string> = {
  'bounced address': 'dropped.bounced_address',
  'unsubscribed address': 'dropped.unsubscribed_address',
  'spam reporting address': 'dropped.spam_reporting_address',
  'spam content (if spam checker app is enabled)': 'dropped.spam_content',
  'spam content': 'dropped.spam_content',
  'invalid smtpapi header': 'dropped.invalid_smtpapi_header',
  'recipient list over package quota': 'dropped.over_quota',
  invalid: 'dropped.invalid',
};

/** https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event */
function newsOf(value: unknown): MailNews {
  if (!isFields(value)) return unreadable('An event is no object.');
  const name = textOf(value.event);
  const eventKey = textOf(value.sg_event_id);
  if (name === null || eventKey === null) return unreadable('An event has no event or no sg_event_id.');
  const what = whatOf(name, value);
  if (!what) return ignored(`There is nothing to do for ${name}.`);
  const id = textOf(value.sg_message_id);
  return {
    kind: 'event',
    event: {
      eventKey,
      names: {
        metadata: textOf(value[metadataNames.messageId]),
        mailId: textOf(value['smtp-id']),
        // The mail's id, as the API gave it, with the name of the machine that handled it behind.
        providerIds: id === null ? [] : [...new Set([id.split(/\.(?:filter|recv)/)[0]!, id])],
      },
      recipient: textOf(value.email),
      occurredAt: timeOf(value.timestamp),
      what,
    },
  };
}

function whatOf(name: string, event: Fields): (MailNews & { kind: 'event' })['event']['what'] | null {
  const reason = textOf(event.reason) ?? textOf(event.response);
  const status = (
    to: 'sending' | 'sent' | 'delivered' | 'undelivered' | 'failed',
    errorCode: string | null = null,
  ) => ({
    kind: 'status' as const,
    status: to,
    providerStatus: name,
    errorCode,
    errorMessage: errorCode === null ? null : reason,
  });
  switch (name) {
    case 'processed':
      return status('sent');
    case 'deferred':
      return { ...status('sending', enhancedCode(textOf(event.status), reason) ?? '4.0.0') };
    case 'delivered':
      return status('delivered');
    case 'bounce': {
      const kind = textOf(event.type) === 'blocked' ? 'blocked' : 'bounce';
      return status('undelivered', enhancedCode(textOf(event.status), reason) ?? kind);
    }
    case 'dropped':
      return status('failed', droppedCodes[(reason ?? '').toLowerCase()] ?? 'dropped');
    case 'open':
      return { kind: 'fact', fact: 'open', byMachine: event.sg_machine_open === true };
    case 'click':
      return { kind: 'fact', fact: 'click' };
    case 'spamreport':
      return { kind: 'fact', fact: 'complaint' };
    case 'unsubscribe':
    case 'group_unsubscribe':
      return { kind: 'fact', fact: 'unsubscribe' };
    case 'group_resubscribe':
      return { kind: 'fact', fact: 'resubscribe' };
    default:
      return null;
  }
}

/** Inbound Parse, both ways: the raw mail in `email`, or fields with their charsets. */
async function readInbound(webhook: RawWebhook): Promise<MailNews> {
  const form = await readForm(webhook);
  if (!form) return unreadable('It is no form that can be read.');
  const envelope = parseJson(Buffer.from(form.text('envelope') ?? '{}'));
  const { to, from } = envelope.ok && isFields(envelope.value) ? envelope.value : { to: [], from: null };
  const found = {
    recipients: (Array.isArray(to) ? to : [to]).filter((one) => typeof one === 'string'),
    envelopeFrom: typeof from === 'string' ? from : null,
    authentication: authenticationOf('sendgrid', {
      spf: form.text('SPF'),
      // `{@example.com : pass}`; the domain may hold such a word as well.
      dkim: /:\s*([a-z]+)\s*\}/i.exec(form.text('dkim') ?? '')?.[1] ?? form.text('dkim'),
    }),
  };
  const raw = form.parts.find((part) => part.name === 'email');
  if (raw) return readRawMail(raw.content, found);
  const block = form.text('headers');
  if (block === null) return unreadable('It has neither email nor headers.');
  const charsets = parseJson(Buffer.from(form.text('charsets') ?? '{}'));
  const charset = (field: string) =>
    (charsets.ok && isFields(charsets.value) ? textOf(charsets.value[field]) : null) ?? 'utf-8';
  return {
    kind: 'mail',
    mail: {
      providerMailId: null,
      ...found,
      headers: await readRawHeaders(block),
      subject: form.text('subject', charset('subject')),
      text: form.text('text', charset('text')) ?? '',
      html: form.text('html', charset('html')),
      files: filesOf(form),
      dsn: null,
    },
  };
}

function filesOf(form: Form): IncomingFile[] {
  const ids = parseJson(Buffer.from(form.text('content-ids') ?? '{}'));
  const idOf = new Map(
    ids.ok && isFields(ids.value) ? Object.entries(ids.value).map(([id, part]) => [String(part), id]) : [],
  );
  return form.parts
    .filter((part) => /^attachment\d+$/.test(part.name))
    .map((part: FormPart) => ({
      filename: part.filename,
      contentType: part.contentType,
      content: part.content,
      contentId: idOf.get(part.name) ?? null,
    }));
}
