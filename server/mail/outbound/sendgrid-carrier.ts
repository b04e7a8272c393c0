import {
  type Carrier,
  type CarrierAccount,
  type CarrierSender,
  type FindOutcome,
  metadataNames,
  type OutgoingMail,
  type OutgoingMessage,
  type Problem,
  type SendOutcome,
} from '../../channels/index.ts';
import { type ReadyMail, readFiles, unsubscribeHeaders } from './compose.ts';
import { callSendGrid, errorsOf, type SendGridAnswer } from './sendgrid-api.ts';
import type { MailCarrierOptions } from './smtp-carrier.ts';
import { oneLine } from './smtp-outcome.ts';
import { unsubscribeUrl } from './unsubscribe-link.ts';

/** As it is in `providers.sendgrid`. */
interface SendGridAccount {
  api_key?: string;
  api_base_url?: string;
}

/** Sends mail through SendGrid's v3 API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send */
export function createSendGridCarrier(options: Pick<MailCarrierOptions, 'secrets' | 'apiUrl'>): Carrier {
  const { secrets, apiUrl } = options;

  async function send(
    message: OutgoingMessage,
    account: CarrierAccount,
    signal: AbortSignal,
  ): Promise<SendOutcome> {
    const { mail } = message;
    if (!mail) return refused('invalid_request', 'SendGrid sends mail alone, and this is no mail.');
    const { api_key, api_base_url } = (account ?? {}) as SendGridAccount;
    if (api_key === undefined) return refused('account_config', noKey);
    const url = mail.category === 'marketing' ? unsubscribeUrl(message, apiUrl, secrets) : null;
    const files = await readFiles(mail);
    if (files instanceof Error) return refused('internal', files.message);
    const body = JSON.stringify(requestOf(message, mail, files, url));
    const answer = await callSendGrid(
      { apiKey: api_key, baseUrl: api_base_url },
      { method: 'POST', path: '/v3/mail/send', body },
      signal,
    );
    return outcomeOf(answer, mail.mailId);
  }

  return {
    provider: 'sendgrid',
    channels: ['email'],
    account: 'sendgrid',
    send,

    /**
     * The Email Activity API knows mails by our metadata, where the business has bought it. It runs minutes
     * behind, so that what it does not have yet is not known to be absent.
     */
    async find(message, _since, account, signal): Promise<FindOutcome> {
      const { api_key, api_base_url } = (account ?? {}) as SendGridAccount;
      if (api_key === undefined) return { kind: 'unknown', detail: noKey };
      const query = new URLSearchParams({
        limit: '1',
        query: `unique_args['${metadataNames.messageId}']="${message.messageId}"`,
      });
      const answer = await callSendGrid(
        { apiKey: api_key, baseUrl: api_base_url },
        { method: 'GET', path: `/v3/messages?${query}` },
        signal,
      );
      const found = answer.kind === 'answer' && answer.status === 200 ? firstMessage(answer.json) : null;
      return found
        ? { kind: 'found', providerMessageId: found, status: 'sending', providerStatus: 'processed' }
        : { kind: 'unknown', detail: 'SendGrid does not say whether it has the mail.' };
    },

    async check(account, senders, signal) {
      const { api_key, api_base_url } = (account ?? {}) as SendGridAccount;
      if (api_key === undefined)
        return [problem(null, noKey, 'Send providers.sendgrid.api_key with the onboarding again.')];
      const ask = (path: string) =>
        callSendGrid({ apiKey: api_key, baseUrl: api_base_url }, { method: 'GET', path }, signal);
      const scopes = await ask('/v3/scopes');
      const faults = faultsOfScopes(scopes);
      return faults.length > 0 ? faults : checkSenders(senders, ask);
    },
  };
}

const noKey = 'The business has no providers.sendgrid.api_key.';

/** The request, whose every field SendGrid's schema names. Metadata holds our ids alone. */
function requestOf(
  message: OutgoingMessage,
  mail: OutgoingMail,
  files: ReadyMail['files'],
  unsubscribe: string | null,
) {
  const mailboxes = (addresses: string[]) => addresses.map((email) => ({ email }));
  // A part must not be empty; the HTML comes last (RFC 2046, 5.1.4: the best of the alternatives).
  const content = [
    { type: 'text/plain', value: message.content },
    { type: 'text/html', value: mail.html ?? '' },
  ].filter(({ value }) => value !== '');
  return {
    personalizations: [
      {
        to: mailboxes([message.to]),
        ...(mail.cc.length > 0 && { cc: mailboxes(mail.cc) }),
        ...(mail.bcc.length > 0 && { bcc: mailboxes(mail.bcc) }),
        custom_args: {
          [metadataNames.messageId]: message.messageId,
          [metadataNames.businessId]: String(message.businessId),
        },
      },
    ],
    from: { email: message.from, ...(mail.fromName !== null && { name: mail.fromName }) },
    ...(mail.replyTo !== null && { reply_to: { email: mail.replyTo } }),
    subject: message.subject ?? '',
    content: content.length > 0 ? content : [{ type: 'text/plain', value: ' ' }],
    ...(files.length > 0 && {
      attachments: files.map((file) => ({
        content: file.content.toString('base64'),
        filename: file.filename,
        // It takes no parameters in it.
        type: file.contentType.split(';')[0]!,
        disposition: 'attachment',
      })),
    }),
    headers: {
      'Message-ID': `<${mail.mailId}>`,
      ...(mail.inReplyTo !== null && { 'In-Reply-To': `<${mail.inReplyTo}>` }),
      ...(mail.references.length > 0 && { References: mail.references.map((id) => `<${id}>`).join(' ') }),
      ...unsubscribeHeaders(unsubscribe),
    },
  };
}

