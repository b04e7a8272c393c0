import { readFileSync } from 'node:fs';
import type { Agent } from 'node:https';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Clock as QueueClock } from 'pg-boss';
import { createAuthenticate, holding } from './access/index.ts';
import { allRoutes, allWebhookSources } from './app.ts';
import { allCarriers } from './carriers.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { type Database, type DatabaseTarget, migrate, openDatabase } from './core/db/index.ts';
import { createEventSignal, forgetOldEvents, onEvents } from './core/events/index.ts';
import {
  buildHttp,
  createCursors,
  defaultLimits,
  forgetOldRequests,
  type Limits,
} from './core/http/index.ts';
import type { Log } from './core/log.ts';
import { createMetrics } from './core/metrics.ts';
import { createJobQueue, type JobQueue } from './core/queue/index.ts';
import { createSecrets, type Secrets } from './core/secrets.ts';
import { createHeartbeat } from './health/index.ts';
import { createSmtpListener, type SmtpListener, type SmtpOptions } from './mail/index.ts';
import { createCarrierEvents, createIntake } from './messages/index.ts';
import { createEventStreams, type StreamLimits } from './realtime/index.ts';
import { createReceipts } from './receipts/index.ts';
import { startDueRuns } from './retention/index.ts';
import { secretFits, WrongSecret } from './secret-fits.ts';
import { createWebhooks, type WebhookOptions } from './webhooks/index.ts';
import { allJobs, allQueues } from './worker.ts';

/** What a process of Omega is made of. */
export interface OmegaOptions {
  database: DatabaseTarget;
  /** At least 32 bytes: see OMEGA_SECRET. */
  secret: string;
  log: Log;
  /** Answers HTTP. */
  server: boolean;
  /** Works on jobs. */
  worker: boolean;
  simulator: boolean;
  basePath: string;
  /** Where carriers and browsers reach it; no slash at the end. */
  publicUrl: string;
  clock?: Clock;
  queueClock?: QueueClock;
  limits?: Limits;
  /** How live streams of events are kept, and how many; what is left out is as usual. */
  streams?: Partial<StreamLimits>;
  /** The number of proxies in front, or their addresses (a CIDR list), whose `X-Forwarded-For` is believed. */
  trustProxy?: number | string[];
  checkAnswers?: boolean;
  /** Bytes of large webhooks that are held at once; 100 MiB unless told. */
  webhookBytes?: number;
  carrierDeadlineMs?: number;
  /** For requests to Amazon, whose certificates sign what SES tells; Node's own when left out. */
  amazonAgent?: Agent;
  /** Takes mail in by SMTP; nothing listens when left out. */
  smtp?: SmtpOptions;
  /** How often a worker shows that it lives, in milliseconds; 10 s unless told. */
  beatEveryMs?: number;
  /** How events are posted to receivers. */
  webhooks?: WebhookOptions;
  /** Seconds of every job's lease; each queue's own when left out. Longer than the carrier's deadline. */
  leaseS?: number;
}

export interface Omega {
  /** Null where the process answers no HTTP. */
  http: FastifyInstance | null;
  /** Null where the process takes no mail in by SMTP. */
  smtp: SmtpListener | null;
  database: Database;
  queue: JobQueue;
  secrets: Secrets;
  /** The migrations applied at this start. */
  migrated: string[];
  /** Stops within half a minute: no new job and no new request, then the jobs under way, then the database. */
  close(): Promise<void>;
}

export const version: string = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'),
).version;

/**
 * What is left to a request and to a job when the process is told to stop, both from that moment: a job
 * that takes longer is claimed again after its lease. Supervisors kill after 30 s.
 */
const requestGraceMs = 10_000;
const jobGraceMs = 15_000;
/** How often the worker goes on with what a crash left behind, and forgets what is old. */
const tidyEveryMs = 30_000;

/** No new request; those under way are answered, or cut off after their grace. */
async function closeHttp(http: FastifyInstance): Promise<void> {
  const cutOff = setTimeout(() => http.server.closeAllConnections(), requestGraceMs);
  await http.close().finally(() => clearTimeout(cutOff));
}

