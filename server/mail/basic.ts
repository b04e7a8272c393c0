import type { RawWebhook } from '../core/http/index.ts';

/** Basic credentials (RFC 7617), as a URL with `user:password@` makes a carrier send them; null where there are none. */
export function basicCredentials({ headers }: RawWebhook): { username: string; password: string } | null {
  const [, base64] = /^basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(headers.authorization ?? '') ?? [];
  if (base64 === undefined) return null;
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
