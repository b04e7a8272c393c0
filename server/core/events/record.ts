import { sql } from 'kysely';
import { type Db, onceCommitted, type Tx } from '../db/index.ts';
import type { Origin } from '../http/index.ts';
import { newId } from '../ids.ts';

/** What happened, beside the change itself: readers (webhooks, live streams) follow the sequence. */
export interface NewEvent {
  businessId: number;
  type: EventType;
  by: Origin;
  /** What changed from what to what, where something did. */
  changed?: Record<string, { from: unknown; to: unknown }>;
  /** The ids and facts that a reader needs to find the rest. */
  data: Record<string, unknown>;
}

/** Every type of event there is. */
export const eventTypes = [
  'account.paused',
  'account.resumed',
  'business.onboarded',
  'client.created',
  'client.updated',
  'client.merged',
  'client.unmerged',
  'client.erased',
  'consent.granted',
  'consent.revoked',
  'appointment.possible_cancellation',
  'conversation.created',
  'conversation.assigned',
  'conversation.read',
  'conversation.status_changed',
  'conversation.identity_confirmed',
  'message.received',
  'message.recorded',
  'message.scheduled',
  'message.queued',
  'message.suppressed',
  'message.sending',
  'message.sent',
  'message.delivered',
  'message.read',
  'message.undelivered',
  'message.failed',
  'message.canceled',
  'message.opened',
  'message.clicked',
  'message.complained',
  'message.unsubscribed',
  'message.rescheduled',
  'message.moved',
  'call.started',
  'call.answered',
  'call.completed',
  'call.missed',
  'call.voicemail',
  'message.attachment_added',
  'note.added',
  'retention.changed',
  'sender.added',
  'sender.changed',
  'sender.removed',
  'session.created',
  'session.expired',
  'webhook.disabled',
  'webhook.test',
] as const;
export type EventType = (typeof eventTypes)[number];

type Listener = (events: readonly NewEvent[]) => void;
const listeners = new WeakMap<Db, Set<Listener>>();

/**
 * Tells of every event that this process writes, once it is committed. For counting and waking: a crash loses it.
 *
 * @param listener must not throw
 * @returns what ends it
 */
export function onEvents(db: Db, listener: Listener): () => void {
  const ours = listeners.get(db) ?? new Set();
  listeners.set(db, ours.add(listener));
  return () => ours.delete(listener);
}

/** What an event is known by: its number in its business, and its id. */
export interface RecordedEvent {
  sequence: number;
  event_id: string;
}

/**
 * Writes events in the transaction of their change, numbered without gaps for each business. Taking
 * the numbers locks the business's row until the commit: so this comes last in a transaction, after
 * every other lock (conversations, then messages, then this), or two would wait crosswise.
 *
 * @returns what each is known by, in order
 */
export async function recordEvents(tx: Tx, now: Date, events: NewEvent[]): Promise<RecordedEvent[]> {
  if (events.length === 0) return [];
  const counts = new Map<number, number>();
  for (const event of events) counts.set(event.businessId, (counts.get(event.businessId) ?? 0) + 1);
  const next = new Map<number, number>();
  // One business after the other, in order: a single statement locks in the order of its plan.
  for (const [businessId, count] of [...counts].sort(([a], [b]) => a - b)) {
    const row = await tx
      .updateTable('businesses')
      .set({ event_sequence: sql`event_sequence + ${count}` })
      .where('business_id', '=', businessId)
      .returning('event_sequence')
      .executeTakeFirstOrThrow();
    next.set(businessId, row.event_sequence - count + 1);
  }
  const rows = events.map((event) => {
    const sequence = next.get(event.businessId)!;
    next.set(event.businessId, sequence + 1);
    return {
      business_id: event.businessId,
      sequence,
      event_id: newId(),
      type: event.type,
      actor: JSON.stringify(event.by.actor),
      origin: JSON.stringify(event.by.origin),
      changed: event.changed ? JSON.stringify(event.changed) : null,
      data: JSON.stringify(event.data),
      created_at: now,
    };
  });
  await tx.insertInto('events').values(rows).execute();
  onceCommitted(tx, (db) => {
    for (const listener of listeners.get(db) ?? []) listener(events);
  });
  return rows.map(({ sequence, event_id }) => ({ sequence, event_id }));
}