/** Builds Omega in order, each part from those before it. Does not listen. */
export async function createOmega(options: OmegaOptions): Promise<Omega> {
  const { log, clock = systemClock } = options;
  const closers: (() => Promise<void>)[] = [];
  let closingSince = 0;
  const close = async () => {
    closingSince ||= performance.now();
    const failures: unknown[] = [];
    // What one cannot give back the next still must: the data folder's lock comes last.
    for (const closer of closers.splice(0).reverse()) await closer().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const database = await openDatabase(options.database, (error) =>
      log.warn({ err: error }, 'a database connection was lost'),
    );
    closers.push(() => database.close());
    const { db } = database;
    const migrated = await migrate(db);
    const metrics = createMetrics(database.pools);
    onEvents(db, metrics.eventsWritten);
    const secrets = createSecrets(options.secret);
    // Before any job runs: a worker that cannot open a carrier's credentials would fail every message.
    if (!(await secretFits(db, secrets))) throw new WrongSecret();
    const events = createEventSignal(database, log);
    closers.push(() => events.close());
    const apiUrl = options.publicUrl + options.basePath;
    const queue = createJobQueue(database, {
      queues: allQueues,
      log,
      clock,
      queueClock: options.queueClock,
      supervise: options.worker,
      leaseS: options.leaseS,
    });
    const carriers = allCarriers({
      db,
      queue,
      clock,
      secrets,
      apiUrl,
      simulator: options.simulator,
    });
    const webhooks = createWebhooks({ db, queue, clock, log, secrets }, options.webhooks);
    // Their connections end after the jobs that use them.
    closers.push(() => webhooks.close());
    closers.push(async () => {
      for (const carrier of carriers.values()) carrier.close?.();
    });
    closers.push(() => queue.stop(Math.max(0, jobGraceMs - (performance.now() - closingSince))));
    const carrierEvents = createCarrierEvents({ db, queue, clock, log, secrets });
    const receipts = createReceipts({
      db,
      clock,
      log,
      secrets,
      received: metrics.webhookReceived,
      sources: allWebhookSources({
        db,
        queue,
        clock,
        secrets,
        carrierEvents,
        apiUrl,
        amazonAgent: options.amazonAgent,
      }),
    });
    const jobs = options.worker
      ? allJobs({
          database,
          queue,
          secrets,
          clock,
          log,
          carriers,
          carrierEvents,
          metrics,
          webhooks,
          apiUrl,
          carrierDeadlineMs: options.carrierDeadlineMs,
          leaseS: options.leaseS,
        })
      : [];
    await queue.start(jobs);

    if (options.worker) {
      const snapshot = options.server ? null : metrics.snapshot;
      const heartbeat = createHeartbeat({
        db,
        log,
        version,
        snapshot,
        beatEveryMs: options.beatEveryMs,
      });
      closers.push(heartbeat.stop);
      await heartbeat.start();

      webhooks.follow(events);
      const tidy = async () => {
        const steps = [
          carrierEvents.resume,
          receipts.resume,
          receipts.tidy,
          () => startDueRuns({ db, queue, clock }),
          webhooks.resume,
          webhooks.tidy,
          () => forgetOldRequests(db, new Date(clock.now())),
          () => forgetOldEvents(db, new Date(clock.now())),
        ];
        const failures: unknown[] = [];
        // What one of them cannot do keeps no other from its own.
        for (const step of steps) await step().catch((error: unknown) => failures.push(error));
        if (failures.length > 0) throw failures[0];
      };
      const timer = setInterval(() => {
        tidy().catch((error) => log.error({ err: error }, 'the worker could not tidy up; it tries again'));
      }, tidyEveryMs);
      closers.push(async () => clearInterval(timer));
    }

    let http: FastifyInstance | null = null;
    if (options.server) {
      // One lane where there is one connection; on Postgres a slow transaction must not hold up the others.
      const intake = createIntake({ db, queue, clock, secrets, lanes: database.kind === 'pglite' ? 1 : 4 });
      closers.push(() => intake.close());
      const streams = createEventStreams({
        db,
        events,
        holding: (credentials) => holding(db, credentials, new Date(clock.now())),
        log,
        limits: options.streams,
      });
      http = await buildHttp({
        bindings: allRoutes({
          database,
          queue,
          queues: allQueues.map(({ name }) => name),
          streams,
          clock,
          log,
          metrics,
          secrets,
          cursors: createCursors(secrets),
          intake,
          receipts,
          carriers,
          webhooks,
          version,
          basePath: options.basePath,
          publicUrl: options.publicUrl,
          secureCookies: options.publicUrl.startsWith('https:'),
          simulator: options.simulator,
        }),
        authenticate: createAuthenticate(db, clock, log),
        db,
        clock,
        secrets,
        log,
        limits: options.limits ?? defaultLimits,
        trustProxy: options.trustProxy,
        basePath: options.basePath,
        publicUrl: options.publicUrl,
        version,
        checkAnswers: options.checkAnswers ?? false,
        webhookBytes: options.webhookBytes,
        answered: metrics.requestAnswered,
      });
      const server = http;
      closers.push(() => closeHttp(server));
      // They would go on for ever, and hold up the requests' end. Their readers connect elsewhere.
      closers.push(async () => streams.close());
    }
    const smtp =
      options.server && options.smtp
        ? createSmtpListener({ db, secrets, clock, log, receipts }, options.smtp)
        : null;
    if (smtp) closers.push(() => smtp.close());
    // First of all: while the last requests are answered, no new job begins.
    closers.push(() => queue.stopFetching());
    return { http, smtp, database, queue, secrets, migrated, close };
  } catch (error) {
    await close();
    throw error;
  }
}
