import { createHash } from 'node:crypto';
import type { Db } from '../../core/db/index.ts';
import { type Secrets, sameText } from '../../core/secrets.ts';
import { basicCredentials } from '../basic.ts';
import { believe, hintOf } from '../candidates.ts';
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
import { metadataNames } from '../ids.ts';
import { authenticationResults } from '../inbound/authentication.ts';
import { headerList } from '../inbound/headers.ts';
import {
  type IncomingFile,
  ignored,
  type MailEvent,
  type MailNews,
  type MailWebhooks,
  unreadable,
} from '../provider.ts';

const digest = (text: string) => createHash('sha256').update(text).digest('hex');

/**
 * Postmark signs nothing; its webhooks bear the basic credentials of their URL
 * (https://postmarkapp.com/developer/webhooks/webhooks-overview).
 */
export function postmarkWebhooks(parts: { db: Db; secrets: Secrets }): MailWebhooks {
  return {
    provider: 'postmark',
    proofHeaders: ['authorization'],

    async verify(webhook) {
      const given = basicCredentials(webhook);
      if (!given) return { kind: 'doubted', reason: 'It has no basic credentials.', businessId: null };
      const username = digest(given.username);
      const password = digest(given.password);
      return believe(parts, 'postmark', hintOf(webhook), (account) => {
        // Both always: the time must not tell which of the two is wrong.
        const isUser = sameText(digest(account.username), username);
        const isPassword = sameText(digest(account.password), password);
        return isUser && isPassword;
      });
    },

    async read(webhook) {
      const json = parseJson(webhook.body);
      if (!json.ok) return [unreadable(json.why)];
      if (!isFields(json.value)) return [unreadable('It is no object.')];
      return [newsOf(json.value)];
    },
  };
}

function newsOf(told: Fields): MailNews {
  const type = textOf(told.RecordType);
  if (type === 'Inbound' || (type === null && told.FromFull !== undefined)) return readInbound(told);
  if (type === null) return unreadable('It has no RecordType.');
  const mailId = textOf(told.MessageID);
  const what = whatOf(type, told);
  if (!what) return ignored(`There is nothing to do for ${type}${told.Type ? ` ${textOf(told.Type)}` : ''}.`);
  const at = told.DeliveredAt ?? told.BouncedAt ?? told.ReceivedAt ?? told.ChangedAt;
  const recipient = textOf(told.Recipient) ?? textOf(told.Email);
  // Only bounces and complaints have an ID of their own.
  const id =
    textOf(told.ID) ??
    digest(JSON.stringify([recipient, at, textOf(told.OriginalLink), textOf(told.Origin)]));
  return {
    kind: 'event',
    event: {
      eventKey: `${mailId ?? ''} ${type} ${id}`,
      names: {
        metadata: metadataOf(told.Metadata, metadataNames.messageId),
        mailId: null,
        providerIds: mailId === null ? [] : [mailId],
      },
      recipient,
      occurredAt: timeOf(at),
      what,
    },
  };
}

/** https://postmarkapp.com/developer/api/bounce-api#bounce-types */
const bounces: Record<
  string,
  'sending' | 'undelivered' | 'failed' | 'complaint' | 'unsubscribe' | 'resubscribe'
> = {
  HardBounce: 'undelivered',
  BadEmailAddress: 'undelivered',
  SoftBounce: 'undelivered',
  DnsError: 'undelivered',
  Blocked: 'undelivered',
  Unknown: 'undelivered',
  VirusNotification: 'undelivered',
  DMARCPolicy: 'undelivered',
  Unconfirmed: 'undelivered',
  ManuallyDeactivated: 'failed',
  SMTPApiError: 'failed',
  TemplateRenderingFailed: 'failed',
  Transient: 'sending',
  SpamComplaint: 'complaint',
  SpamNotification: 'complaint',
  Unsubscribe: 'unsubscribe',
  Subscribe: 'resubscribe',
};

