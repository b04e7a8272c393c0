import { sql } from 'kysely';
import {
  type MailContent,
  mailIdOf,
  type OutgoingMail,
  type OutgoingMessage,
  type ReceivedMail,
  replyAddress,
  type ThreadMail,
  threadOf,
} from '../channels/index.ts';
import { consentVerdicts } from '../clients/index.ts';
import type { Db, Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Prepared } from './prepare.ts';

/** A mail's own columns of `messages`. */
export function mailColumns(mail: MailContent | undefined) {
  return {
    html: mail?.html ?? null,
    display_html: mail?.displayHtml ?? null,
    display_version: mail?.displayVersion ?? null,
    cc: JSON.stringify(mail?.cc ?? []),
    bcc: JSON.stringify(mail?.bcc ?? []),
    reply_to: mail?.replyTo ?? null,
    attachments: JSON.stringify(
      (mail?.attachments ?? []).map((file) => ({
        attachment_id: file.attachmentId,
        filename: file.filename,
        content_type: file.contentType,
        size: file.size,
        ...(file.contentId !== undefined && { content_id: file.contentId }),
      })),
    ),
    ...receivedColumns(mail?.received),
  };
}

function receivedColumns(received: ReceivedMail | undefined) {
  return {
    mail_id: received?.mailId ?? null,
    reply_text: received?.replyText ?? null,
    sender_authentication: received?.authentication ? JSON.stringify(received.authentication) : null,
  };
}

/**
 * Keeps the files' bytes, in the transaction of their messages. They cross to the database and back as
 * base64: PGlite's own way with binary values takes 0.3 s a megabyte, and this 0.01 s.
 */
export async function writeAttachments(tx: Tx, now: Date, all: Prepared[]): Promise<void> {
  // A statement for each: together those of one moment could be more than the database takes as one.
  for (const { draft, messageId } of all) {
    for (const file of draft.mail?.attachments ?? []) {
      await tx
        .insertInto('attachments')
        .values({
          business_id: draft.businessId,
          message_id: messageId,
          attachment_id: file.attachmentId,
          filename: file.filename,
          content_type: file.contentType,
          size: file.size,
          sha256: file.sha256,
          content: sql`decode(${file.content.toString('base64')}, 'base64')`,
          created_at: now,
        })
        .execute();
    }
  }
}

/** A mail as it was claimed: its files are named, their bytes still in the database. */
export type ClaimedMail = Omit<OutgoingMail, 'attachments'> & {
  attachments: { attachment_id: string; filename: string; content_type: string; size: number }[];
};

interface Mailed {
  business_id: number;
  message_id: string;
  channel: string;
  to_address: string;
  category: 'transactional' | 'marketing' | null;
}

/** A message taken for sending: its attempt is written down, and the carrier may be called. */
export interface ClaimedMessage extends Omit<OutgoingMessage, 'mail'> {
  /** Its files are named; whoever calls the carrier gives them their bytes ({@link withFiles}). */
  mail: ClaimedMail | null;
  provider: string;
  claimedAt: Date;
}

/** A thread is known by its last mails; `References` need not name all of a long one (RFC 5322, 3.6.4). */
const mailsOfThread = 20;

/**
 * What is sent of each mail among these messages. Nobody gets it twice, and whoever opted out gets no copy
 * either. By message id.
 */
