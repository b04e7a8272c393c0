import { sql } from 'kysely';
import { writeConsents } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type EventType, type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import { writeTimeline } from './timeline.ts';

/** What may happen to a message beside its status. */
export type Fact = 'open' | 'click' | 'complaint' | 'unsubscribe' | 'resubscribe';

interface FactRow {
  /** Where its first time stands; null where it is in the timeline alone. */
  column: string | null;
  event: EventType | null;
  /** What it says of marketing. */
  consent: 'granted' | 'revoked' | null;
}

const facts: Record<Fact, FactRow> = {
  open: { column: 'opened_at', event: 'message.opened', consent: null },
  click: { column: 'clicked_at', event: 'message.clicked', consent: null },
  complaint: { column: 'complained_at', event: 'message.complained', consent: 'revoked' },
  unsubscribe: { column: 'unsubscribed_at', event: 'message.unsubscribed', consent: 'revoked' },
  resubscribe: { column: null, event: null, consent: 'granted' },
};

export interface NewFact {
  businessId: number;
  messageId: string;
  fact: Fact;
  provider: string;
  occurredAt: string | null;
  /** Who did it, where that is not the message's client: somebody who got a copy. */
  address?: string;
  /** A machine did it (a scanner, a proxy that loads images before anybody looks): it is no sign of a reader. */
  byMachine?: boolean;
  by: Origin;
}

/**
 * Writes a fact to its message. The first time counts; what follows is in the timeline alone. A complaint
 * or an unsubscription is an opt-out from marketing on the channel, whatever the message itself was, and
 * subscribing again is an opt-in.
 */
export async function noteFact(tx: Tx, now: Date, told: NewFact): Promise<void> {
  const { businessId, messageId, fact, by } = told;
  const { column, event, consent } = facts[fact];
  await writeTimeline(tx, [
    {
      businessId,
      messageId,
      kind: `fact.${fact}`,
      at: now,
      data: {
        provider: told.provider,
        occurred_at: told.occurredAt,
        ...(told.byMachine && { by_machine: true }),
        ...(told.address !== undefined && { address: told.address }),
      },
    },
  ]);
  if (told.byMachine) return;
  const at = told.occurredAt ? new Date(told.occurredAt) : now;
  const message = await tx
    .selectFrom('messages')
    .select(['conversation_id', 'client_id', 'channel', 'to_address', 'direction'])
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .executeTakeFirst();
  if (message?.direction !== 'outbound') return;
  const ofCopy = told.address !== undefined && told.address !== message.to_address;
  const { client_id, channel } = message;
  const events: NewEvent[] = [];
  if (
    event !== null &&
    column !== null &&
    !ofCopy &&
    (await isFirst(tx, businessId, messageId, column, at))
  ) {
    events.push({
      businessId,
      type: event,
      by,
      changed: { [column]: { from: null, to: at.toISOString() } },
      data: { message_id: messageId, conversation_id: message.conversation_id, client_id, channel },
    });
  }
  const address = told.address ?? message.to_address;
  if (consent !== null && address !== null && (await isNews(tx, businessId, channel, address, consent))) {
    await writeConsents(tx, now, [
      {
        businessId,
        channel,
        address,
        category: 'marketing',
        state: consent,
        source: fact,
        evidence: { message_id: messageId, provider: told.provider, occurred_at: told.occurredAt },
        clientId: ofCopy ? null : client_id,
        at,
      },
    ]);
    events.push({
      businessId,
      type: consent === 'revoked' ? 'consent.revoked' : 'consent.granted',
      by,
      data: { client_id, channel, address, category: 'marketing', source: fact, message_id: messageId },
    });
  }
  await recordEvents(tx, now, events);
}

async function isFirst(
  tx: Tx,
  businessId: number,
  messageId: string,
  column: string,
  at: Date,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update messages set ${sql.ref(column)} = ${at}
    where business_id = ${businessId} and message_id = ${messageId}::uuid and ${sql.ref(column)} is null`.execute(
    tx,
  );
  return Number(numAffectedRows) > 0;
}

/** Carriers tell a thing twice, under a new id too; who unsubscribed, came back and left again did so each time. */
async function isNews(
  tx: Tx,
  businessId: number,
  channel: string,
  address: string,
  state: 'granted' | 'revoked',
): Promise<boolean> {
  const latest = await tx
    .selectFrom('consents')
    .select('state')
    .where('business_id', '=', businessId)
    .where('channel', '=', channel)
    .where('address', '=', address)
    .where('category', '=', 'marketing')
    .orderBy('created_at', 'desc')
    .orderBy('consent_id', 'desc')
    .executeTakeFirst();
  return latest?.state !== state;
}
