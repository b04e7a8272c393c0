import type { SMTPSentMessageInfo } from 'nodemailer';
import type { SendOutcome } from '../../channels/index.ts';

/** What nodemailer says of a failure. */
export interface SmtpFailure extends Error {
  code?: string;
  /** The system's own code, where `code` is nodemailer's. */
  originalCode?: string;
  /** What was being said to the server: `MAIL FROM`, `RCPT TO`, `DATA`, `AUTH PLAIN`, `CONN`. */
  command?: string;
  /** The server's answer, and its first three digits. */
  response?: string;
  responseCode?: number;
}

type Refused = SendOutcome & { kind: 'refused' };

/**
 * What a failure means. A server that answered 4xx or 5xx has not taken the mail, wherever that was (RFC 5321,
 * 4.2.1). Without an answer it depends: before the first byte of the mail it has not got it; after that nobody
 * knows, for the answer to the final dot may be what was lost (RFC 5321, 4.1.1.4).
 *
 * @param handedOver whether any of the mail's bytes were given to the connection
 */
export function outcomeOfFailure(failure: SmtpFailure, handedOver: boolean): SendOutcome {
  if (failure.responseCode !== undefined && failure.responseCode >= 400) return refusedBy(failure);
  if (handedOver)
    return {
      kind: 'unknown',
      detail: `The mail server gave no answer to the mail: ${oneLine(failure.message)}`,
    };
  if (failure.code === 'EMESSAGE')
    return { kind: 'refused', code: '5.3.4', message: 'The mail is larger than the server takes.' };
  const reason = isConfiguration(failure) ? 'account_config' : 'timeout';
  return { kind: 'refused', code: null, reason, message: oneLine(failure.message) };
}

/** Certificates and missing credentials do not mend themselves. */
function isConfiguration({ code, originalCode, message }: SmtpFailure): boolean {
  return (
    code === 'EAUTH' ||
    code === 'ETLS' ||
    code === 'EREQUIRETLS' ||
    /CERT|ALTNAME|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_SSL/.test(`${originalCode} ${code} ${message}`)
  );
}

function refusedBy({ command = '', response = '', responseCode = 0 }: SmtpFailure): Refused {
  const message = oneLine(response);
  const basic = String(responseCode);
  const enhanced = enhancedOf(response);
  const because = (reason: string): Refused => ({ kind: 'refused', code: null, reason, message });
  const isFinal = responseCode >= 500;
  // Before any sender was named, a refusal for good is of the account: its address, user or password.
  if (isFinal && command.startsWith('AUTH')) return { ...because('account_config'), accountRefused: true };
  if (isFinal && ['CONN', 'EHLO', 'HELO', 'STARTTLS'].includes(command)) return because('account_config');
  const isOfSize = enhanced === '5.3.4' || enhanced === '5.2.3' || basic === '552';
  if (isFinal && command === 'MAIL FROM' && !isOfSize && basic !== '530') return because('sender_config');
  return { kind: 'refused', code: basic === '530' ? basic : (enhanced ?? basic), message };
}

/** RFC 2034: the enhanced status code at the beginning of an answer, where there is one of its class. */
function enhancedOf(response: string): string | null {
  const [, basic = '', enhanced = ''] = /^(\d)\d\d[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response) ?? [];
  return enhanced !== '' && enhanced.startsWith(basic) ? enhanced : null;
}

/** The other side's text, for people: on one line, and no novel. */
export function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, 500);
}

/**
 * What came of a mail that the server took. It may have refused some recipients: copies are told beside the
 * outcome; without the client it is refused, and not tried again by itself, or the copies would come twice.
 */
export function outcomeOfSent(
  info: SMTPSentMessageInfo,
  to: string,
  accepted: { providerMessageId: string; mailId?: string },
): SendOutcome {
  const refused = (info.rejectedErrors ?? []).map((failure) => ({
    address: String((failure as { recipient?: string }).recipient ?? '').toLowerCase(),
    ...refusedBy(failure as SmtpFailure),
  }));
  const client = refused.find(({ address }) => address === to);
  const copies = refused.filter(({ address }) => address !== to);
  if (client) {
    const message = `${client.message} Copies were taken for ${info.accepted.map(String).join(', ')}.`;
    const mayRetry = client.code === null || /^4/.test(client.code);
    return {
      kind: 'refused',
      ...(mayRetry ? { code: null, reason: 'unknown' } : { code: client.code }),
      message,
    };
  }
  return {
    kind: 'accepted',
    ...accepted,
    status: 'sent',
    providerStatus: oneLine(info.response).slice(0, 120),
    ...(copies.length > 0 && {
      refusedCopies: copies.map(({ address, code, message }) => ({ address, code, message })),
    }),
  };
}
