import { Fault, type FieldFault } from '../../core/fault.ts';
import { type Attachment, readAttachments } from './attachments.ts';
import { htmlOfText, textOfHtml, wordsOfHtml } from './derive.ts';
import { cleanHeader, headerFault, readMailbox } from './headers.ts';
import { replyOf } from './reply.ts';
import { sanitiseHtml, sanitiserVersion, TooMuchHtml } from './sanitise.ts';

/** What a mail has beside its words, subject and the two addresses. Kept with its message. */
export interface MailContent {
  /** As received, or derived from the text; null where there is none. Never shown as it is. */
  html: string | null;
  /** `html` as it may be shown, by the rules of `displayVersion`. */
  displayHtml: string | null;
  displayVersion: number | null;
  cc: string[];
  bcc: string[];
  replyTo: string | null;
  attachments: Attachment[];
  /** What a received one brings besides. */
  received?: ReceivedMail;
}

/** What is known of a mail because of the way that it came. */
export interface ReceivedMail {
  /** Its Message-ID without brackets. */
  mailId: string | null;
  /** What the sender wrote now, without the quoted tail; null where that is all of it. */
  replyText: string | null;
  authentication: SenderAuthentication | null;
}

/** What the receiving server found out about the sender, in its own words (`pass`, `fail`, `none`, …; RFC 8601). */
export interface SenderAuthentication {
  spf: string | null;
  dkim: string | null;
  dmarc: string | null;
  /** Who says so: a provider, or a server's name. */
  by: string | null;
}

/** A mail as a caller writes it; its sizes are checked by the schema. */
export interface MailInput {
  to?: string;
  from?: string;
  subject?: string;
  text?: string;
  html?: string;
  cc?: string[];
  bcc?: string[];
  reply_to?: string;
  attachments?: { filename: string; content_type: string; content: string }[];
}

/** 1 MB of text or of HTML, in UTF-8. */
export const mostBodyBytes = 1024 * 1024;

/**
 * Reads a caller's mail. Nothing in it can add a header or a recipient: each address is exactly one,
 * and no header's text holds a line break.
 *
 * @param derive `both`: a mail that will be sent gets its text or HTML from the other; `text`: one that
 *   was sent by another system is kept as it was, save that its words are always there to read and search
 * @throws 422 with every fault, each naming its field
 */
export function readMail(input: MailInput, derive: 'both' | 'text'): { content: string; mail: MailContent } {
  const faults: FieldFault[] = [];
  const note = (fault: FieldFault | null) => {
    if (fault) faults.push(fault);
  };
  const mailbox = (path: string, value: string): string => {
    const read = readMailbox(path, value);
    if ('email' in read) return read.email;
    faults.push(read.fault);
    return '';
  };
  for (const field of ['to', 'from'] as const) {
    if (input[field] !== undefined) mailbox(field, input[field]);
  }
  if (input.subject !== undefined) note(headerFault('subject', input.subject));
  const list = (field: 'cc' | 'bcc') => [
    ...new Set((input[field] ?? []).map((value, i) => mailbox(`${field}.${i}`, value))),
  ];
  const cc = list('cc');
  const bcc = list('bcc');
  const replyTo = input.reply_to === undefined ? null : mailbox('reply_to', input.reply_to);
  for (const field of ['text', 'html'] as const) {
    if (Buffer.byteLength(input[field] ?? '') > mostBodyBytes)
      note({ path: field, message: 'must have 1 MB or less', code: 'too_long' });
  }
  const given = input.attachments ?? [];
  if (input.text === undefined && input.html === undefined && (derive === 'both' || given.length === 0))
    note({ path: 'text', message: 'is required (or `html`)', code: 'required' });
  else if (derive === 'both' && input.text === '' && input.html === undefined && given.length === 0)
    note({ path: 'text', message: 'must not be empty in a mail of nothing else', code: 'too_short' });
  const { attachments, faults: ofFiles } = readAttachments(given);
  faults.push(...ofFiles);
  const display = input.html === undefined || faults.length > 0 ? null : cleaned(input.html);
  if (display === tooMuch)
    note({
      path: 'html',
      message: 'has more than 20,000 elements, or nests them deeper than 500',
      code: 'invalid_value',
    });
  if (faults.length > 0) {
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
    throw new Fault('invalid_parameters', `${faults[0]!.path}: ${faults[0]!.message}${more}`, {
      errors: faults,
    });
  }
  // Of what may be shown, so that no address that was taken out of a link comes back as text.
  const content = input.text ?? textOfHtml((display as string | null) ?? '');
  const html = input.html ?? (derive === 'both' ? htmlOfText(content) : null);
  // What was made of a text of 20,000 lines is sent, and shown as the text.
  const derived = display === null && html !== null ? cleaned(html) : display;
  const displayHtml = derived === tooMuch ? null : (derived as string | null);
  return { content, mail: { ...mailOf(html, displayHtml), cc, bcc, replyTo, attachments } };
}

/**
 * A mail that a carrier brings. It is somebody else's, so it is taken as it is: its subject on one line,
 * its words from the HTML where it has no text. HTML that is too much to clean is kept and not shown.
 */
export function receiveMail(input: { subject: string | null; text: string; html: string | null }): {
  subject: string | null;
  content: string;
  mail: MailContent;
} {
  const display = input.html === null ? null : cleaned(input.html);
  const isTooMuch = display === tooMuch;
  let content = input.text;
  if (content === '' && input.html !== null)
    content = isTooMuch ? wordsOfHtml(input.html) : textOfHtml(display as string);
  return {
    subject: input.subject === null ? null : cleanHeader(input.subject),
    content,
    mail: {
      ...mailOf(input.html, isTooMuch ? null : display),
      received: { mailId: null, replyText: replyOf(content), authentication: null },
    },
  };
}

const tooMuch = Symbol('too much HTML');

function cleaned(html: string): string | typeof tooMuch {
  try {
    return sanitiseHtml(html);
  } catch (error) {
    if (error instanceof TooMuchHtml) return tooMuch;
    throw error;
  }
}

function mailOf(html: string | null, displayHtml: string | null): MailContent {
  const displayVersion = displayHtml === null ? null : sanitiserVersion;
  return { html, displayHtml, displayVersion, cc: [], bcc: [], replyTo: null, attachments: [] };
}

/** The HTML to show of a kept mail: cleaned when it was written, and again where the rules have changed. */
export function displayHtmlOf(row: {
  display_html: string | null;
  display_version: number | null;
}): string | null {
  if (row.display_html === null || row.display_version === sanitiserVersion) return row.display_html;
  const display = cleaned(row.display_html);
  return display === tooMuch ? null : display;
}
