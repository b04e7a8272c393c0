import type { Event } from '../../contract/index.ts';
import type { Db } from '../core/db/index.ts';
import { presentEvents } from '../realtime/index.ts';

/**
 * The events of these numbers as webhooks carry them, by number. Made when they are sent: what was erased meanwhile
 * is not in them. A note is for staff alone, so its words stay here; that there is one is told.
 */
export async function payloadsOf(
  db: Db,
  businessId: number,
  sequences: readonly number[],
): Promise<Map<number, Event>> {
  if (sequences.length === 0) return new Map();
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('sequence', 'in', [...sequences])
    .execute();
  const events = await presentEvents(db, businessId, rows);
  return new Map(events.map((event) => [event.sequence, withoutNote(event)]));
}

function withoutNote(event: Event): Event {
  const isNote = event.type.startsWith('note.') || event.data.message?.channel === 'note';
  return isNote ? { ...event, data: { ...event.data, message: null } } : event;
}
