import type { QueueDefinition } from '../core/queue/index.ts';

/** How long a carrier may take to answer, in all (not idle time): then the outcome is not known. */
export const carrierDeadlineMs = 10_000;

/** Hands a message to its carrier. The lease outlives the deadline, so only a dead worker loses it. */
export const sendMessageQueue: QueueDefinition<{ business_id: number; message_id: string }> = {
  name: 'send-message',
  leaseS: 30,
  retryLimit: 5,
};

/** Finds out what became of an attempt whose outcome is not known. */
export const settleAttemptQueue: QueueDefinition<{
  business_id: number;
  message_id: string;
  attempt_no: number;
  tries: number;
}> = {
  name: 'settle-attempt',
  leaseS: 30,
  retryLimit: 20,
};
