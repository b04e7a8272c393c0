import { sql } from 'kysely';
import {
  conversationFor,
  conversationOf,
  type LockedConversation,
  lockConversationFor,
  openConversations,
  reopen,
  saveConversations,
} from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';

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
  let moved = { messages: 0, asks: false };
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
    moved = await moveAmbiguous(tx, source, target, shared);
    events.push(...(await recount(tx, now, source, target, moved.asks, by)));
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
        messages_moved: moved.messages,
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

/**
 * The messages in question, and staff's answers to that address since the first of them. `asks`: one
 * of them is of the client's own hand (no automatic reply) and not read yet.
 */
async function moveAmbiguous(
  tx: Tx,
  source: LockedConversation,
  target: LockedConversation,
  shared: Shared,
): Promise<{ messages: number; asks: boolean }> {
  const { rows } = await sql<{ asks: boolean }>`
    with mine as (
      select message_id from messages
      where business_id = ${source.business_id} and conversation_id = ${source.conversation_id}
        and occurred_at >= ${shared.since}
        and (ambiguous or (direction = 'outbound' and sender_type = 'staff' and to_address = ${shared.address}))
      order by message_id for update
    )
    update messages m set conversation_id = ${target.conversation_id}, client_id = ${target.client_id}, ambiguous = false
    from mine where m.business_id = ${source.business_id} and m.message_id = mine.message_id
    returning m.unread and not m.auto_reply as asks`.execute(tx);
  return { messages: rows.length, asks: rows.some((row) => row.asks) };
}

interface Counted {
  conversation_id: string;
  unread: number;
  last_message_id: string | null;
  last_message_at: Date | null;
  waits_since: Date | null;
  channels: string[];
}

/** Brings both rows to what their messages say now, and closes a thread that nothing is left of. */
async function recount(
  tx: Tx,
  now: Date,
  source: LockedConversation,
  target: LockedConversation,
  asks: boolean,
  by: Origin,
): Promise<NewEvent[]> {
  // Who waited in the one thread waits in either, from their own first message that nobody answered.
  const since = source.waiting_since;
  const { rows } = await sql<Counted>`
    select c.conversation_id,
      (select count(*)::int from messages m where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.unread) as unread,
      l.message_id as last_message_id, l.occurred_at as last_message_at,
      (select min(m.occurred_at) from messages m where m.business_id = c.business_id and m.conversation_id = c.conversation_id
        and m.direction = 'inbound' and not m.auto_reply and m.occurred_at >= ${since}::timestamptz) as waits_since,
      array(select distinct m.channel from messages m where m.business_id = c.business_id and m.conversation_id = c.conversation_id
        and m.direction <> 'internal' order by 1) as channels
    from conversations c
    left join lateral (select message_id, occurred_at from messages m
      where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.direction <> 'internal'
      order by occurred_at desc, message_id desc limit 1) l on true
    where c.business_id = ${source.business_id} and c.conversation_id in (${source.conversation_id}, ${target.conversation_id})`.execute(
    tx,
  );
  const countedOf = (one: LockedConversation) =>
    rows.find((row) => row.conversation_id === one.conversation_id)!;
  const events: NewEvent[] = [];

  const there = countedOf(target);
  if (asks) {
    const reopened = reopen(target, by, 'conversation.identity_confirmed');
    if (reopened) events.push(reopened);
  }
  apply(target, there);
  target.waiting_since = target.waiting_since ?? there.waits_since;
  if (there.last_message_at && there.last_message_at > target.last_activity_at) {
    target.last_activity_at = there.last_message_at;
  }

  const left = countedOf(source);
  apply(source, left);
  source.waiting_since = since && left.waits_since;
  if (left.last_message_id === null && source.status !== 'closed') {
    events.push({
      businessId: source.business_id,
      type: 'conversation.status_changed',
      by,
      changed: { status: { from: source.status, to: 'closed' } },
      data: {
        conversation_id: source.conversation_id,
        client_id: source.client_id,
        because: 'conversation.identity_confirmed',
      },
    });
    source.status = 'closed';
    source.snoozed_until = null;
  }
  await saveConversations(tx, now, [source, target]);
  await sql`
    update clients c set last_seen_at = (
      select max(m.occurred_at) from conversations o join messages m
        on m.business_id = o.business_id and m.conversation_id = o.conversation_id and m.direction = 'inbound'
      where o.business_id = c.business_id and o.client_id = c.client_id)
    where c.business_id = ${source.business_id} and c.client_id in (${source.client_id}, ${target.client_id})`.execute(
    tx,
  );
  return events;
}

function apply(conversation: LockedConversation, counted: Counted): void {
  conversation.unread_count = counted.unread;
  conversation.last_message_id = counted.last_message_id;
  conversation.last_message_at = counted.last_message_at;
  conversation.channels = counted.channels;
}
