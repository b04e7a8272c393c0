/** Where the time comes from. Tests bring their own; nothing else in the server asks the system. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
