import { sql } from 'kysely';
import { writeConsents } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type EventType, type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import { writeTimeline } from './timeline.ts';

/** What may happen to a message beside its status. */
export type Fact = 'open' | 'click' | 'complaint' | 'unsubscribe';

const facts: Record<Fact, { column: string; event: EventType; revokes: boolean }> = {
  open: { column: 'opened_at', event: 'message.opened', revokes: false },
  click: { column: 'clicked_at', event: 'message.clicked', revokes: false },
  complaint: { column: 'complained_at', event: 'message.complained', revokes: true },
  unsubscribe: { column: 'unsubscribed_at', event: 'message.unsubscribed', revokes: true },
};

export interface NewFact {
  businessId: number;
  messageId: string;
  fact: Fact;
  provider: string;
  occurredAt: string | null;
  by: Origin;
}

/**
 * Writes a fact to its message. The first time counts; what follows is in the timeline alone. A complaint
 * or an unsubscription is an opt-out from marketing on the channel, whatever the message itself was.
 */
export async function noteFact(tx: Tx, now: Date, told: NewFact): Promise<void> {
  const { businessId, messageId, fact, by } = told;
  const { column, event, revokes } = facts[fact];
  await writeTimeline(tx, [
    {
      businessId,
      messageId,
      kind: `fact.${fact}`,
      at: now,
      data: { provider: told.provider, occurred_at: told.occurredAt },
    },
  ]);
  const at = told.occurredAt ? new Date(told.occurredAt) : now;
  const { rows } = await sql<{
    conversation_id: string;
    client_id: number;
    channel: string;
    to_address: string | null;
  }>`
    update messages set ${sql.ref(column)} = ${at}
    where business_id = ${businessId} and message_id = ${messageId}::uuid and direction = 'outbound'
      and ${sql.ref(column)} is null
    returning conversation_id, client_id, channel, to_address`.execute(tx);
  const message = rows[0];
  if (!message) return;
  const events: NewEvent[] = [
    {
      businessId,
      type: event,
      by,
      changed: { [column]: { from: null, to: at.toISOString() } },
      data: {
        message_id: messageId,
        conversation_id: message.conversation_id,
        client_id: message.client_id,
        channel: message.channel,
      },
    },
  ];
  if (revokes && message.to_address !== null) {
    const { client_id, channel, to_address: address } = message;
    await writeConsents(tx, now, [
      {
        businessId,
        channel,
        address,
        category: 'marketing',
        state: 'revoked',
        source: fact,
        evidence: { message_id: messageId, provider: told.provider, occurred_at: told.occurredAt },
        clientId: client_id,
      },
    ]);
    events.push({
      businessId,
      type: 'consent.revoked',
      by,
      data: { client_id, channel, address, category: 'marketing', source: fact, message_id: messageId },
    });
  }
  await recordEvents(tx, now, events);
}
