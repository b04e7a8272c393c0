import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction } from '../core/db/index.ts';
import type { JobHandler, JobQueue } from '../core/queue/index.ts';
import { wakeConversationQueue } from './queues.ts';
import { wakeConversations } from './set-status.ts';

export function conversationJobs({
  db,
  clock,
  queue,
}: {
  db: Db;
  clock: Clock;
  queue: JobQueue;
}): JobHandler<never>[] {
  const wake: JobHandler<{ business_id: number; conversation_id: string }> = {
    queue: wakeConversationQueue,
    batchSize: 50,
    concurrency: 1,
    async run(jobs) {
      const ids = jobs.map(({ data }) => ({
        businessId: data.business_id,
        conversationId: data.conversation_id,
      }));
      await inTransaction(db, (tx) => wakeConversations(tx, new Date(clock.now()), queue, ids));
      return new Map();
    },
  };
  return [wake as unknown as JobHandler<never>];
}
