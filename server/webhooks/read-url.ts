import { isIP } from 'node:net';
import { invalid } from '../core/fault.ts';
import { isPublicAddress } from '../core/public-address.ts';
import { type AllowedHosts, bare } from './hosts.ts';

/**
 * A webhook's URL as it is kept. What its name leads to is looked at with each connection (`postman.ts`): it may
 * lead elsewhere by then.
 *
 * @throws 422 with one text for every place that is not for everybody: it tells nothing of what is there
 */
export function readUrl(text: string, allowed: AllowedHosts): string {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw invalid('url', 'must be an absolute URL, like https://crm.example/hooks', 'invalid_format');
  if (url.username || url.password)
    throw invalid('url', 'must hold no credentials: the signature proves who posts');
  if (url.hash) throw invalid('url', 'must have no fragment (#…): it would never be sent');
  if (allowed.names(url)) return url.href;
  if (url.protocol !== 'https:')
    throw invalid(
      'url',
      'must begin with https://; whoever runs Omega may allow others by OMEGA_WEBHOOK_HOSTS',
    );
  if (!isForEverybody(url))
    throw invalid(
      'url',
      'must lead to where anyone on the internet gets, at port 443 or one from 1024 up; whoever runs Omega may allow others by OMEGA_WEBHOOK_HOSTS',
    );
  return url.href;
}

function isForEverybody(url: URL): boolean {
  // Below 1024 are mail servers and the like, which a POST might talk to.
  if (url.port !== '' && Number(url.port) < 1024) return false;
  const host = url.hostname.replace(/[.]$/, '');
  if (isIP(bare(host)) !== 0) return isPublicAddress(bare(host));
  // RFC 6761, RFC 6762, and the name that ICANN keeps for private use; a name without a dot is of a local network.
  return host.includes('.') && !/[.](localhost|local|internal)$/.test(host);
}
