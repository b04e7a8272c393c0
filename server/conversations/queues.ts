import type { QueueDefinition } from '../core/queue/index.ts';

/** Opens a conversation when its snooze ends. */
export const wakeConversationQueue: QueueDefinition<{ business_id: number; conversation_id: string }> = {
  name: 'wake-conversation',
  leaseS: 30,
  retryLimit: 20,
};
