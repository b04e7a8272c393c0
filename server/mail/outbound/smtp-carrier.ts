import type { Readable } from 'node:stream';
import {
  createTransport,
  type SendMailOptions,
  type SMTPPoolOptions,
  type SMTPSentMessageInfo,
} from 'nodemailer';
import { accountOf } from '../../businesses/index.ts';
import {
  type Carrier,
  type CarrierAccount,
  type OutgoingMessage,
  type Problem,
  replyAddress,
  type SendOutcome,
} from '../../channels/index.ts';
import type { Clock } from '../../core/clock.ts';
import { type Secrets, withoutSecrets } from '../../core/secrets.ts';
import { composeMail, readFiles, unsubscribeHeaders } from './compose.ts';
import { checkDomains, type DomainLookup } from './domain-checks.ts';
import { providerHeaders, type SmtpProvider } from './provider-headers.ts';
import { outcomeOfFailure, outcomeOfSent, type SmtpFailure } from './smtp-outcome.ts';
import { readSmtpUrl, type SmtpServer } from './smtp-url.ts';
import { unsubscribeUrl } from './unsubscribe-link.ts';

export interface MailCarrierOptions {
  clock: Clock;
  secrets: Secrets;
  /** Where readers reach the API: the public URL with the base path. */
  apiUrl: string;
  domains: DomainLookup;
}

/** As it is in `providers.smtp`. */
interface SmtpAccount {
  url: string;
  bounce_domain?: string;
  headers?: Record<string, string>;
}

/** Connections of an account, while it has mail to send. */
interface Pool {
  transport: ReturnType<typeof openPool>;
  idle: NodeJS.Timeout;
}

/** An account's connections are closed when it has had nothing to send for so long: servers count them. */
const idleMs = 30_000;
/** For a connection to be there, of the caller's own deadline. */
const connectMs = 10_000;
/** For a mail's turn: one that begins late would be broken off in the middle, and then nobody knew. */
const mostWaitMs = 5_000;
/** Many providers take no more at a time from one account (SES in its sandbox: one message a second). */
const mostConnections = 5;

/** Sends mail by SMTP with the account `providers.smtp`, whichever provider's server that is. */
export function createSmtpCarrier(provider: SmtpProvider, options: MailCarrierOptions): Carrier {
  const { clock, secrets, apiUrl } = options;
  const pools = new Map<string, Pool>();

  function poolOf(businessId: number, url: string, server: SmtpServer): Pool['transport'] {
    // Two businesses never share a connection, even to one account: what one did to it must not fail the other.
    const key = `${businessId} ${url}`;
    const open = pools.get(key);
    if (open) {
      open.idle.refresh();
      return open.transport;
    }
    const transport = openPool(server);
    const close = () => {
      pools.delete(key);
      transport.close();
    };
    pools.set(key, { transport, idle: setTimeout(close, idleMs + connectMs).unref() });
    return transport;
  }

  async function send(
    message: OutgoingMessage,
    account: CarrierAccount,
    signal: AbortSignal,
  ): Promise<SendOutcome> {
    const { mail } = message;
    if (!mail) return refused('invalid_request', `${provider} sends mail alone, and this is no mail.`);
    if (!account) return refused('account_config', noAccount(provider));
    const { url, bounce_domain, headers } = account as unknown as SmtpAccount;
    const server = readSmtpUrl(url);
    if ('problem' in server) return refused('account_config', `providers.smtp.url ${server.problem}`);
    const files = await readFiles(mail);
    if (files instanceof Error) return refused('internal', files.message);
    const handedOver: { bytes?: Readable } = {};
    const tooLate = new AbortController();
    const conversation = { businessId: message.businessId, conversationId: mail.conversationId };
    const composed = composeMail({
      message,
      mail,
      files,
      headers: {
        ...unsubscribeHeaders(
          mail.category === 'marketing' ? unsubscribeUrl(message, apiUrl, secrets) : null,
        ),
        ...providerHeaders[provider](message),
        ...headers,
      },
      envelopeFrom:
        bounce_domain === undefined ? message.from : replyAddress(conversation, bounce_domain, secrets),
      date: new Date(clock.now()),
    });
    const wait = setTimeout(() => {
      if (!handedOver.bytes) tooLate.abort();
    }, mostWaitMs);
    try {
      const info = await poolOf(message.businessId, url, server).sendMail({
        ...composed,
        signal: AbortSignal.any([signal, tooLate.signal]),
        handedOver,
      } as SendMailOptions);
      return outcomeOfSent(info, message.to, namesOf(provider, mail.mailId, info));
    } catch (error) {
      if (tooLate.signal.aborted)
        return refused('timeout', `The mail server had no free connection within ${mostWaitMs / 1000} s.`);
      const failure = withoutPassword(error as SmtpFailure, server);
      return outcomeOfFailure(failure, handedOver.bytes?.readableDidRead ?? false);
    } finally {
      clearTimeout(wait);
    }
  }

  return {
    provider,
    channels: ['email'],
    account: accountOf(provider),
    send,

    // SMTP has no question for it. An event or a bounce settles it; else it is shown, and never sent again by itself.
    find: () =>
      Promise.resolve({ kind: 'unknown', detail: 'A mail server cannot be asked whether it took a mail.' }),

    async check(account, senders, signal) {
      if (!account) return [problem(noAccount(provider), 'Send providers.smtp with the onboarding again.')];
      const { url } = account as unknown as SmtpAccount;
      const server = readSmtpUrl(url);
      if ('problem' in server)
        return [
          problem(`providers.smtp.url ${server.problem}`, 'Correct it, and post the onboarding again.'),
        ];
      return [
        ...(await checkServer(server, signal)),
        ...(await checkDomains(senders, options.domains, signal)),
      ];
    },

    close() {
      for (const { transport, idle } of pools.values()) {
        clearTimeout(idle);
        transport.close({ force: true });
      }
      pools.clear();
    },
  };
}