/**
 * 202: it has the mail. 4xx: it has not. Everything else (no answer, 5xx, an answer that is none of these) may
 * be a mail that it took; it knows no idempotency key, so that is found out by its events.
 */
function outcomeOf(answer: SendGridAnswer, mailId: string): SendOutcome {
  if (answer.kind === 'not_sent') return refused(answer.reason, answer.detail);
  if (answer.kind === 'lost') return { kind: 'unknown', detail: answer.detail };
  const { status, headers, json, text } = answer;
  if (status === 202)
    return {
      kind: 'accepted',
      providerMessageId: headers.get('x-message-id') ?? mailId,
      status: 'sending',
      providerStatus: 'accepted',
    };
  if (status >= 300 && status < 400)
    return refused('account_config', `SendGrid sends us elsewhere (${status}): check api_base_url.`);
  if (status < 400 || status >= 500)
    return { kind: 'unknown', detail: `SendGrid answered ${status}: ${oneLine(text)}` };
  const errors = errorsOf(json);
  const message =
    oneLine(errors.map((error) => error.message).join(' ') || text) || `SendGrid answered ${status}.`;
  // 403 is of the key; or of a sender that nobody verified, which its only field tells.
  if (status === 403 && errors.some((error) => error.field === 'from'))
    return { kind: 'refused', code: null, reason: 'sender_config', message };
  const retryAfterMs = status === 429 ? resetOf(headers) : undefined;
  return {
    kind: 'refused',
    code: String(status),
    message,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits: the second at which to ask again. */
function resetOf(headers: Headers): number | undefined {
  const after = Number(headers.get('retry-after'));
  return Number.isFinite(after) && after > 0 ? after * 1000 : undefined;
}

function firstMessage(json: unknown): string | null {
  const messages = (json as { messages?: { msg_id?: unknown }[] } | null)?.messages;
  const id = Array.isArray(messages) ? messages[0]?.msg_id : null;
  // Behind the dot stands which server and recipient it was; events and answers have the part before it in common.
  return typeof id === 'string' && id !== '' ? id.split('.')[0]! : null;
}

function faultsOfScopes(answer: SendGridAnswer): Problem[] {
  if (answer.kind !== 'answer')
    return [
      problem(null, `SendGrid could not be reached: ${answer.detail}`, 'Check that this machine reaches it.'),
    ];
  if (answer.status === 401 || answer.status === 403)
    return [
      problem(
        null,
        'SendGrid refuses the API key.',
        'Make a key (Settings, API Keys, Restricted Access, Mail Send: Full Access) and onboard with it.',
      ),
    ];
  if (answer.status !== 200)
    return [problem(null, `SendGrid answered ${answer.status} for its scopes.`, 'Try again later.')];
  const scopes = (answer.json as { scopes?: unknown } | null)?.scopes;
  if (Array.isArray(scopes) && scopes.includes('mail.send')) return [];
  return [
    problem(
      null,
      'The SendGrid API key may not send mail.',
      'Give it Mail Send: Full Access (Settings, API Keys, Edit API Key).',
    ),
  ];
}

/** A sender needs an authenticated domain or to be verified by itself. A restricted key may see neither: then nothing is said. */
async function checkSenders(
  senders: readonly CarrierSender[],
  ask: (path: string) => Promise<SendGridAnswer>,
): Promise<Problem[]> {
  const [domains, singles] = [
    listOf(await ask('/v3/whitelabel/domains?limit=200')),
    listOf(await ask('/v3/verified_senders?limit=200')),
  ];
  if (!domains || !singles) return [];
  const isVerified = (address: string) => {
    const domain = address.slice(address.lastIndexOf('@') + 1);
    return (
      domains.some(
        (row) => row.valid === true && (domain === row.domain || domain.endsWith(`.${String(row.domain)}`)),
      ) || singles.some((row) => row.verified === true && String(row.from_email).toLowerCase() === address)
    );
  };
  return senders
    .filter(({ address }) => !isVerified(address))
    .map(({ address }) =>
      problem(
        address,
        'SendGrid does not know it as a sender.',
        'Authenticate its domain there (Settings, Sender Authentication), or verify it as a Single Sender.',
      ),
    );
}

function listOf(answer: SendGridAnswer): Record<string, unknown>[] | null {
  if (answer.kind !== 'answer' || answer.status !== 200) return null;
  const list = Array.isArray(answer.json)
    ? answer.json
    : (answer.json as { results?: unknown } | null)?.results;
  return Array.isArray(list) ? list.filter((row) => typeof row === 'object' && row !== null) : null;
}

const refused = (reason: string, message: string): SendOutcome => ({
  kind: 'refused',
  code: null,
  reason,
  message,
});

const problem = (about: string | null, error: string, remedy: string): Problem => ({ about, error, remedy });
