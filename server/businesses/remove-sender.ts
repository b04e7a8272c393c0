import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import { cappedCount, mostCounted, type Origin } from '../core/http/index.ts';

/**
 * Takes a sender out of use. Its row stays: past messages are from it, and what still comes to it is
 * the business's. What was queued carries its sender and carrier itself and goes all the same. The
 * business must be locked.
 *
 * @param letScheduledGo whether messages may be scheduled to go from it
 */
export async function removeSender(
  tx: Tx,
  now: Date,
  { businessId, senderId, by }: { businessId: number; senderId: string; by: Origin },
  letScheduledGo: boolean,
): Promise<void> {
  const row = await tx
    .selectFrom('senders')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('sender_id', '=', senderId)
    .executeTakeFirst();
  if (!row) throw notFound('sender');
  if (!row.active) return;
  if (!letScheduledGo) {
    const scheduled = await countScheduled(tx, now, businessId, row);
    if (scheduled > 0)
      throw new Fault(
        'conflict',
        `${cappedCount(scheduled)} ${scheduled === 1 ? 'message is' : 'messages are'} scheduled to go from ${row.address}. Cancel them (POST /messages/{message_id}/cancel), or send \`scheduled: "send"\` to let them go from it when they are due.`,
      );
  }
  await tx
    .updateTable('senders')
    .set({ active: false, updated_at: now })
    .where('business_id', '=', businessId)
    .where('sender_id', '=', senderId)
    .execute();
  const { channel, address, provider, location_id } = row;
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'sender.removed',
      by,
      data: { sender_id: senderId, channel, address, provider, location_id },
    },
  ]);
}

/** Those that are due later, counted as far as counts go. */
async function countScheduled(
  tx: Tx,
  now: Date,
  businessId: number,
  { channel, address }: { channel: string; address: string },
): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from (
      select 1 from messages
      where business_id = ${businessId} and from_address = ${address} and direction = 'outbound' and send_at > ${now}
        and channel = ${channel} and status in ('scheduled', 'queued')
      limit ${mostCounted + 1}) scheduled`.execute(tx);
  return rows[0]!.n;
}
