import type { Carriers } from '../channels/index.ts';
import { answer, type Binding, type Cursors, pageOf, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { businessFor, lockBusiness } from './access.ts';
import { askCarriersAgain } from './onboarding-jobs.ts';
import { removeSender } from './remove-sender.ts';
import { listSenders, presentSender, senderFor } from './senders.ts';
import { upsertSender } from './upsert-sender.ts';

export function senderRoutes({
  queue,
  cursors,
  carriers,
}: {
  queue: JobQueue;
  cursors: Cursors;
  carriers: Carriers;
}): Binding[] {
  return [
    read('listSenders', async (db, { businessId, query }) => {
      await businessFor(db, businessId);
      const { limit = 25, cursor, channel, location_id: locationId, active = true } = query;
      const filters = { channel, locationId, active };
      const about = ['listSenders', businessId, filters];
      const after = cursor === undefined ? null : String(cursors.decode(about, cursor)[0]);
      const page = pageOf(
        await listSenders(db, businessId, filters, limit, after),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.sender_id],
      );
      return answer(200, {
        data: page.rows.map(presentSender),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('upsertSender', async (tx, { businessId, body, now, origin }) => {
      const { country } = await lockBusiness(tx, businessId);
      const { request_id: _, ...given } = body;
      const sender = { businessId, country, given, by: origin };
      const { senderId, added, askCarriers } = await upsertSender(tx, now, sender, carriers);
      if (askCarriers) await askCarriersAgain(tx, now, queue, businessId);
      const shown = presentSender(await senderFor(tx, businessId, senderId));
      return added ? answer(201, shown) : answer(200, shown);
    }),

    write('removeSender', async (tx, { businessId, params, body, now, origin }) => {
      await lockBusiness(tx, businessId);
      const sender = { businessId, senderId: params.sender_id, by: origin };
      await removeSender(tx, now, sender, body.scheduled === 'send');
      return answer(200, presentSender(await senderFor(tx, businessId, params.sender_id)));
    }),
  ];
}
