import type { SendMailOptions } from 'nodemailer';
import type { OutgoingMail, OutgoingMessage } from '../../channels/index.ts';

/** A mail whose parts are all at hand. */
export interface ReadyMail {
  message: OutgoingMessage;
  mail: OutgoingMail;
  files: { filename: string; contentType: string; content: Buffer }[];
  /** Headers besides those of every mail. */
  headers: Record<string, string>;
  /** MAIL FROM: where bounces go. */
  envelopeFrom: string;
  date: Date;
}

/** Reads the files one after the other: before the carrier is called, since after it a failure would be a mail cut in two. */
export async function readFiles(mail: OutgoingMail): Promise<ReadyMail['files']> {
  const files: ReadyMail['files'] = [];
  for (const { filename, contentType, read } of mail.attachments)
    files.push({ filename, contentType, content: await read() });
  return files;
}

/**
 * RFC 2369 and RFC 8058: mail programs show a button that posts to this URL; nothing but a click does.
 * Nothing in the URL is a person's.
 */
export function unsubscribeHeaders(url: string | null): Record<string, string> {
  if (url === null) return {};
  return { 'List-Unsubscribe': `<${url}>`, 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' };
}

/**
 * The mail for nodemailer. Recipients are in the envelope alone, all of them; `bcc` is in nothing that is
 * written. Every address is an object, for text would be read as a list; no file or URL is ever opened.
 */
export function composeMail({
  message,
  mail,
  files,
  headers,
  envelopeFrom,
  date,
}: ReadyMail): SendMailOptions {
  return {
    envelope: { from: envelopeFrom, to: [message.to, ...mail.cc, ...mail.bcc] },
    from: { name: mail.fromName ?? '', address: message.from },
    to: [mailbox(message.to)],
    cc: mail.cc.map(mailbox),
    replyTo: mail.replyTo === null ? undefined : mailbox(mail.replyTo),
    subject: message.subject ?? '',
    messageId: `<${mail.mailId}>`,
    inReplyTo: mail.inReplyTo === null ? undefined : `<${mail.inReplyTo}>`,
    references: mail.references.map((mailId) => `<${mailId}>`),
    date,
    text: message.content,
    html: mail.html ?? undefined,
    // Base64 keeps every byte; as text the ends of its lines would be made equal.
    attachments: files.map((file) => ({
      ...file,
      contentDisposition: 'attachment' as const,
      contentTransferEncoding: 'base64' as const,
    })),
    // As they are: nodemailer would fold or encode a long one, and no program reads JSON or a URL in pieces.
    headers: Object.entries(headers).map(([key, value]) => ({ key, value: { prepared: true, value } })),
    // What comes back of it names it, and brings its headers along and not its words (RFC 3461).
    dsn: { envid: mail.mailId, ret: 'HDRS' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

const mailbox = (address: string) => ({ name: '', address });
