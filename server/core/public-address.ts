import type { LookupAddress } from 'node:dns';
import { lookup, Resolver } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, type Dispatcher } from 'undici';

/** Somebody's URL led to an address that is not for everybody: of this machine, its network, or none at all. */
export class BlockedAddress extends Error {}

/**
 * Blocks of IANA's special-purpose registries that are not reachable by anyone, beside those that ipaddr.js
 * knows: segment routing (RFC 9602), the local use of NAT64 (RFC 8215), and IPv4 in IPv6 as it once was (RFC 4291, 2.5.5.1).
 */
const alsoSpecial = ['5f00::/16', '64:ff9b:1::/48', '::/96'].map((block) => ipaddr.parseCIDR(block));

/** Whether anyone on the internet reaches it: no loopback, private, link-local, reserved or wrapped address. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return (
    parsed.range() === 'unicast' &&
    !alsoSpecial.some((block) => parsed.kind() === block[0].kind() && parsed.match(block as never))
  );
}

/** The addresses of a name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

export interface Reach {
  /** The system's own unless told, which holds one of Node's few threads while a name server does not answer. */
  resolve?: Resolve;
  /** {@link isPublicAddress} unless told. */
  mayReach?: (address: string) => boolean;
}

const resolveBySystem: Resolve = (hostname) => lookup(hostname, { all: true });

/**
 * Asks name servers, and holds no thread meanwhile: for names of anybody's choice, among them those whose server
 * never answers. It knows nothing of /etc/hosts.
 *
 * @param servers in place of the system's, as `127.0.0.1:5353`
 */
export function resolveByDns(servers?: readonly string[]): Resolve {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (servers) resolver.setServers(servers);
  return async (hostname) => {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const found = [
      ...(v4.status === 'fulfilled' ? v4.value.map((address) => ({ address, family: 4 })) : []),
      ...(v6.status === 'fulfilled' ? v6.value.map((address) => ({ address, family: 6 })) : []),
    ];
    if (found.length === 0)
      throw v4.status === 'rejected' ? v4.reason : new Error(`${hostname} has no address.`);
    return found;
  };
}

/** Looks the addresses up and checks them in one step, so that no second answer of a name server comes between. */
function checkedLookup({ resolve, mayReach }: Required<Reach>): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (!first || addresses.some(({ address }) => !mayReach(address)))
          return callback(new BlockedAddress(`${hostname} is at no public address.`), '', 4);
        if (options.all) return callback(null, addresses);
        return callback(null, first.address, first.family);
      },
      (error) => callback(error as NodeJS.ErrnoException, '', 4),
    );
  };
}

/** Calls public addresses alone. Redirects are the caller's to follow: each is a new call, checked anew. */
export function publicDispatcher(
  connectTimeoutMs: number,
  { resolve = resolveBySystem, mayReach = isPublicAddress }: Reach = {},
  pool: Pick<Agent.Options, 'connections'> = {},
): Dispatcher {
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs, lookup: checkedLookup({ resolve, mayReach }) },
    allowH2: false,
    ...pool,
  });
  return agent.compose((dispatch) => (options, handler) => {
    // An address in place of a name is not looked up.
    const host = new URL(String(options.origin)).hostname.replaceAll(/[[\]]/g, '');
    if (isIP(host) !== 0 && !mayReach(host)) throw new BlockedAddress(`${host} is no public address.`);
    return dispatch(options, handler);
  });
}
