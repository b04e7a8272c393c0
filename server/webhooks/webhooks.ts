import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import type { EventSignal } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { Log } from '../core/log.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { type AllowedHosts, readAllowedHosts } from './hosts.ts';
import { createPostman, type Postman } from './postman.ts';
import { forgetDeliveries } from './queries.ts';
import type { Attempted } from './settle.ts';
import { createTester } from './test-webhook.ts';
import { wakeForEvents, wakeForgotten } from './wake.ts';

export interface WebhookOptions {
  /** What may be reached beside public addresses: see OMEGA_WEBHOOK_HOSTS. */
  hosts?: readonly string[];
  /** Milliseconds that a receiver has; 15,000 when left out. */
  deadlineMs?: number;
  /** Name servers, as `127.0.0.1:5353`; the system's when left out. */
  dnsServers?: readonly string[];
}

export interface Webhooks {
  allowed: AllowedHosts;
  postman: Postman;
  test(businessId: number, webhookId: string, by: Origin): Promise<Attempted>;
  /** Wakes the webhooks of who has new events, from now on. For a process that works on jobs. */
  follow(events: EventSignal): void;
  /** Goes on with what a crash or a missed notice left behind. */
  resume(): Promise<void>;
  /** Forgets what is old. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** Commits come by the thousand, and one look finds the events of all that came since the last. */
const gatherMs = 25;

export function createWebhooks(
  parts: { db: Db; queue: JobQueue; clock: Clock; log: Log; secrets: Secrets },
  { hosts = [], ...options }: WebhookOptions = {},
): Webhooks {
  const { db, queue, clock, log } = parts;
  const allowed = readAllowedHosts(hosts);
  const postman = createPostman({ ...options, clock, allowed });
  const now = () => new Date(clock.now());
  const enders: (() => void)[] = [];
  const woken = new Set<number>();
  let isAnyone = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const ids = [...woken];
    woken.clear();
    if (isAnyone) {
      isAnyone = false;
      await wakeForgotten(db, queue, now());
    }
    if (ids.length > 0) await wakeForEvents(db, queue, now(), ids);
  }

  function lookSoon(): void {
    timer ??= setTimeout(() => {
      looking = look()
        .catch((error) => log.warn({ err: error }, 'webhooks could not be told of events; it is made up for'))
        .then(() => {
          timer = undefined;
          if (woken.size > 0 || isAnyone) lookSoon();
        });
    }, gatherMs).unref();
  }

  return {
    allowed,
    postman,
    test: createTester({ ...parts, postman, now }),
    follow(events) {
      enders.push(
        events.subscribe((businessId) => {
          if (businessId === null) isAnyone = true;
          else woken.add(businessId);
          lookSoon();
        }),
      );
    },
    resume: () => wakeForgotten(db, queue, now()),
    tidy: () => forgetDeliveries(db, now()),
    async close() {
      for (const end of enders) end();
      woken.clear();
      isAnyone = false;
      clearTimeout(timer);
      await looking;
      await postman.close();
    },
  };
}
