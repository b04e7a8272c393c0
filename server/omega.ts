import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Clock as QueueClock } from 'pg-boss';
import { createAuthenticate } from './access/index.ts';
import { allRoutes } from './app.ts';
import type { Carrier, Carriers } from './channels/index.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { type Database, type DatabaseTarget, migrate, openDatabase } from './core/db/index.ts';
import {
  buildHttp,
  createCursors,
  defaultLimits,
  forgetOldRequests,
  type Limits,
} from './core/http/index.ts';
import type { Log } from './core/log.ts';
import { createJobQueue, type JobQueue } from './core/queue/index.ts';
import { createSecrets, type Secrets } from './core/secrets.ts';
import { createCarrierEvents, createIntake } from './messages/index.ts';
import { createSimulator } from './simulator/index.ts';
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
  checkAnswers?: boolean;
  carrierDeadlineMs?: number;
}

export interface Omega {
  /** Null where the process answers no HTTP. */
  http: FastifyInstance | null;
  database: Database;
  queue: JobQueue;
  secrets: Secrets;
  /** The migrations applied at this start. */
  migrated: string[];
  /** Stops in the reverse order: no new request, then no new job, then the database. */
  close(): Promise<void>;
}

export const version: string = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'),
).version;

/** What is left of a job when the process is told to stop: after that its lease must run out. */
const jobGraceMs = 15_000;
/** How often the worker goes on with what a crash left behind, and forgets what is old. */
const tidyEveryMs = 30_000;

/** Builds Omega in order, each part from those before it. Does not listen. */
export async function createOmega(options: OmegaOptions): Promise<Omega> {
  const { log, clock = systemClock } = options;
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const database = await openDatabase(options.database, (error) =>
      log.warn({ err: error }, 'a database connection was lost'),
    );
    closers.push(() => database.close());
    const { db } = database;
    const migrated = await migrate(db);
    const secrets = createSecrets(options.secret);
    const queue = createJobQueue(database, {
      queues: allQueues,
      log,
      clock,
      queueClock: options.queueClock,
      supervise: options.worker,
    });
    closers.push(() => queue.stop(jobGraceMs));

    const carriers: Carriers = new Map<string, Carrier>(
      options.simulator ? [['simulator', createSimulator({ db, queue, clock })]] : [],
    );
    const carrierEvents = createCarrierEvents({ db, queue, clock, log, secrets });
    const jobs = options.worker
      ? allJobs({
          database,
          queue,
          secrets,
          clock,
          log,
          carriers,
          carrierEvents,
          carrierDeadlineMs: options.carrierDeadlineMs,
        })
      : [];
    await queue.start(jobs);

    if (options.worker) {
      const tidy = async () => {
        await carrierEvents.resume();
        await forgetOldRequests(db, new Date(clock.now()));
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
      http = await buildHttp({
        bindings: allRoutes({
          database,
          queue,
          clock,
          secrets,
          cursors: createCursors(secrets),
          intake,
          version,
          basePath: options.basePath,
          secureCookies: options.publicUrl.startsWith('https:'),
          simulator: options.simulator,
        }),
        authenticate: createAuthenticate(db, clock),
        db,
        clock,
        secrets,
        log,
        limits: options.limits ?? defaultLimits,
        basePath: options.basePath,
        publicUrl: options.publicUrl,
        version,
        checkAnswers: options.checkAnswers ?? false,
      });
      const server = http;
      closers.push(() => server.close());
    }
    return { http, database, queue, secrets, migrated, close };
  } catch (error) {
    await close();
    throw error;
  }
}
