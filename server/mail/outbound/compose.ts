import type { SendMailOptions } from 'nodemailer';
import { encodeWord } from 'nodemailer/lib/mime-funcs';
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

/**
 * Reads the files one after the other, before anything is handed over: what cannot be read now is a mail that
 * nobody has got, where it would be a mail cut in two later.
 */
export async function readFiles(mail: OutgoingMail): Promise<ReadyMail['files'] | Error> {
  const files: ReadyMail['files'] = [];
  try {
    for (const { filename, contentType, read } of mail.attachments)
      files.push({ filename, contentType, content: await read() });
    return files;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
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
    from: { name: plainName(mail.fromName ?? ''), address: message.from },
    to: [mailbox(message.to)],
    cc: mail.cc.map(mailbox),
    replyTo: mail.replyTo === null ? undefined : mailbox(mail.replyTo),
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
    headers: [
      { key: 'Subject', value: subjectOf(message.subject ?? '') },
      ...Object.entries(headers).map(([key, value]) => ({ key, value: { prepared: true, value } })),
    ],
    // What comes back of it names it, and brings its headers along and not its words (RFC 3461).
    dsn: { envid: mail.mailId, ret: 'HDRS' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/**
 * Nodemailer lets through what looks like an encoded word (RFC 2047), and readers' programs decode it: line breaks
 * and further headers can hide in one. Such a subject is encoded as the text that it is.
 */
function subjectOf(subject: string) {
  if (!subject.includes('=?')) return subject;
  return { prepared: true, foldLines: true, value: encodeWord(subject, 'B', 52) };
}

/** The same in a name, which is the business's own: a blank more keeps it from being one. */
const plainName = (name: string) => name.replaceAll('=?', '= ?');

const mailbox = (address: string) => ({ name: '', address });
