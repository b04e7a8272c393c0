import { type HeaderValue, type ParsedMail, simpleParser } from 'mailparser';
import type { SenderAuthentication } from '../../channels/index.ts';
import { dsnParserOptions, readDsn } from '../dsn.ts';
import { type IncomingFile, type IncomingMail, type MailNews, unreadable } from '../provider.ts';
import { authenticationResults } from './authentication.ts';
import { type HeaderList, headerList } from './headers.ts';

const parserOptions = {
  ...dsnParserOptions,
  // Each of these is a second reading of the same text; ours is bounded, and made when it is shown.
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
};

/** What the provider says of a mail beside its bytes. */
export interface Envelope {
  providerMailId?: string | null;
  recipients?: readonly string[];
  envelopeFrom?: string | null;
  authentication?: SenderAuthentication | null;
}

/** Files in base64 have 500,000 in the largest mail that is taken; the parser needs a second for three million empty ones. */
const mostLines = 1_000_000;

/**
 * Reads a mail's bytes (RFC 5322, MIME). What is broken in it is read as well as can be; only what is made to
 * exhaust a parser (thousands of parts, megabytes of headers, millions of lines) is unreadable.
 */
export async function readRawMail(raw: Buffer, envelope: Envelope): Promise<MailNews> {
  if (hasMoreLines(raw, mostLines)) return unreadable(`The mail has more than ${mostLines} lines.`);
  let parsed: ParsedMail;
  try {
    parsed = await simpleParser(raw, parserOptions);
  } catch (error) {
    return unreadable(`The mail cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { kind: 'mail', mail: await mailOf(parsed, envelope) };
}

function hasMoreLines(raw: Buffer, most: number): boolean {
  let lines = 0;
  for (const byte of raw) if (byte === 0x0a && ++lines > most) return true;
  return false;
}

async function mailOf(parsed: ParsedMail, envelope: Envelope): Promise<IncomingMail> {
  const headers = headersOf(parsed.headerLines, parsed.headers);
  const dsn = await readDsn(parsed);
  return {
    providerMailId: envelope.providerMailId ?? null,
    recipients: envelope.recipients ?? [],
    envelopeFrom: envelope.envelopeFrom ?? null,
    headers,
    subject: parsed.subject ?? null,
    text: parsed.text ?? '',
    html: typeof parsed.html === 'string' ? parsed.html : null,
    files: parsed.attachments.map(
      (file): IncomingFile => ({
        filename: file.filename ?? null,
        contentType: file.contentType,
        content: file.content,
        contentId: file.cid ?? null,
      }),
    ),
    authentication: envelope.authentication ?? authenticationResults(headers),
    dsn,
  };
}

/** Raw lines for what has a grammar of its own; the parser's reading where words are encoded. */
function headersOf(
  lines: readonly { key: string; line: string }[],
  decoded: ReadonlyMap<string, HeaderValue>,
): HeaderList {
  return headerList(
    lines.map(({ key, line }) => {
      const value = decoded.get(key);
      const text = typeof value === 'string' ? value : line.slice(line.indexOf(':') + 1);
      return [key, text] as const;
    }),
  );
}

/** Characters; a mail's headers are some thousands. */
const mostHeaderText = 256 * 1024;

/** A block of raw headers, as SendGrid posts them: the same reading as of a whole mail. */
export async function readRawHeaders(block: string): Promise<HeaderList> {
  const parsed = await simpleParser(`${block.slice(0, mostHeaderText).trimEnd()}\r\n\r\n`, parserOptions);
  return headersOf(parsed.headerLines, parsed.headers);
}
