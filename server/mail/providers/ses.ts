import type { Agent } from 'node:https';
import { findProviderAccounts } from '../../businesses/index.ts';
import type { Db } from '../../core/db/index.ts';
import type { RawWebhook } from '../../core/http/index.ts';
import type { Secrets } from '../../core/secrets.ts';
import type { Belief } from '../../receipts/index.ts';
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
import { authenticationOf } from '../inbound/authentication.ts';
import { readRawMail } from '../inbound/raw-mail.ts';
import { ignored, type MailEvent, type MailNews, type MailWebhooks, unreadable } from '../provider.ts';
import { confirmSubscription, createSnsVerify } from './sns.ts';

/** SNS carries 256 kB at most; its own fields come on top. */
const mostBytes = 300 * 1024;
/**
 * The timestamp is of the publication, and SNS tries for an hour unless told otherwise; what is told again does
 * nothing anyway.
 */
const freshForMs = 24 * 3_600_000;

/**
 * Amazon SES, through SNS, which signs with a certificate of Amazon's
 * (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html). Only messages of the topics
 * that a business named are looked at: for others nothing is fetched.
 *
 * @param agent for requests to Amazon; the usual one when left out
 */
export function sesWebhooks(parts: { db: Db; secrets: Secrets; agent?: Agent }): MailWebhooks {
  const { agent } = parts;
  const verify = createSnsVerify(agent);

  return {
    provider: 'ses',
    // Its signature stands in the body.
    proofHeaders: [],

    async verify(webhook) {
      const sns = snsIn(webhook);
      if (typeof sns === 'string') return doubt(sns);
      const accounts = await findProviderAccounts(parts.db, parts.secrets, 'ses', { names: [sns.topicArn] });
      if (accounts.length === 0) return doubt('No business has named its topic.');
      const businessId = accounts.length === 1 ? accounts[0]!.businessId : null;
      const at = new Date(textOf(sns.fields.Timestamp) ?? '').getTime();
      // NaN is neither.
      if (!(Math.abs(webhook.receivedAt.getTime() - at) <= freshForMs))
        return doubt('Its timestamp is too old, or none.', businessId);
      const wrong = await verify(sns.fields);
      return wrong === null
        ? { kind: 'believed', businessIds: accounts.map((account) => account.businessId) }
        : doubt(wrong, businessId);
    },

    async read(webhook) {
      const sns = snsIn(webhook);
      if (typeof sns === 'string') return [unreadable(sns)];
      const type = textOf(sns.fields.Type);
      if (type === 'SubscriptionConfirmation') {
        await confirmSubscription(String(sns.fields.SubscribeURL), agent);
        return [ignored(`The subscription to ${sns.topicArn} is confirmed.`)];
      }
      if (type !== 'Notification') return [ignored(`There is nothing to do for ${type}.`)];
      const json = parseJson(Buffer.from(String(sns.fields.Message ?? '')));
      if (!json.ok || !isFields(json.value)) {
        // SES says so when a topic is chosen for it.
        return [ignored('Its message is no JSON of SES.')];
      }
      return newsOf(json.value, textOf(sns.fields.MessageId) ?? '');
    },
  };
}

const doubt = (reason: string, businessId: number | null = null): Belief => ({
  kind: 'doubted',
  reason,
  businessId,
});

function snsIn(webhook: RawWebhook): { topicArn: string; fields: Fields } | string {
  if (webhook.body.length > mostBytes) return 'It is larger than SNS sends.';
  const json = parseJson(webhook.body);
  if (!json.ok) return json.why;
  const fields = fieldsOf(json.value);
  const topicArn = textOf(fields.TopicArn);
  return topicArn === null
    ? 'It names no TopicArn (with RawMessageDelivery on, SNS leaves it out, and the signature too).'
    : { topicArn, fields };
}

/** https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html */
async function newsOf(told: Fields, snsMessageId: string): Promise<MailNews[]> {
  const type = textOf(told.eventType) ?? textOf(told.notificationType);
  if (type === null) return [unreadable('It has no eventType or notificationType.')];
  if (type === 'Received') return [await readReceived(told)];
  const found = whatOf(type, told);
  if (found.length === 0) return [ignored(`There is nothing to do for ${type}.`)];
  const mail = fieldsOf(told.mail);
  const headers = listOf(mail.headers).filter(isFields);
  const header = (name: string) =>
    textOf(headers.find((one) => String(one.name).toLowerCase() === name.toLowerCase())?.value);
  const id = textOf(mail.messageId);
  return found.map(({ what, recipient, at, feedbackId }, i) => ({
    kind: 'event',
    event: {
      eventKey: [id ?? '', type, feedbackId ?? snsMessageId, ...(i > 0 ? [i] : [])].join(' '),
      names: {
        // Tags with an API call or `X-SES-MESSAGE-TAGS`, else the header that we sent.
        metadata: metadataOf(mail.tags, metadataNames.messageId) ?? header(`x-${metadataNames.messageId}`),
        mailId: header('message-id'),
        providerIds: id === null ? [] : [id],
      },
      // Of several that opened or clicked it does not say who.
      recipient:
        recipient ?? (listOf(mail.destination).length === 1 ? textOf(listOf(mail.destination)[0]) : null),
      occurredAt: timeOf(at ?? mail.timestamp),
      what,
    },
  }));
}

