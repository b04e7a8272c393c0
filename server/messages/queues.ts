import type { QueueDefinition } from '../core/queue/index.ts';

/** How long a carrier may take to answer, in all (not idle time): then the outcome is not known. */
export const carrierDeadlineMs = 10_000;

/** Hands a message to its carrier. The lease outlives the deadline, so only a dead worker loses it. */
export const sendMessageQueue: QueueDefinition<{ business_id: number; message_id: string }> = {
  name: 'send-message',
  leaseS: 30,
  retryLimit: 5,
};

/** Asks a carrier whether it takes a paused account again. */
export const resumeAccountQueue: QueueDefinition<{ business_id: number; provider: string; tries: number }> = {
  name: 'resume-account',
  leaseS: 30,
  retryLimit: 20,
};

/** Brings a picture of an inbound message. With its waits in between, the last try is some two hours later. */
export const fetchMediaQueue: QueueDefinition<{
  business_id: number;
  message_id: string;
  provider: string;
  index: number;
  url: string;
}> = {
  name: 'fetch-media',
  leaseS: 60,
  retryLimit: 30,
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
