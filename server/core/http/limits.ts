import type { FastifyReply } from 'fastify';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { Fault } from '../fault.ts';

/** Requests that a key may make in a window, by bucket; counted in this process. */
export interface Limits {
  windowS: number;
  read: number;
  send: number;
  search: number;
  /** Wrong credentials from one address: guessing is throttled before it is answered. */
  wrongCredentials: number;
}

/** Generous for an integrator, ruinous for a loop gone wild. */
export const defaultLimits: Limits = {
  windowS: 10,
  read: 5_000,
  send: 10_000,
  search: 500,
  wrongCredentials: 100,
};

export interface RateLimits {
  /** Draws one; sets the `RateLimit-*` headers. @throws 429 with `Retry-After` */
  draw(bucket: 'read' | 'send' | 'search', who: string, reply: FastifyReply): Promise<void>;
  /** @throws 429 where this address guessed too often */
  mayTry(address: string): Promise<void>;
  countWrong(address: string): Promise<void>;
}

export function createRateLimits(limits: Limits): RateLimits {
  const limiter = (points: number) => new RateLimiterMemory({ points, duration: limits.windowS });
  const buckets = { read: limiter(limits.read), send: limiter(limits.send), search: limiter(limits.search) };
  const wrong = limiter(limits.wrongCredentials);
  const refuse = (state: RateLimiterRes, what: string) => {
    const retryAfterS = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
    return new Fault('rate_limited', `${what} Wait ${retryAfterS} s.`, { retryAfterS });
  };
  return {
    async draw(bucket, who, reply) {
      let state: RateLimiterRes;
      let over = false;
      try {
        state = await buckets[bucket].consume(who);
      } catch (refused) {
        state = refused as RateLimiterRes;
        over = true;
      }
      reply.headers({
        'RateLimit-Limit': limits[bucket],
        'RateLimit-Remaining': Math.max(0, state.remainingPoints),
        'RateLimit-Reset': Math.ceil(state.msBeforeNext / 1000),
      });
      if (over) throw refuse(state, `More than ${limits[bucket]} ${bucket} requests in ${limits.windowS} s.`);
    },
    async mayTry(address) {
      const state = await wrong.get(address);
      if (state && state.remainingPoints <= 0)
        throw refuse(state, 'Too many wrong credentials from this address.');
    },
    async countWrong(address) {
      await wrong.consume(address).catch(() => undefined);
    },
  };
}
