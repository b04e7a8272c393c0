import { type Secrets, sameText } from '../../core/secrets.ts';

/**
 * The names under which our messages travel in the mail of others, and by which what comes back finds them.
 * All are signed: whoever writes to us may write any name, but can make none up.
 */

/** The metadata that goes with a mail to a provider, and that its events bring back: our ids, and nothing of a person. */
export const metadataNames = { messageId: 'omega_message_id', businessId: 'omega_business_id' } as const;

/**
 * The mail's `Message-ID` (RFC 5322, 3.6.4) without its angle brackets: `uuid.signature@domain`. Every attempt
 * of a message bears the same, so that a mailbox that got it twice may show it once.
 *
 * @param fromAddress the sender; its domain is the id's, as receivers expect
 */
export function mailIdOf(messageId: string, fromAddress: string, secrets: Pick<Secrets, 'sign'>): string {
  const domain = fromAddress.slice(fromAddress.lastIndexOf('@') + 1);
  return `${messageId}.${secrets.sign('mail id', messageId)}@${domain}`;
}

/** The message that a Message-ID names, if it is one of ours; null for anybody else's. Brackets may be there or not. */
export function readMailId(mailId: string, secrets: Pick<Secrets, 'isSigned'>): { messageId: string } | null {
  const [, messageId = '', signature = ''] =
    /^\s*<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9_-]{22})@[^\s<>@]{1,255}>?\s*$/.exec(
      mailId,
    ) ?? [];
  return secrets.isSigned('mail id', messageId, signature) ? { messageId } : null;
}

/**
 * Its bytes in base 32 (RFC 4648's `extended hex`): the local part of an address may come back in other letter
 * case. 7 bytes of business, 16 of conversation, 12 of signature (HMAC-SHA-256-96): 56 characters, of 64 that
 * RFC 5321 allows with `reply+` before them.
 */
const tokenBytes = 35;
const tokenLength = (tokenBytes * 8) / 5;

/** Where answers go, so that they find their conversation: `reply+token@replyDomain`. */
export function replyAddress(
  to: { businessId: number; conversationId: string },
  replyDomain: string,
  secrets: Pick<Secrets, 'sign'>,
): string {
  const hex = to.businessId.toString(16).padStart(14, '0') + to.conversationId.replaceAll('-', '');
  const bits = BigInt(`0x${hex}${replySignature(hex, secrets)}`);
  return `reply+${bits.toString(32).padStart(tokenLength, '0')}@${replyDomain}`;
}

/** The conversation that a reply address names, whatever its domain and letter case; null where it is not one of ours. */
export function readReplyAddress(
  address: string,
  secrets: Pick<Secrets, 'sign'>,
): { businessId: number; conversationId: string } | null {
  const [, token] = /^\s*<?reply\+([0-9a-v]{56})@[^\s<>@]{1,255}>?\s*$/i.exec(address) ?? [];
  if (token === undefined) return null;
  let bits = 0n;
  for (const digit of token.toLowerCase()) bits = bits * 32n + BigInt(Number.parseInt(digit, 32));
  const text = bits.toString(16).padStart(tokenBytes * 2, '0');
  const hex = text.slice(0, 46);
  if (!sameText(replySignature(hex, secrets), text.slice(46))) return null;
  const businessId = Number.parseInt(hex.slice(0, 14), 16);
  const conversationId = hex.slice(14).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { businessId, conversationId };
}

/** 96 bits of it, in hex: the address has no room for more. */
function replySignature(hex: string, secrets: Pick<Secrets, 'sign'>): string {
  return Buffer.from(secrets.sign('reply address', hex), 'base64url').toString('hex').slice(0, 24);
}
