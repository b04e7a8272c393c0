import type { RawWebhook } from '../core/http/index.ts';

/** Basic credentials (RFC 7617), as a URL with `user:password@` makes a carrier send them; null where there are none. */
export function basicCredentials({ headers }: RawWebhook): { username: string; password: string } | null {
  const [, base64] = /^basic\s+([A-Za-z0-9+/]+={0,2})\s*$/i.exec(headers.authorization ?? '') ?? [];
  if (base64 === undefined) return null;
  const bytes = Buffer.from(base64, 'base64');
  // The decoder overlooks what is no base64, and one password would have many spellings.
  if (bytes.toString('base64').replaceAll('=', '') !== base64.replaceAll('=', '')) return null;
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