/** The provider's id of the mail, and its Message-ID where it is the provider's. */
function namesOf(provider: SmtpProvider, mailId: string, info: SMTPSentMessageInfo) {
  // "250 Ok 0100018b…": the id that SES' events bring, and the local part of the Message-ID that it sets.
  const [, sesId] = provider === 'ses' ? (/^250 Ok ([0-9a-f-]{20,100})\s*$/i.exec(info.response) ?? []) : [];
  return {
    providerMessageId: sesId ?? mailId,
    ...(info.serverMessageId && { mailId: info.serverMessageId.replace(/^<(.*)>$/, '$1') }),
  };
}

function openPool(server: SmtpServer) {
  const transport = createTransport({
    ...connectionOf(server),
    pool: true,
    maxConnections: mostConnections,
    idleTimeout: idleMs,
    // A connection that ends is never a reason to send again unasked: only what is known not to be handed over is.
    maxRequeues: 0,
  } satisfies SMTPPoolOptions & { pool: true });
  // Notes the stream of the mail's bytes. Nodemailer reads from it once the server has said 354, and not before.
  transport.use('stream', (mail, done) => {
    const note = (mail.data as { handedOver?: { bytes?: Readable } }).handedOver;
    const make = mail.message.createReadStream.bind(mail.message);
    mail.message.createReadStream = (options) => {
      const bytes = make(options);
      if (note) note.bytes = bytes;
      return bytes;
    };
    done();
  });
  return transport;
}

function connectionOf(server: SmtpServer) {
  return {
    host: server.host,
    port: server.port,
    secure: server.tls === 'from_start',
    requireTLS: server.tls === 'starttls',
    ignoreTLS: server.tls === 'off',
    tls: { rejectUnauthorized: server.verified, minVersion: 'TLSv1.2' as const },
    ...(server.user !== null && { auth: { user: server.user, pass: server.password ?? '' } }),
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: 2 * idleMs,
    socketCloseTimeout: 1_000,
    maxResponseSize: 64 * 1024,
    // Its log has addresses, and in debugging the password.
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Logs in and out again; nothing is sent. */
async function checkServer(server: SmtpServer, signal: AbortSignal): Promise<Problem[]> {
  const where = `${server.host}:${server.port}`;
  const transport = createTransport(connectionOf(server));
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new Error('no answer in time'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([transport.verify(), aborted.promise]);
    return [];
  } catch (error) {
    return [problemOf(withoutPassword(error as SmtpFailure, server), where, server)];
  } finally {
    signal.removeEventListener('abort', onAbort);
    transport.close();
  }
}

/**
 * A server may repeat what it was told (sendmail: `Command unrecognized: "AUTH PLAIN …"`), and its answer is kept and
 * shown: without the password, in whichever form it was said.
 */
function withoutPassword(failure: SmtpFailure, { user, password }: SmtpServer): SmtpFailure {
  if (password === null) return failure;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const said = [base64(`\0${user}\0${password}`), base64(password), password];
  const hide = (text: string | undefined) => text && withoutSecrets(text, said);
  const { response, message } = failure;
  return Object.assign(failure, { response: hide(response), message: hide(message) });
}

function problemOf(failure: SmtpFailure, where: string, server: SmtpServer): Problem {
  const outcome = outcomeOfFailure(failure, false);
  const said = outcome.kind === 'refused' ? outcome.message : failure.message;
  if (failure.code === 'EAUTH')
    return problem(
      `${where} refuses the user or the password: ${said}`,
      'Check both at the mail provider (many want an API key or an app password), and post the onboarding again.',
    );
  if (outcome.kind === 'refused' && outcome.reason === 'account_config' && failure.responseCode === undefined)
    return problem(
      `there is no secure connection with ${where}: ${said}`,
      server.tls === 'from_start'
        ? 'smtps:// is for port 465; for 587 write smtp://. A certificate of your own needs ?tls=unverified.'
        : 'For port 465 write smtps://. A certificate of your own needs ?tls=unverified, a server without TLS ?tls=off.',
    );
  return problem(
    `${where} could not be spoken with: ${said}`,
    'Check host and port of providers.smtp.url, and that this machine may connect out to that port.',
  );
}

function refused(reason: string, message: string): SendOutcome {
  return { kind: 'refused', code: null, reason, message };
}

function noAccount(provider: SmtpProvider): string {
  const through = provider === 'smtp' ? '' : ` Mail goes to ${provider} by SMTP.`;
  return `The business has no providers.smtp.${through}`;
}

function problem(error: string, remedy: string): Problem {
  return { about: null, error, remedy };
}
