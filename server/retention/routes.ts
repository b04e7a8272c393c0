import { businessFor } from '../businesses/index.ts';
import { answer, type Binding, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { purgeQueue } from './jobs.ts';
import { presentRetention, readRetention, setRetention } from './policy.ts';

export function retentionRoutes({ queue }: { queue: JobQueue }): Binding[] {
  return [
    read('getRetention', async (db, { businessId }) => {
      await businessFor(db, businessId);
      return answer(200, presentRetention(businessId, await readRetention(db, businessId)));
    }),

    write('setRetention', async (tx, { businessId, body, now, origin }) => {
      await businessFor(tx, businessId);
      await setRetention(tx, now, { businessId, messageDays: body.message_days, by: origin });
      if (body.message_days !== null)
        await queue.insert(tx, purgeQueue, [{ data: { business_id: businessId } }]);
      return answer(200, presentRetention(businessId, await readRetention(tx, businessId)));
    }),
  ];
}
