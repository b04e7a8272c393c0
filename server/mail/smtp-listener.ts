import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import type { Log } from '../core/log.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Receipts, WebhookSource } from '../receipts/index.ts';
import { businessesOfRecipients } from './candidates.ts';
import { readRawMail } from './inbound/raw-mail.ts';
import { applyNews, type MailParts } from './source.ts';

/** What large mail providers take, with base64's third on top. */
const mostBytes = 36 * 1024 * 1024;
const mostRecipients = 100;
/** A mail is held in memory until it is kept. */
const mostClients = 20;
const idleMs = 60_000;
const closeWithinMs = 5_000;

export interface SmtpOptions {
  host: string;
  port: number;
  /** PEM, for STARTTLS; none is offered without. */
  tls?: { cert: string; key: string };
}

/** Takes mail in by SMTP, for those whose MX, or whose mail server, leads here. */
export interface SmtpListener {
  /** @returns the port */
  listen(): Promise<number>;
  close(): Promise<void>;
}

const sourceName = 'email.smtp';

/**
 * Mail as a mail server hands it over (RFC 5321). Only for addresses that are a business's sender or a reply
 * address of ours; 250 says that the mail is in the database, and whatever the database cannot do now is 451,
 * for which every mail server comes again.
 */
export function createSmtpListener(
  parts: { db: Db; secrets: Secrets; clock: Clock; log: Log; receipts: Receipts },
  options: SmtpOptions,
): SmtpListener {
  const { clock, log, receipts } = parts;
  const later = (error: unknown) => {
    log.error({ err: error }, 'a mail could not be taken in; its server comes again');
    return reply(451, '4.3.0 Try again later');
  };

  const server = new SMTPServer({
    ...options.tls,
    size: mostBytes,
    maxClients: mostClients,
    socketTimeout: idleMs,
    closeTimeout: closeWithinMs,
    banner: 'Omega',
    disabledCommands: options.tls ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    // The name of whoever connects is not asked of DNS: it is of no use here, and holds up the greeting.
    disableReverseLookup: true,

    async onRcptTo({ address }, session, done) {
      try {
        if (session.envelope.rcptTo.length >= mostRecipients) {
          done(reply(452, '4.5.3 Too many recipients'));
          return;
        }
        const known = await businessesOfRecipients(parts, [address.toLowerCase()]);
        done(known.length > 0 ? null : reply(550, '5.1.1 There is no such mailbox here'));
      } catch (error) {
        done(later(error));
      }
    },

    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        if (!stream.sizeExceeded) chunks.push(chunk);
      });
      stream.on('error', (error: Error) => done(error));
      stream.on('end', () => {
        if (stream.sizeExceeded) {
          done(reply(552, '5.3.4 The mail is too large'));
          return;
        }
        receipts
          .receive(sourceName, {
            method: 'SMTP',
            url: 'smtp:',
            headers: headersOf(session),
            body: Buffer.concat(chunks),
            ip: session.remoteAddress,
            receivedAt: new Date(clock.now()),
          })
          .then(
            ({ receiptId }) => done(null, `2.0.0 Kept as ${receiptId}`),
            (error) => done(later(error)),
          );
      });
    },
  });
  // Whoever breaks off, or speaks no SMTP.
  server.on('error', (error) => log.debug({ err: error }, 'an SMTP connection ended'));

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(options.port, options.host, () => {
          server.off('error', reject);
          resolve((server.server.address() as AddressInfo).port);
        });
      }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** The envelope, as the receipt keeps it beside the mail. */
function headersOf({ envelope, remoteAddress, clientHostname }: SMTPServerSession): Record<string, string> {
  return {
    'mail-from': envelope.mailFrom ? envelope.mailFrom.address : '',
    'rcpt-to': JSON.stringify(envelope.rcptTo.map(({ address }) => address)),
    'remote-address': remoteAddress,
    helo: clientHostname ?? '',
  };
}

/** What the listener keeps: nobody can post it, so it is believed for whom its recipients name. */
export function smtpSource(parts: MailParts): WebhookSource {
  const recipientsOf = (headers: Record<string, string>): string[] => JSON.parse(headers['rcpt-to'] ?? '[]');
  return {
    name: sourceName,
    provider: 'smtp',
    proofHeaders: ['rcpt-to', 'mail-from'],

    async verify({ headers }) {
      const recipients = recipientsOf(headers).map((address) => address.toLowerCase());
      const businessIds = await businessesOfRecipients(parts, recipients);
      return businessIds.length > 0
        ? { kind: 'believed', businessIds }
        : { kind: 'doubted', reason: 'None of its recipients is known here.', businessId: null };
    },

    async apply({ headers, body, receivedAt }, context) {
      const news = await readRawMail(body, {
        recipients: recipientsOf(headers),
        envelopeFrom: headers['mail-from'] ?? null,
      });
      return applyNews(parts, 'smtp', [news], { ...context, receivedAt });
    },
  };
}
