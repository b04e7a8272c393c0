import { type Attachment, type ParsedMail, simpleParser } from 'mailparser';

/** What one recipient's server did with a mail (RFC 3464, 2.3). */
export interface DsnRecipient {
  /** As we addressed it where the report says so, else as it was when it failed; lower case. */
  address: string;
  action: 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded';
  /** The enhanced status code (RFC 3463), such as `5.1.1`. */
  status: string | null;
  /** What the other server said, on one line, 1,000 characters at most. */
  diagnostic: string | null;
}

/** A delivery status notification (RFC 3464): a mail server's word on a mail of ours. Anybody can write one. */
export interface Dsn {
  /** The ENVID that we gave with the mail (RFC 3461): its Message-ID without brackets. */
  envelopeId: string | null;
  /** The Message-ID of the returned mail, without brackets. */
  mailId: string | null;
  /** The server that reports. */
  reportingMta: string | null;
  recipients: DsnRecipient[];
}

/** How a mail must be parsed so that its delivery status is still to be found in it. */
export const dsnParserOptions = { keepDeliveryStatus: true, ignoreEmbedded: true } as const;

/** Lists are expanded by their own servers, so a mail of ours has 101 recipients at most. */
const mostRecipients = 200;
/** A report is some kilobytes; what is behind them is somebody keeping us busy. */
const mostStatusBytes = 256 * 1024;

const statusTypes = new Set(['message/delivery-status', 'message/global-delivery-status']);
const returnedTypes = new Set([
  'message/rfc822',
  'message/global',
  'text/rfc822-headers',
  'message/global-headers',
]);
const actions = new Set(['failed', 'delayed', 'delivered', 'relayed', 'expanded']);

/**
 * Reads a delivery status notification; null for any other mail.
 *
 * @param mail its bytes, or what mailparser made of them with {@link dsnParserOptions}
 */
export async function readDsn(mail: Buffer | ParsedMail): Promise<Dsn | null> {
  const parsed = Buffer.isBuffer(mail) ? await simpleParser(mail, dsnParserOptions) : mail;
  const report = parsed.attachments.find((part) => statusTypes.has(part.contentType));
  if (!report || !isReport(parsed)) return null;
  const [ofMessage = [], ...ofRecipients] = fieldGroups(report.content.subarray(0, mostStatusBytes));
  const recipients = ofRecipients.slice(0, mostRecipients).flatMap((fields) => recipientOf(fields) ?? []);
  if (recipients.length === 0) return null;
  const returned = parsed.attachments.find((part) => returnedTypes.has(part.contentType));
  return {
    envelopeId: unbracketed(fieldOf(ofMessage, 'original-envelope-id')),
    mailId: returned ? mailIdOfReturned(returned) : null,
    reportingMta: typed(fieldOf(ofMessage, 'reporting-mta')),
    recipients,
  };
}

function isReport(mail: ParsedMail): boolean {
  const type = mail.headers.get('content-type');
  if (type === undefined || typeof type !== 'object' || !('value' in type)) return false;
  return typeof type.value === 'string' && type.value.toLowerCase() === 'multipart/report';
}

type Field = [name: string, value: string];

/** RFC 3464, 2.1: groups of header fields with empty lines between; the first is about the mail, one more for each recipient. */
function fieldGroups(bytes: Buffer): Field[][] {
  const groups = bytes
    .toString('utf8')
    .replaceAll(/\r\n?/g, '\n')
    .split(/\n[ \t]*\n/);
  return groups
    .map((group) =>
      group
        .replaceAll(/\n[ \t]+/g, ' ')
        .split('\n')
        .flatMap((line): Field[] => {
          const colon = line.indexOf(':');
          return colon > 0 ? [[line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]] : [];
        }),
    )
    .filter((fields) => fields.length > 0);
}

function fieldOf(fields: Field[], name: string): string | null {
  return fields.find(([its]) => its === name)?.[1] ?? null;
}

/** `rfc822; ana@example.com`, `smtp; 550 no such user`: the part after the type. */
function typed(value: string | null): string | null {
  if (value === null) return null;
  const text = value.slice(value.indexOf(';') + 1).trim();
  return text === '' ? null : text.slice(0, 1_000);
}

function recipientOf(fields: Field[]): DsnRecipient | null {
  const address = typed(fieldOf(fields, 'original-recipient')) ?? typed(fieldOf(fields, 'final-recipient'));
  const action = fieldOf(fields, 'action')?.toLowerCase() ?? '';
  if (address === null || !actions.has(action)) return null;
  return {
    address: address.replace(/^<(.*)>$/, '$1').toLowerCase(),
    action: action as DsnRecipient['action'],
    status: /^[245]\.\d{1,3}\.\d{1,3}/.exec(fieldOf(fields, 'status') ?? '')?.[0] ?? null,
    diagnostic: typed(fieldOf(fields, 'diagnostic-code')),
  };
}

/** The returned mail's own headers end at its first empty line; servers cut its body anywhere. */
function mailIdOfReturned(part: Attachment): string | null {
  const [headers = []] = fieldGroups(part.content.subarray(0, mostStatusBytes));
  return unbracketed(fieldOf(headers, 'message-id'));
}

function unbracketed(value: string | null): string | null {
  const text = value?.replace(/^<(.*)>$/, '$1').trim();
  return text ? text : null;
}
