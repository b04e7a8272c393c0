import type { Secrets } from '../../core/secrets.ts';
import { readMailId } from '../ids.ts';
import type { IncomingMail } from '../provider.ts';
import { addressesOf, allOf, headerOf, mailIdOfHeaders } from './headers.ts';

/** Mail takes some ten hops at most; what took more goes round in a circle (sendmail stops at 25, Postfix at 50). */
const mostHops = 50;

const machineNames =
  /^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|autoreply|auto-reply)(?:[+-][^@]*)?@/;
const bulk = /^(?:bulk|junk|list|auto_reply)$/i;

/**
 * Whether a machine wrote it: an out-of-office note, a newsletter, a notification. Nobody waits for an answer to
 * it, and a machine's answer to it could go on for ever (RFC 3834, section 2; the other headers are older, or
 * Microsoft's, and still common).
 */
export function isAutomatic(mail: IncomingMail): boolean {
  const { headers } = mail;
  const submitted = headerOf(headers, 'auto-submitted');
  if (submitted !== null && !/^no\b/i.test(submitted)) return true;
  if (allOf(headers, 'precedence').some((value) => bulk.test(value))) return true;
  // Exchange sets it on what it writes itself; people's programs do not.
  const suppress = headerOf(headers, 'x-auto-response-suppress');
  if (suppress !== null && !/^none$/i.test(suppress)) return true;
  // Not List-Unsubscribe: people who write from a CRM have it in their mail, and wait for an answer.
  const marks = ['list-id', 'x-autoreply', 'x-autorespond', 'x-autoresponder'];
  if (marks.some((name) => headerOf(headers, name) !== null)) return true;
  const returnPath = headerOf(headers, 'return-path');
  if (mail.envelopeFrom === '' || returnPath === '<>') return true;
  return addressesOf(headers, 'from').some((address) => machineNames.test(address));
}

/** Why a mail goes round in a circle; null where it does not. */
export function loopOf(mail: IncomingMail, secrets: Secrets): string | null {
  const hops = allOf(mail.headers, 'received').length;
  if (hops > mostHops) return `It took ${hops} hops, so it goes round in a circle.`;
  const mailId = mailIdOfHeaders(mail.headers);
  if (mailId !== null && readMailId(mailId, secrets)) return 'It is a mail of our own that came back.';
  return null;
}
