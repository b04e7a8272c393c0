import type { Agent } from 'node:https';
import { accessRoutes } from './access/index.ts';
import { businessRoutes, senderRoutes } from './businesses/index.ts';
import { callRoutes, callSources, textWhenMissed } from './calls/index.ts';
import type { Carriers } from './channels/index.ts';
import { clientRoutes, consentRoutes } from './clients/index.ts';
import { conversationRoutes } from './conversations/index.ts';
import type { Clock } from './core/clock.ts';
import type { Database, Db } from './core/db/index.ts';
import type { Binding, Cursors } from './core/http/index.ts';
import type { Log } from './core/log.ts';
import type { Metrics } from './core/metrics.ts';
import type { JobQueue } from './core/queue/index.ts';
import type { Secrets } from './core/secrets.ts';
import { healthRoutes } from './health/index.ts';
import { identityRoutes } from './identity/index.ts';
import { mailRoutes, mailSources, unsubscribeRoutes } from './mail/index.ts';
import {
  attachmentRoutes,
  type CarrierEvents,
  emailRoutes,
  type Intake,
  messageActRoutes,
  messageRoutes,
  searchRoutes,
} from './messages/index.ts';
import { type EventStreams, realtimeRoutes } from './realtime/index.ts';
import { type Receipts, receiptRoutes, type WebhookSource } from './receipts/index.ts';
import { retentionRoutes } from './retention/index.ts';
import { simulatorRoutes } from './simulator/index.ts';
import { twilioRoutes, twilioSources } from './twilio/index.ts';
import { type Webhooks, webhookRoutes } from './webhooks/index.ts';

export interface AppParts {
  database: Database;
  queue: JobQueue;
  /** The names of all queues. */
  queues: readonly string[];
  streams: EventStreams;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  secrets: Secrets;
  cursors: Cursors;
  intake: Intake;
  receipts: Receipts;
  carriers: Carriers;
  webhooks: Webhooks;
  version: string;
  basePath: string;
  /** Where carriers and browsers reach it; no slash at the end. */
  publicUrl: string;
  secureCookies: boolean;
  simulator: boolean;
}

/** Every module's functions, bound to the contract's rows. From a URL: contract/ names the operation, this the module. */
export function allRoutes(parts: AppParts): Binding[] {
  return [
    ...healthRoutes(parts),
    ...accessRoutes(parts),
    ...businessRoutes(parts),
    ...senderRoutes(parts),
    ...retentionRoutes(parts),
    ...clientRoutes({ ...parts, db: parts.database.db, searchDb: parts.database.searchDb }),
    ...consentRoutes(parts),
    ...conversationRoutes(parts),
    ...messageRoutes(parts),
    ...emailRoutes(parts),
    ...attachmentRoutes({ ...parts, db: parts.database.db, apiUrl: parts.publicUrl + parts.basePath }),
    ...unsubscribeRoutes({ db: parts.database.db, secrets: parts.secrets }),
    ...messageActRoutes({ ...parts, db: parts.database.db }),
    ...searchRoutes({ cursors: parts.cursors, searchDb: parts.database.searchDb }),
    ...identityRoutes(parts),
    ...simulatorRoutes({ intake: parts.intake, enabled: parts.simulator }),
    ...callRoutes(parts),
    ...receiptRoutes(parts),
    ...realtimeRoutes({ ...parts, db: parts.database.db }),
    ...twilioRoutes(parts),
    ...mailRoutes(parts),
    ...webhookRoutes(parts),
  ];
}

/** Every webhook that carriers may post to. */
export function allWebhookSources(parts: {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  secrets: Secrets;
  carrierEvents: CarrierEvents;
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
  amazonAgent?: Agent;
}): WebhookSource[] {
  return [
    ...twilioSources(parts),
    ...mailSources(parts),
    ...callSources({ ...parts, textWhenMissed: textWhenMissed(parts.db, parts.queue) }),
  ];
}
