import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import {
  type Attachment,
  mostAttachmentBytes,
  mostBodyBytes,
  readContentType,
  safeFilename,
} from '../channels/index.ts';
import type { Db } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import type { CarrierEvents } from '../messages/index.ts';
import { businessesOfRecipients, withoutTag } from './candidates.ts';
import type { DsnRecipient } from './dsn.ts';
import { timeOf } from './fields.ts';
import { readReplyAddress } from './ids.ts';
import { isAutomatic, loopOf } from './inbound/automatic.ts';
import { addressesOf, headerOf, mailboxesOf, mailIdOfHeaders, referencesOf } from './inbound/headers.ts';
import type { IncomingFile, IncomingMail, MailEvent } from './provider.ts';

/** What came of a mail. */
export type MailOutcome = { state: 'applied' } | { state: 'ignored'; why: string };

const mostFiles = 100;

/** Whom a mail is for: a business, with its own address and the conversation that the reply address names. */
interface Target {
  businessId: number;
  /** Empty where only a reply address names the business: then its usual sender. */
  ownAddress: string;
  conversationId: string | null;
}

/**
 * Takes in a mail that somebody sent to these businesses: once for each that it is for. A report on a mail of ours
 * goes to that mail instead; what goes round in a circle, and what we sent ourselves, goes nowhere.
 */
export async function receiveMail(
  parts: { db: Db; secrets: Secrets; carrierEvents: CarrierEvents },
  mail: IncomingMail,
  context: {
    provider: string;
    businessIds: readonly number[];
    receiptId: string;
    receivedAt: Date;
    /** Applies what a delivery status notification reports. @returns how many mails of ours it is about */
    report(events: MailEvent[]): Promise<number>;
  },
): Promise<MailOutcome> {
  const { db, secrets, carrierEvents } = parts;
  const { provider, businessIds, receiptId } = context;
  if (mail.dsn) {
    const reported = await context.report(dsnEvents(mail, mail.dsn.recipients));
    return reported > 0
      ? { state: 'applied' }
      : { state: 'ignored', why: 'It is a delivery report about no mail of ours.' };
  }
  const loop = loopOf(mail, secrets);
  if (loop !== null) return { state: 'ignored', why: loop };
  const sender = senderOf(mail);
  if (sender === null) return { state: 'ignored', why: 'It names nobody who wrote it.' };
  const targets = await targetsOf(parts, mail, businessIds);
  if (targets.length === 0)
    return { state: 'ignored', why: `It is for no sender of business ${businessIds.join(', ')}.` };

  const from = sender.address;
  const own = await ownSenders(db, businessIds, [from]);
  const { files, leftOut, text, html } = contentsOf(mail);
  const id = mail.providerMailId ?? keyOf(mail, from);
  let taken = 0;
  for (const { businessId, ownAddress, conversationId } of targets) {
    if (own.some((sender) => sender.business_id === businessId)) continue;
    taken += 1;
    await carrierEvents.receive(
      {
        kind: 'inbound',
        provider,
        businessId,
        raw: {},
        receiptId,
        providerMessageId: id,
        eventKey: `inbound ${id}`,
        channel: 'email',
        from,
        to: ownAddress,
        subject: mail.subject,
        content: text,
        html,
        autoReply: isAutomatic(mail),
        mail: {
          fromName: sender.name,
          mailId: mailIdOfHeaders(mail.headers),
          cc: addressesOf(mail.headers, 'cc').slice(0, 50),
          replyTo: replyToOf(mail, from),
          references: referencesOf(mail.headers),
          conversationId,
          authentication: mail.authentication,
          files: files.length,
          filesLeftOut: leftOut,
        },
        mediaUrls: [],
        // The sender's clock may be anything; the order of a conversation is that in which it came to us.
        occurredAt: context.receivedAt.toISOString(),
        requestId: null,
      },
      files,
    );
  }
  return taken > 0
    ? { state: 'applied' }
    : { state: 'ignored', why: "It is from the business's own address." };
}

/** Of a person's name, where one gives it: not an address in its place, nothing invisible, 200 characters. */
function senderOf(mail: IncomingMail): { address: string; name: string | null } | null {
  const [from] = mailboxesOf(mail.headers, 'from', 'sender');
  if (!from) return mail.envelopeFrom ? { address: mail.envelopeFrom.toLowerCase(), name: null } : null;
  const name = from.name
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  const isName = name !== '' && name.length <= 200 && !name.includes('@');
  return { address: from.address, name: isName ? name : null };
}

function replyToOf(mail: IncomingMail, from: string): string | null {
  const [address] = addressesOf(mail.headers, 'reply-to');
  return address === undefined || address === from ? null : address;
}

