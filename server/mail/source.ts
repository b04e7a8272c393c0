import type { Db } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { CarrierEvents } from '../messages/index.ts';
import type { AppliedContext, AppliedWebhook, WebhookSource } from '../receipts/index.ts';
import { findSent, type SentMail } from './find-sent.ts';
import type { MailEvent, MailNews, MailWebhooks } from './provider.ts';
import { receiveMail } from './receive-mail.ts';

export interface MailParts {
  db: Db;
  secrets: Secrets;
  carrierEvents: CarrierEvents;
}

/** The webhooks of a mail provider, as the receipts take them. */
export function mailSource(parts: MailParts, webhooks: MailWebhooks): WebhookSource {
  return {
    name: `email.${webhooks.provider}`,
    provider: webhooks.provider,
    proofHeaders: webhooks.proofHeaders,
    verify: (webhook) => webhooks.verify(webhook),
    apply: async (webhook, context) =>
      applyNews(parts, webhooks.provider, await webhooks.read(webhook, context.businessIds), {
        ...context,
        receivedAt: webhook.receivedAt,
      }),
  };
}

/** Applies each thing for itself: what is wrong with one leaves the others alone. */
export async function applyNews(
  parts: MailParts,
  provider: string,
  news: readonly MailNews[],
  context: AppliedContext & { receivedAt: Date },
): Promise<AppliedWebhook> {
  const counts = { applied: 0, unreadable: 0 };
  const notes = new Set<string>();
  const events = news.flatMap((one) => (one.kind === 'event' ? [one.event] : []));
  counts.applied += await applyEvents(parts, provider, events, context, notes);
  for (const one of news) {
    if (one.kind === 'mail') {
      const outcome = await receiveMail(parts, one.mail, {
        provider,
        businessIds: context.businessIds,
        receiptId: context.receiptId,
        receivedAt: context.receivedAt,
        report: (reported) => applyEvents(parts, 'smtp', reported, context, notes),
      });
      if (outcome.state === 'applied') counts.applied += 1;
      else notes.add(outcome.why);
    } else if (one.kind !== 'event') {
      notes.add(one.why);
      if (one.kind === 'unreadable') counts.unreadable += 1;
    }
  }
  const state = counts.applied > 0 ? 'applied' : counts.unreadable > 0 ? 'unreadable' : 'ignored';
  const note = [...notes].slice(0, 10).join(' ');
  return { state, ...(note !== '' && { note }) };
}

/** @returns how many of them told something of a mail of ours */
async function applyEvents(
  { db, secrets, carrierEvents }: MailParts,
  provider: string,
  events: readonly MailEvent[],
  { businessIds, receiptId }: AppliedContext,
  notes: Set<string>,
): Promise<number> {
  const mails = await findSent(db, secrets, provider, businessIds, events);
  let applied = 0;
  for (const [i, event] of events.entries()) {
    const mail = mails[i];
    if (!mail) {
      notes.add('It is about a mail that Omega did not send.');
      continue;
    }
    const told = carrierEventOf(event, mail);
    if (!told) {
      notes.add('It is about a copy of the mail.');
      continue;
    }
    await carrierEvents.receive({
      ...told,
      provider,
      businessId: mail.businessId,
      messageId: mail.messageId,
      providerMessageId: providerIdOf(event, mail),
      occurredAt: event.occurredAt,
      eventKey: event.eventKey,
      receiptId,
      raw: {},
    });
    applied += 1;
  }
  return applied;
}

/**
 * The id by which the attempt is known that an event is about. A provider that took a mail by SMTP may have named it
 * after that alone: its own id is then none that we know, and the event is about the mail as it was last sent.
 */
function providerIdOf({ names }: MailEvent, mail: SentMail): string {
  const known = names.providerIds.find((id) => mail.providerIds.includes(id));
  return known ?? mail.providerIds[0] ?? names.providerIds[0] ?? names.mailId ?? mail.messageId;
}

type Told =
  | ({ kind: 'status' } & Omit<MailEvent['what'] & { kind: 'status' }, 'kind'>)
  | {
      kind: 'fact';
      fact: (MailEvent['what'] & { kind: 'fact' })['fact'];
      address?: string;
      byMachine?: boolean;
    };

/** A message's status is that of its one recipient; those who got a copy can only say what they want. */
function carrierEventOf({ what, recipient }: MailEvent, mail: SentMail): Told | null {
  const address = recipient?.includes('@') ? recipient.trim().toLowerCase() : null;
  const isCopy = address !== null && mail.toAddress !== null && address !== mail.toAddress;
  if (!isCopy) return what;
  if (what.kind === 'status' || what.fact === 'open' || what.fact === 'click') return null;
  return { ...what, address };
}
