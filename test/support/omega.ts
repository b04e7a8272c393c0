import type { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TestClock } from 'pg-boss';
import { type Dispatcher, request } from 'undici';
import { allScopes, createKey } from '../../server/access/index.ts';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { defaultLimits, type Limits } from '../../server/core/http/index.ts';
import { createLog, type Log } from '../../server/core/log.ts';
import { createSecrets } from '../../server/core/secrets.ts';
import type { SmtpOptions } from '../../server/mail/index.ts';
import { createOmega, type Omega } from '../../server/omega.ts';
import type { StreamLimits } from '../../server/realtime/index.ts';
import type { WebhookOptions } from '../../server/webhooks/index.ts';
import { engineOfTests } from './engine.ts';
import type { OnboardingPlan } from './lotus.ts';
import { lotus } from './lotus.ts';

/** An answer of the API: its status, headers and body. */
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of a body by comparing it.
export interface Answer<Body = any> {
  status: number;
  headers: Headers;
  body: Body;
}

/** Calls the API as one caller. */
export interface Client {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** A whole Omega on a port of its own, for one test file. */
export interface RunningOmega {
  omega: Omega;
  /** Where it takes mail in by SMTP. */
  smtpPort: number | null;
  /** With the base path: `http://127.0.0.1:port/omega`. */
  url: string;
  platformKey: string;
  /** The time of everything: it moves only by {@link tick}. */
  clock: TestClock;
  /** As the platform key. */
  platform: Client;
  /** As any credentials: a key, or `Bearer …` in `authorization`. */
  as(key: string | null): Client;
  /** Onboards a business (Lotus Yoga unless told) and answers its client and key. */
  business(
    plan?: Partial<OnboardingPlan> & { business_id: number },
  ): Promise<{ api: Client; key: string; businessId: number }>;
  /** Resolves when every due job is done. */
  settled(): Promise<void>;
  /** Moves the time on, and lets what became due be done. */
  tick(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface StartOptions {
  database?: DatabaseTarget;
  worker?: boolean;
  limits?: Limits;
  carrierDeadlineMs?: number;
  /** Seconds; each queue's own lease when left out. */
  leaseS?: number;
  simulator?: boolean;
  /** Where carriers and browsers reach it; `http://127.0.0.1` unless told. */
  publicUrl?: string;
  /** Where its log goes, for tests that look into it. */
  log?: Log;
  /** For requests to Amazon. */
  amazonAgent?: Agent;
  /** Takes mail in by SMTP on loopback: see `smtpPort`. */
  smtp?: Omit<SmtpOptions, 'host' | 'port'>;
  /** Bytes of large webhooks that it holds at once. */
  webhookBytes?: number;
  /** How events are posted to receivers; they have 5 s unless told: a slow machine is no receiver that hangs. */
  webhooks?: WebhookOptions;
  /** The system's time in place of the test's own: for more than one process on a database. */
  realTime?: boolean;
  /** How live streams are kept, and how many. */
  streams?: Partial<StreamLimits>;
}

export const testSecret = 'a secret for tests, of more than 32 bytes';
export const testSecrets = createSecrets(testSecret);

/** Starts Omega on PGlite in memory (or the database given), listening on loopback. Answers are checked against their schemas. */
export async function startOmega(options: StartOptions = {}): Promise<RunningOmega> {
  const clock = new TestClock(new Date('2026-03-10T15:00:00.000Z'));
  const omega = await createOmega({
    database: options.database ?? { kind: 'memory', engine: await engineOfTests() },
    secret: testSecret,
    log: options.log ?? createLog({ level: process.env.TEST_LOG_LEVEL ?? 'fatal', pretty: false }),
    server: true,
    worker: options.worker ?? true,
    simulator: options.simulator ?? true,
    basePath: '/omega',
    publicUrl: options.publicUrl ?? 'http://127.0.0.1',
    limits: options.limits ?? { ...defaultLimits, wrongCredentials: 100_000 },
    checkAnswers: true,
    // An attempt is over before its job's lease.
    carrierDeadlineMs: options.carrierDeadlineMs ?? Math.min(5_000, 250 * (options.leaseS ?? 20)),
    leaseS: options.leaseS,
    streams: options.streams,
    amazonAgent: options.amazonAgent,
    webhookBytes: options.webhookBytes,
    webhooks: { deadlineMs: 5_000, ...options.webhooks },
    ...(options.smtp && { smtp: { host: '127.0.0.1', port: 0, ...options.smtp } }),
    ...(!options.realTime && { clock, queueClock: clock }),
  });
  await omega.http!.listen({ port: 0, host: '127.0.0.1' });
  const smtpPort = (await omega.smtp?.listen()) ?? null;
  const url = `http://127.0.0.1:${(omega.http!.server.address() as AddressInfo).port}/omega`;
  const { key: platformKey } = await createKey(omega.database.db, {
    businessId: null,
    name: 'tests',
    scopes: allScopes,
    now: new Date(clock.now()),
  });
  const as = (key: string | null) => clientOf(url, key);
  const platform = as(platformKey);
  return {
    omega,
    smtpPort,
    url,
    platformKey,
    clock,
    platform,
    as,
    async business(plan) {
      const answer = await platform.post('/business/onboard', { ...lotus, ...plan });
      if (answer.status !== 202)
        throw new Error(`onboarding answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      // Without a worker the onboarding's steps stay where they are.
      if (options.worker ?? true) await omega.queue.settled();
      const key = answer.body.api_key as string;
      return { api: as(key), key, businessId: answer.body.business_id };
    },
    settled: () => omega.queue.settled(),
    async tick(ms) {
      // A jump, then each timer that it passed fires once: a tick would play every poll of an hour. They fire at
      // the new time, not before it, or what is due at that very moment would be missed and waited for for ever.
      await clock.setTime(clock.now() + ms);
      await clock.tick(0);
      await omega.queue.settled();
    },
    close: () => omega.close(),
  };
}

/** A body that is sent as it is. */
const isSent = (body: unknown): body is string | Uint8Array =>
  typeof body === 'string' || body instanceof Uint8Array;

export function clientOf(url: string, key: string | null): Client {
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    // Undici's own request: fetch takes three times as much work, which most of a small request is.
    const response = await request(new URL(url + path), {
      method: method as Dispatcher.HttpMethod,
      headers: {
        ...(key !== null && { 'x-api-key': key }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : isSent(body) ? body : JSON.stringify(body),
    });
    const answered = new Headers();
    for (const [name, values] of Object.entries(response.headers))
      for (const value of [values ?? []].flat()) answered.append(name, value);
    const type = answered.get('content-type') ?? '';
    // What goes on for ever is not waited for; test/support/streams.ts reads it.
    const goesOn = type.startsWith('text/event-stream');
    if (goesOn) response.body.on('error', () => undefined).destroy();
    const text = goesOn ? '' : await response.body.text();
    const isJson = type.includes('json');
    return {
      status: response.statusCode,
      headers: answered,
      body: isJson && text ? JSON.parse(text) : text,
    };
  };
  return {
    call,
    get: (path, headers) => call('GET', path, undefined, headers),
    post: (path, body, headers) => call('POST', path, body ?? {}, headers),
  };
}
