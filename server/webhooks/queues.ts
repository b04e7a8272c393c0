import type { QueueDefinition } from '../core/queue/index.ts';

/** A visit to one webhook: write its deliveries, post those that are due. */
export interface Visit {
  business_id: number;
  webhook_id: string;
}

/** A visit begins no post after 3 s, and a post takes 15 s at most. */
const leaseS = 60;

export const visitWebhookQueue: QueueDefinition<Visit> = { name: 'visit-webhook', leaseS, retryLimit: 20 };

/** Those that fail or take long wait for each other, and for nobody else. */
export const visitSlowWebhookQueue: QueueDefinition<Visit> = {
  name: 'visit-slow-webhook',
  leaseS,
  retryLimit: 20,
};
