import { createHash, createHmac } from 'node:crypto';
import type { Db } from '../../core/db/index.ts';
import type { RawWebhook } from '../../core/http/index.ts';
import { hashOfToken, type Secrets, sameText } from '../../core/secrets.ts';
import type { Belief } from '../../receipts/index.ts';
import { believe, businessesOfRecipients, hintOf, isBusinessId } from '../candidates.ts';
import {
  enhancedCode,
  type Fields,
  fieldsOf,
  isFields,
  metadataOf,
  parseJson,
  textOf,
  timeOf,
} from '../fields.ts';
import { type Form, readForm } from '../form.ts';
import { isFresh } from '../freshness.ts';
import { metadataNames } from '../ids.ts';
import { authenticationOf } from '../inbound/authentication.ts';
import { headerList, headerOf } from '../inbound/headers.ts';
import { readRawMail } from '../inbound/raw-mail.ts';
import {
  type IncomingFile,
  ignored,
  type MailEvent,
  type MailNews,
  type MailWebhooks,
  unreadable,
} from '../provider.ts';

/**
 * Mailgun tries again for 8 hours with the signature of the first time
 * (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries), so what is older is a replay.
 */
const freshForS = 9 * 3_600;
/** An event is some kilobytes. */
const mostEventBytes = 1024 * 1024;

/** What Mailgun posts, either way, with the digest of all that its signature leaves out. */
interface Posted {
  timestamp: string;
  token: string;
  signature: string;
  digest: string;
  content: { kind: 'event'; event: Fields } | { kind: 'form'; form: Form };
}

/**
 * Mailgun signs a timestamp and a token, and nothing else of what it posts
 * (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks). So a token stands for the
 * one thing that it first came with: the same again does nothing, and another with the same token is refused.
 */
export function mailgunWebhooks(parts: { db: Db; secrets: Secrets }): MailWebhooks {
  const { db } = parts;
  return {
    provider: 'mailgun',
    proofHeaders: [],

    async verify(webhook) {
      const posted = await postedIn(webhook);
      if (typeof posted === 'string') return doubt(posted);
      const { timestamp, token, signature } = posted;
      if (!isFresh(webhook, timestamp, freshForS)) return doubt('Its timestamp is too old, or none.');
      const named = await businessesNamed(parts, webhook, posted);
      const belief = await believe(parts, 'mailgun', named, (account) =>
        sameText(
          createHmac('sha256', account.signing_key)
            .update(timestamp + token)
            .digest('hex'),
          signature,
        ),
      );
      if (belief.kind === 'doubted') return belief;
      const digest = await db
        .selectFrom('webhook_tokens')
        .select('digest')
        .where('provider', '=', 'mailgun')
        .where('token_hash', '=', hashOfToken(token))
        .executeTakeFirst();
      return digest === undefined || digest.digest === posted.digest
        ? belief
        : doubt('Its token came before, with something else.');
    },

    async read(webhook) {
      const posted = await postedIn(webhook);
      if (typeof posted === 'string') return [unreadable(posted)];
      if (!(await takeToken(db, webhook, posted)))
        return [unreadable('Its token came before, with something else.')];
      return [
        posted.content.kind === 'event' ? newsOf(posted.content.event) : await readRoute(posted.content.form),
      ];
    },
  };
}

const doubt = (reason: string): Belief => ({ kind: 'doubted', reason, businessId: null });

async function postedIn(webhook: RawWebhook): Promise<Posted | string> {
  if (/^application\/json\b/i.test(webhook.headers['content-type'] ?? '')) {
    if (webhook.body.length > mostEventBytes) return 'It is larger than any event.';
    const json = parseJson(webhook.body);
    if (!json.ok) return json.why;
    const signed = fieldsOf(fieldsOf(json.value).signature);
    return {
      timestamp: textOf(signed.timestamp) ?? '',
      token: textOf(signed.token) ?? '',
      signature: textOf(signed.signature) ?? '',
      digest: createHash('sha256').update(webhook.body).digest('base64url'),
      content: { kind: 'event', event: fieldsOf(fieldsOf(json.value)['event-data']) },
    };
  }
  const form = await readForm(webhook);
  if (!form) return 'It is neither JSON nor a form that can be read.';
  // Of the parts, not of the bytes: each try has another boundary between them.
  const hash = createHash('sha256');
  for (const part of form.parts) {
    hash.update(`${JSON.stringify([part.name, part.filename, part.content.length])}\n`).update(part.content);
  }
  return {
    timestamp: form.text('timestamp') ?? '',
    token: form.text('token') ?? '',
    signature: form.text('signature') ?? '',
    digest: hash.digest('base64url'),
    content: { kind: 'form', form },
  };
}

async function businessesNamed(
  parts: { db: Db; secrets: Secrets },
  webhook: RawWebhook,
  { content }: Posted,
): Promise<number[]> {
  const hint = hintOf(webhook);
  if (content.kind === 'form')
    return [...hint, ...(await businessesOfRecipients(parts, recipientsOf(content.form)))];
  const named = Number(metadataOf(content.event['user-variables'], metadataNames.businessId) ?? Number.NaN);
  return [...hint, ...(isBusinessId(named) ? [named] : [])];
}