export async function loadMail(
  tx: Tx | Db,
  messages: Mailed[],
  secrets: Secrets,
): Promise<Map<string, ClaimedMail>> {
  const mails = messages.filter((message) => message.channel === 'email');
  if (mails.length === 0) return new Map();
  const asked = mails.map((mail) => ({ b: mail.business_id, m: mail.message_id }));
  const { rows } = await sql<{
    message_id: string;
    from_name: string | null;
    html: string | null;
    cc: string[];
    bcc: string[];
    reply_to: string | null;
    attachments: ClaimedMail['attachments'];
    conversation_id: string;
    from_address: string;
    subject: string | null;
    mail_id: string | null;
    reply_domain: string | null;
    earlier: ThreadMail[] | null;
  }>`
    select m.message_id, s.name as from_name, m.html, m.cc, m.bcc, m.reply_to, m.attachments, m.conversation_id,
      m.from_address, m.subject, m.mail_id, s.reply_domain, t.earlier
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, m uuid)
    join messages m on m.business_id = w.b and m.message_id = w.m
    left join senders s on s.business_id = m.business_id and s.channel = m.channel and s.address = m.from_address
    cross join lateral (
      select jsonb_agg(jsonb_build_object('mailId', e.mail_id, 'subject', e.subject, 'inbound', e.direction = 'inbound')
        order by e.occurred_at, e.message_id) as earlier
      from (select mail_id, subject, direction, occurred_at, message_id from messages
        where business_id = m.business_id and conversation_id = m.conversation_id and channel = 'email'
          and mail_id is not null and message_id <> m.message_id and (direction = 'inbound' or sent_at is not null)
        order by occurred_at desc, message_id desc limit ${mailsOfThread}) e
    ) t`.execute(tx);
  const allowed = await mayGetCopies(
    tx,
    mails,
    new Map(rows.map((row) => [row.message_id, [...row.cc, ...row.bcc]])),
    secrets,
  );
  return new Map(
    rows.map((row) => {
      const { to_address, business_id, category } = mails.find((mail) => mail.message_id === row.message_id)!;
      const conversation = { businessId: business_id, conversationId: row.conversation_id };
      const taken = new Set([to_address]);
      const copies = (addresses: string[]) =>
        addresses.filter((address) => {
          if (taken.has(address) || !allowed.has(`${row.message_id} ${address}`)) return false;
          taken.add(address);
          return true;
        });
      return [
        row.message_id,
        {
          fromName: row.from_name,
          html: row.html,
          cc: copies(row.cc),
          bcc: copies(row.bcc),
          // What the caller asks for stands: the answer finds its conversation by In-Reply-To then.
          replyTo:
            row.reply_to ??
            (row.reply_domain === null ? null : replyAddress(conversation, row.reply_domain, secrets)),
          attachments: row.attachments,
          mailId: row.mail_id ?? mailIdOf(row.message_id, row.from_address, secrets),
          ...threadOf(row.subject, row.earlier ?? []),
          conversationId: row.conversation_id,
          category: category ?? 'transactional',
        },
      ];
    }),
  );
}

async function mayGetCopies(
  tx: Tx | Db,
  mails: Mailed[],
  copies: Map<string, string[]>,
  secrets: Secrets,
): Promise<Set<string>> {
  const questions = mails.flatMap((mail) =>
    (copies.get(mail.message_id) ?? []).map((address) => ({
      businessId: mail.business_id,
      channel: mail.channel,
      address,
      category: mail.category ?? ('transactional' as const),
      messageId: mail.message_id,
    })),
  );
  const verdicts = await consentVerdicts(tx, questions, secrets);
  return new Set(
    questions
      .filter((_, i) => verdicts[i]!.allowed)
      .map(({ messageId, address }) => `${messageId} ${address}`),
  );
}

/** The message as its carrier takes it: a file is read when the carrier comes to it, one after the other. */
export function withFiles(db: Db, message: ClaimedMessage): OutgoingMessage {
  const { businessId, messageId, mail } = message;
  if (!mail) return { ...message, mail };
  const attachments = mail.attachments.map((file) => ({
    filename: file.filename,
    contentType: file.content_type,
    size: file.size,
    read: async () => {
      const found = await readAttachment(db, businessId, messageId, file.attachment_id);
      if (!found) throw new Error(`The file ${file.attachment_id} of message ${messageId} is gone.`);
      return found.content;
    },
  }));
  return { ...message, mail: { ...mail, attachments } };
}

/** Takes the files of messages away whose content is gone. */
export async function forgetFiles(tx: Tx, businessId: number, messageIds: string[]): Promise<void> {
  await sql`delete from attachments where business_id = ${businessId} and message_id = any(${messageIds}::uuid[])`.execute(
    tx,
  );
}

/** Whether the business's message has this file. */
export async function hasAttachment(
  db: Db,
  businessId: number,
  messageId: string,
  attachmentId: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('attachments')
    .select('attachment_id')
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .where('attachment_id', '=', attachmentId)
    .executeTakeFirst();
  return row !== undefined;
}

/** A file's bytes and name, or null where the business's message has none such. */
export async function readAttachment(
  db: Db,
  businessId: number,
  messageId: string,
  attachmentId: string,
): Promise<{ filename: string; content: Buffer } | null> {
  const row = await db
    .selectFrom('attachments')
    .select(['filename', sql<string>`encode(content, 'base64')`.as('base64')])
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .where('attachment_id', '=', attachmentId)
    .executeTakeFirst();
  return row ? { filename: row.filename, content: Buffer.from(row.base64, 'base64') } : null;
}
