import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, type Dispatcher } from 'undici';

/** Somebody's URL led to an address that is not for everybody: of this machine, its network, or none at all. */
export class BlockedAddress extends Error {}

/**
 * Blocks of IANA's special-purpose registries that are not reachable by anyone, beside those that ipaddr.js
 * knows: segment routing (RFC 9602), and the local use of NAT64 (RFC 8215).
 */
const alsoSpecial = ['5f00::/16', '64:ff9b:1::/48'].map((block) => ipaddr.parseCIDR(block));

/** Whether anyone on the internet reaches it: no loopback, private, link-local, reserved or wrapped address. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return (
    parsed.range() === 'unicast' &&
    !alsoSpecial.some((block) => parsed.kind() === block[0].kind() && parsed.match(block as never))
  );
}

/** Looks the addresses up and checks them in one step, so that no second answer of a name server comes between. */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 4);
    const [first] = addresses;
    if (!first || addresses.some(({ address }) => !isPublicAddress(address)))
      return callback(new BlockedAddress(`${hostname} is at no public address.`), '', 4);
    if (options.all) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

/** Calls public addresses alone. Redirects are the caller's to follow: each is a new call, checked anew. */
export function publicDispatcher(connectTimeoutMs: number): Dispatcher {
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs, lookup: lookupPublic },
    allowH2: false,
  });
  return agent.compose((dispatch) => (options, handler) => {
    // An address in place of a name is not looked up.
    const host = new URL(String(options.origin)).hostname.replaceAll(/[[\]]/g, '');
    if (isIP(host) !== 0 && !isPublicAddress(host)) throw new BlockedAddress(`${host} is no public address.`);
    return dispatch(options, handler);
  });
}
