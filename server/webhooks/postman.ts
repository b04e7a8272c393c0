import { Agent, type Dispatcher, request } from 'undici';
import type { WebhookError } from '../../contract/index.ts';
import type { Clock } from '../core/clock.ts';
import { publicDispatcher, resolveByDns } from '../core/public-address.ts';
import type { AllowedHosts } from './hosts.ts';
import { readRetryAfter } from './schedule.ts';

/** What came of one post. Of the answer nothing is kept but its status. */
export interface Posted {
  statusCode: number | null;
  /** Null where it was taken: 2xx. */
  error: WebhookError | null;
  /** What the receiver asks for, with 429 and 503. */
  retryAfterMs: number | null;
  durationMs: number;
}

export interface Postman {
  /** Never throws: what went wrong is in the answer. */
  post(url: string, headers: Record<string, string>, body: string): Promise<Posted>;
  close(): Promise<void>;
}

/** Connecting, sending and the answer's first line, all in all. */
const usualDeadlineMs = 15_000;
const connectTimeoutMs = 5_000;
/** To one receiver at once, over all webhooks: one that answers by dribbles holds no more than these. */
const connections = 16;
/** Of an answer's body: then the connection can be used again. Longer ones end it. */
const mostReadBytes = 4_096;

export function createPostman(options: {
  clock: Clock;
  allowed: AllowedHosts;
  deadlineMs?: number;
  /** Name servers in place of the system's. */
  dnsServers?: readonly string[];
}): Postman {
  const { allowed, clock, deadlineMs = usualDeadlineMs } = options;
  const everybody = publicDispatcher(
    connectTimeoutMs,
    { resolve: resolveByDns(options.dnsServers), mayReach: allowed.mayReach },
    { connections },
  );
  // Who runs Omega named them: whatever they lead to is meant.
  const named = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false, connections });

  return {
    async post(url, headers, body) {
      const startedAt = performance.now();
      const outcome = (
        statusCode: number | null,
        error: WebhookError | null,
        retryAfterMs: number | null,
      ) => ({
        statusCode,
        error,
        retryAfterMs,
        durationMs: Math.round(performance.now() - startedAt),
      });
      const signal = AbortSignal.timeout(deadlineMs);
      try {
        const answer = await request(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'Omega-Webhooks/1', ...headers },
          body,
          dispatcher: allowed.names(new URL(url)) ? named : everybody,
          signal,
          headersTimeout: 0,
          bodyTimeout: 0,
        });
        forget(answer.body);
        const retryAfter = [answer.headers['retry-after']].flat()[0];
        const mayAsk = answer.statusCode === 429 || answer.statusCode === 503;
        return outcome(
          answer.statusCode,
          errorOfStatus(answer.statusCode),
          mayAsk ? readRetryAfter(retryAfter, clock.now()) : null,
        );
      } catch (error) {
        return outcome(null, signal.aborted ? 'timeout' : errorOf(error), null);
      }
    },
    async close() {
      await Promise.all([everybody.destroy(), named.destroy()]);
    },
  };
}

/** Nobody waits for it: it ends with the deadline at the latest. */
function forget(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined);
  body.dump({ limit: mostReadBytes }).catch(() => undefined);
}

function errorOfStatus(status: number): WebhookError | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) return 'redirected';
  return status === 410 ? 'gone' : 'refused';
}

const broken = /^(HPE_|UND_ERR_(SOCKET|HEADERS_OVERFLOW|RES_|RESPONSE)|ECONNRESET$|EPIPE$)/;
const ofTls = /CERT|ERR_TLS|ERR_SSL|EPROTO|UNABLE_TO|SELF_SIGNED/;

/** A blocked address, a closed port and a name that is none are one word: nobody maps a network by it. */
function errorOf(error: unknown): WebhookError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (ofTls.test(code)) return 'tls_failed';
  return broken.test(code) ? 'broken_answer' : 'unreachable';
}