interface Found {
  what: MailEvent['what'];
  recipient?: string | null;
  at?: unknown;
  feedbackId?: string | null;
}

/** One for each recipient that it tells of. */
function whatOf(type: string, told: Fields): Found[] {
  const status = (
    to: (MailEvent['what'] & { kind: 'status' })['status'],
    errorCode: string | null = null,
    errorMessage: string | null = null,
  ): MailEvent['what'] => ({ kind: 'status', status: to, providerStatus: type, errorCode, errorMessage });
  switch (type) {
    case 'Send':
      return [{ what: status('sent') }];
    case 'Delivery': {
      const { recipients, timestamp: at } = fieldsOf(told.delivery);
      return each(recipients).map((who) => ({ what: status('delivered'), recipient: textOf(who), at }));
    }
    case 'DeliveryDelay': {
      const delay = fieldsOf(told.deliveryDelay);
      return each(delay.delayedRecipients).map((one) => {
        const who = fieldsOf(one);
        const said = textOf(who.diagnosticCode);
        return {
          what: status('sending', enhancedCode(textOf(who.status), said) ?? textOf(delay.delayType), said),
          recipient: textOf(who.emailAddress),
          at: delay.timestamp,
        };
      });
    }
    case 'Bounce': {
      const bounce = fieldsOf(told.bounce);
      const kind = `${textOf(bounce.bounceType) ?? 'Undetermined'}.${textOf(bounce.bounceSubType) ?? 'Undetermined'}`;
      // SES's own refusals have a status too, which says less than the kind.
      const own = /Suppress/.test(kind);
      return each(bounce.bouncedRecipients).map((one) => {
        const who = fieldsOf(one);
        const said = textOf(who.diagnosticCode);
        const code = own ? null : enhancedCode(textOf(who.status), said);
        return {
          what: status(own ? 'failed' : 'undelivered', code ?? kind, said),
          recipient: textOf(who.emailAddress),
          at: bounce.timestamp,
          feedbackId: textOf(bounce.feedbackId),
        };
      });
    }
    case 'Complaint': {
      const complaint = fieldsOf(told.complaint);
      return each(complaint.complainedRecipients).map((one) => ({
        what: { kind: 'fact', fact: 'complaint' },
        recipient: textOf(fieldsOf(one).emailAddress),
        at: complaint.timestamp,
        feedbackId: textOf(complaint.feedbackId),
      }));
    }
    case 'Reject':
      return [{ what: status('failed', 'Reject', textOf(fieldsOf(told.reject).reason)) }];
    case 'Rendering Failure':
      return [{ what: status('failed', 'RenderingFailure', textOf(fieldsOf(told.failure).errorMessage)) }];
    case 'Open':
      return [{ what: { kind: 'fact', fact: 'open' }, at: fieldsOf(told.open).timestamp }];
    case 'Click':
      return [{ what: { kind: 'fact', fact: 'click' }, at: fieldsOf(told.click).timestamp }];
    case 'Subscription': {
      const change = fieldsOf(told.subscription);
      const now = fieldsOf(change.newTopicPreferences);
      const topics = listOf(now.topicSubscriptionStatus).map((one) =>
        textOf(fieldsOf(one).subscriptionStatus),
      );
      const left =
        now.unsubscribeAll === true || (topics.length > 0 && topics.every((one) => one === 'OptOut'));
      return [{ what: { kind: 'fact', fact: left ? 'unsubscribe' : 'resubscribe' }, at: change.timestamp }];
    }
    default:
      return [];
  }
}

/** A recipient who is not named is one as well. */
const each = (recipients: unknown): unknown[] =>
  listOf(recipients).length > 0 ? listOf(recipients) : [null];

/**
 * A received mail, whose receipt rule has an SNS action
 * (https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html).
 */
async function readReceived(told: Fields): Promise<MailNews> {
  const receipt = fieldsOf(told.receipt);
  const action = fieldsOf(receipt.action);
  if (typeof told.content !== 'string') {
    return ignored(
      `The mail itself is not in it (action ${textOf(action.type) ?? 'unknown'}): Omega takes inbound mail of SES from an SNS action with the content included, up to 150 kB.`,
    );
  }
  const encoding = textOf(action.encoding)?.toUpperCase() === 'BASE64' ? 'base64' : 'utf8';
  const verdict = (name: string) => {
    const word = textOf(fieldsOf(receipt[name]).status)?.toLowerCase() ?? null;
    // SES says GRAY where there was nothing to check.
    return word === 'gray' ? 'none' : word === 'processing_failed' ? 'temperror' : word;
  };
  const mail = fieldsOf(told.mail);
  return readRawMail(Buffer.from(told.content, encoding), {
    providerMailId: textOf(mail.messageId),
    recipients: listOf(receipt.recipients).filter((one) => typeof one === 'string'),
    envelopeFrom: typeof mail.source === 'string' ? mail.source : null,
    authentication: authenticationOf('ses', {
      spf: verdict('spfVerdict'),
      dkim: verdict('dkimVerdict'),
      dmarc: verdict('dmarcVerdict'),
    }),
  });
}
