import { consentHash } from '../../clients/index.ts';
import { type Secrets, sameText } from '../../core/secrets.ts';

/** Whom a link of a mail unsubscribes. */
export interface Unsubscription {
  businessId: number;
  messageId: string;
  /** The address as the ledger keeps it when its client is erased: it tells nobody the address. */
  addressHash: string;
}

const idBytes = 7 + 16;
const hashBytes = 16;
const hashMark = 'hmac:';

/**
 * The URL of the button "Unsubscribe" (RFC 8058). Its token names the business, the mail and a keyed hash of
 * the address, and is signed; it works for good, also after its client was erased. Whoever has the mail has the
 * link: it can do nothing but unsubscribe.
 */
export function unsubscribeUrl(
  { businessId, messageId, to }: { businessId: number; messageId: string; to: string },
  apiUrl: string,
  secrets: Secrets,
): string {
  const hash = consentHash(secrets, businessId, 'email', to).slice(hashMark.length);
  const ids = Buffer.from(businessId.toString(16).padStart(14, '0') + messageId.replaceAll('-', ''), 'hex');
  const named = Buffer.concat([ids, Buffer.from(hash, 'base64url')]).toString('base64url');
  return `${apiUrl}/email/unsubscribe/${named}${secrets.sign('unsubscribe', named)}`;
}

/** What a token names; null where it is not one of ours. */
export function readUnsubscribeToken(token: string, secrets: Secrets): Unsubscription | null {
  const length = Math.ceil(((idBytes + hashBytes) * 4) / 3);
  const named = token.slice(0, length);
  if (!/^[A-Za-z0-9_-]+$/.test(token)) return null;
  if (!sameText(secrets.sign('unsubscribe', named), token.slice(length))) return null;
  const bytes = Buffer.from(named, 'base64url');
  const hex = bytes.subarray(0, idBytes).toString('hex');
  return {
    businessId: Number.parseInt(hex.slice(0, 14), 16),
    messageId: hex.slice(14).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    addressHash: hashMark + bytes.subarray(idBytes).toString('base64url'),
  };
}
