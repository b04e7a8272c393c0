import { sql } from 'kysely';
import {
  conversationFor,
  conversationOf,
  lockConversationFor,
  openConversations,
} from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { asMoved, moveBetween } from './move-messages.ts';
import { Moves, recount } from './recount.ts';

export interface Confirmation {
  businessId: number;
  clientId: number;
  conversationId: string;
  /** Whose the messages are. */
  confirmedId: number;
  by: Origin;
}

interface Shared {
  kind: string;
  address: string;
  since: Date;
}

/**
 * Staff say whose the messages from a shared address are. Those, and staff's answers to them, go to
 * that client's conversation. Consent is not touched: it belongs to the address.
 *
 * @returns the conversation where they are now
 */
export async function confirmIdentity(tx: Tx, now: Date, confirmation: Confirmation): Promise<string> {
  const { businessId, confirmedId, by } = confirmation;
  const shared = await candidateOf(tx, confirmation);
  const source = await lockConversationFor(
    tx,
    businessId,
    confirmation.clientId,
    confirmation.conversationId,
  );
  let target = source;
  const events: NewEvent[] = [];
  const moves = new Moves();
  if (confirmedId !== source.client_id) {
    const open = await openConversations(
      tx,
      now,
      [{ businessId, clientId: confirmedId, locationId: source.location_id }],
      { orLatestClosed: true },
    );
    target = conversationOf(open, businessId, confirmedId);
    if (target.created) {
      events.push({
        businessId,
        type: 'conversation.created',
        by,
        data: { conversation_id: target.conversation_id, client_id: confirmedId },
      });
    }
    // The messages in question, and staff's answers to that address since the first of them.
    const theirs = sql`occurred_at >= ${shared.since}
      and (ambiguous or (direction = 'outbound' and sender_type = 'staff' and to_address = ${shared.address}))`;
    moves.note(source, target, await moveBetween(tx, source, target, theirs, asMoved));
    events.push(...(await recount(tx, now, moves, by, 'conversation.identity_confirmed')));
  }
  await sql`
    update conversations set ambiguous_since = null, identity_reason = null,
      identity_confirmed_at = case when conversation_id = ${target.conversation_id} then ${now}::timestamptz end,
      shared_kind = ${shared.kind}, shared_address = ${shared.address}, updated_at = ${now}
    where business_id = ${businessId} and conversation_id in (${source.conversation_id}, ${target.conversation_id})`.execute(
    tx,
  );
  await sql`
    update messages set ambiguous = false
    where business_id = ${businessId} and conversation_id = ${target.conversation_id} and ambiguous`.execute(
    tx,
  );
  await recordEvents(tx, now, [
    ...events,
    {
      businessId,
      type: 'conversation.identity_confirmed',
      by,
      changed: { client_id: { from: source.client_id, to: confirmedId } },
      data: {
        conversation_id: target.conversation_id,
        client_id: confirmedId,
        from_conversation_id: source.conversation_id,
        from_client_id: source.client_id,
        messages_moved: moves.messages,
      },
    },
  ]);
  return target.conversation_id;
}

/** Locks the clients against merging and erasing, and checks that the one named is a candidate. */
async function candidateOf(tx: Tx, confirmation: Confirmation): Promise<Shared> {
  const { businessId, confirmedId } = confirmation;
  const source = await lookAt(tx, confirmation);
  const { rows } = await sql<{ client_id: number }>`
    select c.client_id from clients c
    where c.business_id = ${businessId} and c.client_id in (
      select client_id from client_addresses
      where business_id = ${businessId} and kind = ${source.kind} and address = ${source.address})
    order by c.client_id for key share of c`.execute(tx);
  if (!rows.some((row) => row.client_id === confirmedId)) {
    throw invalid('client_id', 'is none of the candidates of this conversation', 'not_found');
  }
  return source;
}

async function lookAt(tx: Tx, { businessId, clientId, conversationId }: Confirmation): Promise<Shared> {
  const row = await conversationFor(tx, businessId, clientId, conversationId);
  if (row.ambiguous_since === null || row.shared_kind === null || row.shared_address === null) {
    throw new Fault('conflict', 'Nothing in this conversation waits to be confirmed.');
  }
  return { kind: row.shared_kind, address: row.shared_address, since: row.ambiguous_since };
}
