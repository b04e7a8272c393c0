import { onboardingJobs, onboardQueue } from './businesses/index.ts';
import { callJobs, missedCallQueue } from './calls/index.ts';
import type { Carriers } from './channels/index.ts';
import { conversationJobs, wakeConversationQueue } from './conversations/index.ts';
import type { Clock } from './core/clock.ts';
import type { Database } from './core/db/index.ts';
import type { Log } from './core/log.ts';
import type { Metrics } from './core/metrics.ts';
import type { JobHandler, JobQueue, QueueDefinition } from './core/queue/index.ts';
import type { Secrets } from './core/secrets.ts';
import {
  type CarrierEvents,
  deliveryJobs,
  fetchMediaQueue,
  mediaJobs,
  pausedAccountJobs,
  resumeAccountQueue,
  sendMessageQueue,
  settleAttemptQueue,
} from './messages/index.ts';
import { purgeQueue, retentionJobs } from './retention/index.ts';
import { simulatorCallbackQueue, simulatorJobs } from './simulator/index.ts';
import { visitJobs, visitSlowWebhookQueue, visitWebhookQueue, type Webhooks } from './webhooks/index.ts';

/** Every queue there is: who enqueues must know it, whether or not this process works on it. */
export const allQueues = [
  sendMessageQueue,
  settleAttemptQueue,
  resumeAccountQueue,
  fetchMediaQueue,
  simulatorCallbackQueue,
  onboardQueue,
  wakeConversationQueue,
  missedCallQueue,
  purgeQueue,
  visitWebhookQueue,
  visitSlowWebhookQueue,
] as readonly QueueDefinition<object>[];

export interface WorkerParts {
  database: Database;
  queue: JobQueue;
  secrets: Secrets;
  clock: Clock;
  log: Log;
  carriers: Carriers;
  carrierEvents: CarrierEvents;
  metrics: Metrics;
  webhooks: Webhooks;
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
  carrierDeadlineMs?: number;
  leaseS?: number;
}

/** Every job there is: its handler, retries and concurrency stand with it. */
export function allJobs(parts: WorkerParts): JobHandler[] {
  const { db, kind } = parts.database;
  return [
    ...deliveryJobs({
      ...parts,
      db,
      deadlineMs: parts.carrierDeadlineMs,
      leaseS: parts.leaseS,
      carrierCalled: parts.metrics.carrierCalled,
      // A slow carrier holds a batch; the others go on.
      concurrency: kind === 'pglite' ? 2 : 4,
    }),
    ...pausedAccountJobs({ ...parts, db }),
    ...mediaJobs({ ...parts, db }),
    ...onboardingJobs({ ...parts, db }),
    ...conversationJobs({ ...parts, db }),
    ...callJobs({ ...parts, db }),
    ...retentionJobs({ ...parts, db }),
    ...simulatorJobs(parts.carrierEvents),
    ...visitJobs({ ...parts, db, postman: parts.webhooks.postman, concurrency: kind === 'pglite' ? 2 : 4 }),
  ];
}