/** @returns false where the token has stood for something else */
async function takeToken(db: Db, { receivedAt }: RawWebhook, { token, digest }: Posted): Promise<boolean> {
  const key = { provider: 'mailgun', token_hash: hashOfToken(token) };
  await db
    .insertInto('webhook_tokens')
    .values({ ...key, digest, received_at: receivedAt })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const kept = await db
    .selectFrom('webhook_tokens')
    .select('digest')
    .where('provider', '=', key.provider)
    .where('token_hash', '=', key.token_hash)
    .executeTakeFirst();
  // What is too old to be believed need not be remembered.
  await db
    .deleteFrom('webhook_tokens')
    .where('received_at', '<', new Date(receivedAt.getTime() - 2 * freshForS * 1000))
    .execute();
  return kept === undefined || kept.digest === digest;
}

/** https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure */
function newsOf(event: Fields): MailNews {
  const name = textOf(event.event);
  const id = textOf(event.id);
  if (name === null || id === null) return unreadable('It has no event-data with an event and an id.');
  const what = whatOf(name, event);
  if (!what) return ignored(`There is nothing to do for ${name}.`);
  const mailId = textOf(fieldsOf(fieldsOf(event.message).headers)['message-id']);
  return {
    kind: 'event',
    event: {
      eventKey: id,
      names: {
        metadata: metadataOf(event['user-variables'], metadataNames.messageId),
        mailId,
        providerIds: mailId === null ? [] : [mailId, `<${mailId}>`],
      },
      recipient: textOf(event.recipient),
      occurredAt: timeOf(event.timestamp),
      what,
    },
  };
}

function whatOf(name: string, event: Fields): MailEvent['what'] | null {
  const delivery = fieldsOf(event['delivery-status']);
  const reason = textOf(event.reason);
  const said = textOf(delivery.message) || textOf(delivery.description) || reason;
  const status = (
    to: (MailEvent['what'] & { kind: 'status' })['status'],
    errorCode: string | null = null,
  ) => ({
    kind: 'status' as const,
    status: to,
    providerStatus: name,
    errorCode,
    errorMessage: errorCode === null ? null : said,
  });
  switch (name) {
    case 'accepted':
      return status('sent');
    case 'delivered':
      return status('delivered');
    case 'rejected':
      return status('failed', 'rejected');
    case 'failed': {
      // A suppression is Mailgun's own word; else the receiving server's says more.
      const suppressed = reason?.startsWith('suppress-') ? reason : null;
      const code = suppressed ?? enhancedCode(textOf(delivery['enhanced-code']), said) ?? reason;
      return event.severity === 'temporary'
        ? status('sending', code ?? 'temporary')
        : status(suppressed ? 'failed' : 'undelivered', code ?? 'permanent');
    }
    case 'opened':
      // Apple's and Gmail's proxies load the images before anybody looks.
      return { kind: 'fact', fact: 'open', byMachine: isBot(event) };
    case 'clicked':
      return { kind: 'fact', fact: 'click', byMachine: isBot(event) };
    case 'complained':
      return { kind: 'fact', fact: 'complaint' };
    case 'unsubscribed':
      return { kind: 'fact', fact: 'unsubscribe' };
    default:
      return null;
  }
}

const isBot = (event: Fields): boolean => (textOf(fieldsOf(event['client-info']).bot) ?? '') !== '';

const recipientsOf = (form: Form): string[] =>
  (form.text('recipient') ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '');

/**
 * A mail that a route forwards, parsed, or raw where the route's URL ends in `mime`
 * (https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http).
 */
async function readRoute(form: Form): Promise<MailNews> {
  const recipients = recipientsOf(form);
  const sender = form.text('sender');
  const found = { recipients, envelopeFrom: sender === null ? null : sender.replace(/^<(.*)>$/, '$1') };
  const raw = form.parts.find((part) => part.name === 'body-mime');
  if (raw) return readRawMail(raw.content, found);
  const pairs = parseJson(Buffer.from(form.text('message-headers') ?? 'null'));
  if (!pairs.ok || !Array.isArray(pairs.value)) {
    return form.text('event') === null
      ? unreadable('It has neither body-mime nor message-headers.')
      : ignored('It is an event in the form of before 2018.');
  }
  const headers = headerList(
    pairs.value
      .filter(Array.isArray)
      .map(([name, value]) => [String(name ?? ''), String(value ?? '')] as const),
  );
  return {
    kind: 'mail',
    mail: {
      providerMailId: null,
      ...found,
      headers,
      subject: form.text('subject'),
      text: form.text('body-plain') ?? '',
      html: form.text('body-html'),
      files: filesOf(form),
      authentication: authenticationOf('mailgun', {
        spf: headerOf(headers, 'x-mailgun-spf'),
        dkim: headerOf(headers, 'x-mailgun-dkim-check-result'),
      }),
      dsn: null,
    },
  };
}

function filesOf(form: Form): IncomingFile[] {
  const ids = parseJson(Buffer.from(form.text('content-id-map') ?? '{}'));
  const idOf = new Map(
    ids.ok && isFields(ids.value)
      ? Object.entries(ids.value).map(([id, part]) => [String(part), id.replace(/^<(.*)>$/, '$1')])
      : [],
  );
  return form.parts
    .filter((part) => /^attachment-\d+$/.test(part.name))
    .map((part) => ({
      filename: part.filename,
      contentType: part.contentType,
      content: part.content,
      contentId: idOf.get(part.name) ?? null,
    }));
}
