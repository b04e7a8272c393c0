import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isPublicAddress } from '../core/public-address.ts';

/** What the configuration lets webhooks reach beside public addresses. */
export interface AllowedHosts {
  /** Whether the URL's host is named: then it may be at any address, and without TLS. */
  names(url: URL): boolean;
  mayReach(address: string): boolean;
}

/** @param entries as in `OMEGA_WEBHOOK_HOSTS`: `crm.internal`, `10.0.0.5:8080`, `10.0.0.0/8` */
export function readAllowedHosts(entries: readonly string[]): AllowedHosts {
  const named = new Set(entries.filter((entry) => !entry.includes('/')).map((entry) => entry.toLowerCase()));
  const networks = entries.filter((entry) => entry.includes('/')).map((entry) => ipaddr.parseCIDR(entry));
  const mayReach = (address: string) => {
    if (isPublicAddress(address)) return true;
    if (networks.length === 0 || !ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return networks.some((network) => parsed.kind() === network[0].kind() && parsed.match(network as never));
  };
  return {
    mayReach,
    names(url) {
      const host = url.hostname.replace(/[.]$/, '');
      const port = url.port || (url.protocol === 'https:' ? '443' : '80');
      if (named.has(host) || named.has(`${host}:${port}`)) return true;
      const address = bare(host);
      return isIP(address) !== 0 && !isPublicAddress(address) && mayReach(address);
    },
  };
}

/** An IPv6 address stands in brackets in a URL. */
export const bare = (host: string) => host.replaceAll(/[[\]]/g, '');
