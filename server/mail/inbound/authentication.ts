import type { SenderAuthentication } from '../../channels/index.ts';
import { type HeaderList, headerOf } from './headers.ts';

const words = new Set([
  'pass',
  'fail',
  'softfail',
  'neutral',
  'none',
  'policy',
  'temperror',
  'permerror',
  'hardfail',
]);

/** A result's word in lower case; null for what is none. */
export function resultWord(text: string | null | undefined): string | null {
  const word = /[a-z]+/i.exec(text ?? '')?.[0].toLowerCase() ?? null;
  return word !== null && words.has(word) ? word : null;
}

/** Null where nothing is known. */
export function authenticationOf(
  by: string | null,
  found: { spf?: string | null; dkim?: string | null; dmarc?: string | null },
): SenderAuthentication | null {
  const spf = resultWord(found.spf);
  const dkim = resultWord(found.dkim);
  const dmarc = resultWord(found.dmarc);
  return spf === null && dkim === null && dmarc === null ? null : { spf, dkim, dmarc, by };
}

/**
 * The topmost `Authentication-Results` (RFC 8601). Its sender may have written one as well, where the receiving
 * server wrote none: `by` is the server that it names, for those who know their own.
 */
export function authenticationResults(headers: HeaderList): SenderAuthentication | null {
  const value = headerOf(headers, 'authentication-results');
  if (value === null) return null;
  const [server = '', ...results] = value.split(';');
  const of = (method: string) =>
    results
      .map((result) => new RegExp(`^\\s*${method}\\s*=\\s*([a-z]+)`, 'i').exec(result)?.[1] ?? null)
      .find((word) => word !== null) ?? null;
  return authenticationOf(server.trim().split(/\s/)[0]?.slice(0, 255) || null, {
    spf: of('spf'),
    dkim: of('dkim'),
    dmarc: of('dmarc'),
  });
}