/** One mail is one message, by whatever way and however often it comes; a Message-ID alone may be used twice. */
function keyOf(mail: IncomingMail, from: string): string {
  const parts = [
    mailIdOfHeaders(mail.headers),
    from,
    headerOf(mail.headers, 'date'),
    mail.subject,
    mail.text,
    mail.html,
  ];
  return `mail-${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;
}

/**
 * The envelope says whom a mail is for; its headers do where a forwarding left only them. A mail to an address
 * that is nobody's at all (a catch-all) is for the business that the webhook belongs to, if that is one.
 */
async function targetsOf(
  parts: { db: Db; secrets: Secrets },
  mail: IncomingMail,
  businessIds: readonly number[],
): Promise<Target[]> {
  const { db, secrets } = parts;
  const addresses = [
    ...mail.recipients.map((one) => one.toLowerCase()),
    ...addressesOf(mail.headers, 'delivered-to', 'x-original-to', 'to', 'cc'),
  ];
  // Another business's mail, by a provider's account that this one happens to own, is not for this one to read.
  const isNobodys = async (all: readonly string[]) => (await businessesOfRecipients(parts, all)).length === 0;
  const targets = new Map<number, Target>();
  const target = (businessId: number): Target => {
    const found = targets.get(businessId) ?? { businessId, ownAddress: '', conversationId: null };
    targets.set(businessId, found);
    return found;
  };
  for (const address of addresses) {
    const reply = readReplyAddress(address, secrets);
    if (reply && businessIds.includes(reply.businessId))
      target(reply.businessId).conversationId ??= reply.conversationId;
  }
  const senders = await ownSenders(db, businessIds, addresses.map(withoutTag));
  // In the order of the mail's addresses: the envelope's first.
  for (const address of addresses.map(withoutTag)) {
    for (const sender of senders.filter((one) => one.address === address)) {
      const its = target(sender.business_id);
      if (its.ownAddress === '') its.ownAddress = address;
    }
  }
  if (targets.size === 0 && businessIds.length === 1 && (await isNobodys(addresses))) target(businessIds[0]!);
  return [...targets.values()];
}

/** Of an address that one uses and another removed, the one's; one that nobody uses is still who had it last. */
async function ownSenders(
  db: Db,
  businessIds: readonly number[],
  addresses: readonly string[],
): Promise<{ business_id: number; address: string }[]> {
  if (addresses.length === 0) return [];
  const { rows } = await sql<{ business_id: number; address: string }>`
    select s.business_id, s.address from senders s where s.channel = 'email'
      and s.business_id = any(${[...businessIds]}::bigint[]) and s.address = any(${[...addresses]}::text[])
      and (s.active or not exists (
        select 1 from senders o where o.channel = 'email' and o.address = s.address and o.active))`.execute(
    db,
  );
  return rows;
}

/** What is kept of a mail: its words up to 1 MB (the whole is a file then), and files up to 25 MB in all. */
function contentsOf(mail: IncomingMail): {
  text: string;
  html: string | null;
  files: Attachment[];
  leftOut: number;
} {
  const given: IncomingFile[] = [...mail.files];
  const asFile = (filename: string, contentType: string, text: string) =>
    given.push({ filename, contentType, content: Buffer.from(text), contentId: null });
  let { text, html } = mail;
  if (Buffer.byteLength(text) > mostBodyBytes) {
    asFile('message.txt', 'text/plain', text);
    // A cut within a character leaves a half of it, which is no text.
    text = Buffer.from(text)
      .subarray(0, mostBodyBytes)
      .toString('utf8')
      .replace(/\uFFFD$/, '');
  }
  if (html !== null && Buffer.byteLength(html) > mostBodyBytes) {
    asFile('message.html', 'text/html', html);
    html = null;
  }
  const files: Attachment[] = [];
  let room = mostAttachmentBytes;
  for (const file of given) {
    if (files.length === mostFiles || file.content.length > room) continue;
    room -= file.content.length;
    files.push(attachmentOf(file));
  }
  return { text, html, files, leftOut: given.length - files.length };
}

function attachmentOf(file: IncomingFile): Attachment {
  return {
    attachmentId: newId(),
    filename: safeFilename(file.filename ?? 'attachment'),
    contentType: readContentType(file.contentType) ?? 'application/octet-stream',
    size: file.content.length,
    sha256: createHash('sha256').update(file.content).digest('hex'),
    content: file.content,
    // What could not stand in the HTML as `cid:` is no name of an image.
    ...(file.contentId !== null &&
      /^[\x21-\x7e]{1,250}$/.test(file.contentId) && { contentId: file.contentId }),
  };
}

/** RFC 3464: what became of a mail, for each of its recipients. */
function dsnEvents(mail: IncomingMail, recipients: readonly DsnRecipient[]): MailEvent[] {
  const { dsn } = mail;
  const key = keyOf(mail, 'dsn');
  return recipients.flatMap((recipient, i): MailEvent[] => {
    const status =
      recipient.action === 'failed'
        ? ('undelivered' as const)
        : recipient.action === 'delayed'
          ? ('sending' as const)
          : recipient.action === 'delivered'
            ? ('delivered' as const)
            : null;
    if (status === null || !dsn) return [];
    const failed = status === 'undelivered';
    return [
      {
        eventKey: `${key} ${i}`,
        names: { metadata: null, mailId: dsn.mailId ?? dsn.envelopeId, providerIds: [] },
        recipient: recipient.address,
        occurredAt: timeOf(headerOf(mail.headers, 'date')),
        what: {
          kind: 'status',
          status,
          providerStatus: recipient.action,
          errorCode: failed ? (recipient.status ?? '5.0.0') : null,
          errorMessage: failed ? recipient.diagnostic : null,
        },
      },
    ];
  });
}