function whatOf(type: string, told: Fields): MailEvent['what'] | null {
  switch (type) {
    case 'Delivery':
      return {
        kind: 'status',
        status: 'delivered',
        providerStatus: type,
        errorCode: null,
        errorMessage: null,
      };
    case 'Bounce':
    case 'SMTPApiError': {
      const kind = textOf(told.Type) ?? type;
      const becomes = bounces[kind] ?? null;
      if (becomes === null) return null;
      if (becomes === 'complaint' || becomes === 'unsubscribe' || becomes === 'resubscribe')
        return { kind: 'fact', fact: becomes };
      const details = textOf(told.Details);
      return {
        kind: 'status',
        status: becomes,
        providerStatus: kind,
        errorCode: becomes === 'undelivered' ? (enhancedCode(details) ?? kind) : kind,
        errorMessage: details ?? textOf(told.Description),
      };
    }
    case 'SpamComplaint':
      return { kind: 'fact', fact: 'complaint' };
    case 'Open':
      return { kind: 'fact', fact: 'open', byMachine: isProxy(told) };
    case 'Click':
      return { kind: 'fact', fact: 'click' };
    case 'SubscriptionChange':
      return changeOf(told);
    default:
      return null;
  }
}

/**
 * https://postmarkapp.com/developer/webhooks/subscription-change-webhook: a suppression after a hard bounce is no
 * word of the recipient's, and only the recipient can subscribe again.
 */
function changeOf(told: Fields): MailEvent['what'] | null {
  if (told.SuppressSending === true) {
    const reason = textOf(told.SuppressionReason);
    if (reason === 'HardBounce') return null;
    return { kind: 'fact', fact: reason === 'SpamComplaint' ? 'complaint' : 'unsubscribe' };
  }
  return told.SuppressSending === false && told.Origin === 'Recipient'
    ? { kind: 'fact', fact: 'resubscribe' }
    : null;
}

/** Apple's privacy protection loads every image by itself, under this name. */
function isProxy(told: Fields): boolean {
  const client = textOf(fieldsOf(told.Client).Name) ?? '';
  return /apple.*(?:privacy|proxy)/i.test(client) || textOf(told.UserAgent) === 'Mozilla/5.0';
}

/** https://postmarkapp.com/developer/webhooks/inbound-webhook */
function readInbound(told: Fields): MailNews {
  const headers = headerList(
    listOf(told.Headers)
      .filter(isFields)
      .map(({ Name, Value }) => [String(Name ?? ''), String(Value ?? '')] as const),
  );
  const providerMailId = textOf(told.MessageID);
  const recipients = [textOf(told.OriginalRecipient)].filter((one) => one !== null);
  const full = (value: unknown) =>
    listOf(value)
      .filter(isFields)
      .map(({ Email, Name }) => `${JSON.stringify(String(Name ?? ''))} <${String(Email ?? '')}>`)
      .join(', ');
  const named = headerList([
    ['from', full([told.FromFull])],
    ['to', full(told.ToFull)],
    ['cc', full(told.CcFull)],
    ['reply-to', String(told.ReplyTo ?? '')],
    ['date', String(told.Date ?? '')],
  ]).filter(({ value }) => value !== '');
  return {
    kind: 'mail',
    mail: {
      providerMailId,
      recipients,
      envelopeFrom: null,
      headers: [...headers, ...named.filter(({ name }) => !headers.some((header) => header.name === name))],
      subject: typeof told.Subject === 'string' ? told.Subject : null,
      text: typeof told.TextBody === 'string' ? told.TextBody : '',
      html: typeof told.HtmlBody === 'string' && told.HtmlBody !== '' ? told.HtmlBody : null,
      files: listOf(told.Attachments).filter(isFields).map(fileOf),
      authentication: authenticationResults(headers),
      dsn: null,
    },
  };
}

function fileOf(file: Fields): IncomingFile {
  return {
    filename: textOf(file.Name),
    contentType: textOf(file.ContentType) ?? 'application/octet-stream',
    content: Buffer.from(typeof file.Content === 'string' ? file.Content : '', 'base64'),
    contentId: textOf(file.ContentID)?.replace(/^<(.*)>$/, '$1') ?? null,
  };
}
