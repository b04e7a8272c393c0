import type { AddressInfo, Socket } from 'node:net';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';
import { createByteBudget } from '../core/byte-budget.ts';
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
/** A mail is held in memory until it is kept: of all that come in at once so much. Beyond it servers come again. */
const usualHeldBytes = 3 * mostBytes;
const mostClients = 400;
/** One peer's connections, as many as mail servers open to one destination (Postfix: 20), keep nobody else out. */
const mostOfAddress = 20;
const idleMs = 60_000;
/** A connection ends after so long, whatever it says to stay: a mail of 36 MB takes less on a slow line. */
const usualLifeMs = 15 * 60_000;
const closeWithinMs = 5_000;

export interface SmtpOptions {
  host: string;
  port: number;
  /** PEM, for STARTTLS; none is offered without. */
  tls?: { cert: string; key: string };
  /** How long a connection may stay; a quarter of an hour unless told. */
  lifeMs?: number;
  /** Of mails that come in at once; three of the largest unless told. */
  heldBytes?: number;
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

  const held = createByteBudget(options.heldBytes ?? usualHeldBytes);
  /** Connections by the peer's address. */
  const open = new Map<string, number>();
  const counted = new Set<string>();

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

    onConnect({ id, remoteAddress }, done) {
      const ofAddress = (open.get(remoteAddress) ?? 0) + 1;
      if (ofAddress > mostOfAddress) {
        done(reply(421, '4.7.0 Too many connections from your address'));
        return;
      }
      counted.add(id);
      open.set(remoteAddress, ofAddress);
      done();
    },

    onClose({ id, remoteAddress }) {
      if (!counted.delete(id)) return;
      const left = open.get(remoteAddress)! - 1;
      if (left > 0) open.set(remoteAddress, left);
      else open.delete(remoteAddress);
    },

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
      let bytes = 0;
      let isFull = false;
      const giveBack = () => {
        held.giveBack(bytes);
        bytes = 0;
      };
      stream.on('data', (chunk: Buffer) => {
        if (stream.sizeExceeded || isFull) return;
        isFull = !held.has(chunk.length);
        if (isFull) return;
        held.take(chunk.length);
        bytes += chunk.length;
        chunks.push(chunk);
      });
      stream.on('error', (error: Error) => done(error));
      // Also where the connection breaks in the middle of it.
      stream.on('close', () => {
        if (!stream.readableEnded) giveBack();
      });
      stream.on('end', () => {
        if (stream.sizeExceeded || isFull) {
          giveBack();
          done(
            stream.sizeExceeded
              ? reply(552, '5.3.4 The mail is too large')
              : reply(452, '4.3.1 Too much mail at once, try again later'),
          );
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
          .finally(giveBack)
          .then(
            ({ receiptId }) => done(null, `2.0.0 Kept as ${receiptId}`),
            (error) => done(later(error)),
          );
      });
    },
  });
  server.server.on('connection', (socket: Socket) => {
    const life = setTimeout(() => socket.destroy(), options.lifeMs ?? usualLifeMs).unref();
    socket.once('close', () => clearTimeout(life));
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
