import { Fault } from './fault.ts';

/** What is left of a number of bytes that many share. */
export interface ByteBudget {
  /** Whether so many are left. */
  has(bytes: number): boolean;
  /** @throws 503 where so many are not left */
  mustHave(bytes: number): void;
  /** @throws as {@link mustHave} */
  take(bytes: number): void;
  giveBack(bytes: number): void;
}

export function createByteBudget(most: number): ByteBudget {
  let taken = 0;
  const has = (bytes: number) => taken + bytes <= most;
  const mustHave = (bytes: number) => {
    if (!has(bytes))
      throw new Fault('unavailable', 'Too much is being posted at once. Repeat in a moment.', {
        retryAfterS: 5,
      });
  };
  return {
    has,
    mustHave,
    take(bytes) {
      mustHave(bytes);
      taken += bytes;
    },
    giveBack(bytes) {
      taken -= bytes;
    },
  };
}
