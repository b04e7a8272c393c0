import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';

/** A UUIDv7 (RFC 9562): ids made later sort later, which keeps the indexes' right edge hot. */
export function newId(): string {
  return v7();
}

/** Where the ids of clients begin that Omega makes itself (contract.md, Conventions). */
export const provisionalClientIdFloor = 2 ** 40;

/**
 * An id for a client that only an address is known of: random in [2^40, 2^53), so that it tells
 * nothing of how many others there are. The primary key catches the collision nobody will see.
 */
export function newProvisionalClientId(): number {
  const span = 2 ** 53 - provisionalClientIdFloor;
  const random = randomBytes(8).readBigUInt64BE() % BigInt(span);
  return provisionalClientIdFloor + Number(random);
}
