import { sql } from 'kysely';
import { close, type LockedConversation, reopen, saveConversations } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { EventType, NewEvent } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import { earlier, isAnswer, type Moved, nothingMoved } from './move-messages.ts';

/** What moving messages did to conversations, gathered until {@link recount} writes it into their rows. */
export class Moves {
  readonly #received = new Map<LockedConversation, Moved>();
  readonly #gave = new Set<LockedConversation>();

  note(source: LockedConversation, target: LockedConversation, moved: Moved): void {
    if (moved.messages === 0) return;
    this.#gave.add(source);
    const before = this.receivedBy(target);
    this.#received.set(target, {
      messages: before.messages + moved.messages,
      asks: before.asks || moved.asks,
      waits: earlier(before.waits, moved.waits),
    });
  }

  get touched(): LockedConversation[] {
    return [...new Set([...this.#gave, ...this.#received.keys()])];
  }

  get messages(): number {
    return [...this.#received.values()].reduce((sum, moved) => sum + moved.messages, 0);
  }

  receivedBy(conversation: LockedConversation): Moved {
    return this.#received.get(conversation) ?? nothingMoved;
  }

  hasGiven(conversation: LockedConversation): boolean {
    return this.#gave.has(conversation);
  }
}

interface Counted {
  conversation_id: string;
  unread: number;
  last_message_id: string | null;
  last_message_at: Date | null;
  waits_since: Date | null;
  channels: string[];
}

/**
 * Brings locked conversations to what their messages say now: unread, last message, channels, since when the client
 * waits. One that came by something to answer opens again, and one that nothing is left of is closed.
 *
 * @param because the type of the event that they are moved by
 */
export async function recount(
  tx: Tx,
  now: Date,
  moves: Moves,
  by: Origin,
  because: EventType,
): Promise<NewEvent[]> {
  const touched = moves.touched;
  if (touched.length === 0) return [];
  const asked = touched.map((one) => ({ b: one.business_id, c: one.conversation_id, s: one.waiting_since }));
  const { rows } = await sql<Counted>`
    select w.c as conversation_id,
      (select count(*)::int from messages m where m.business_id = w.b and m.conversation_id = w.c and m.unread) as unread,
      l.message_id as last_message_id, l.occurred_at as last_message_at,
      (select min(m.occurred_at) from messages m where m.business_id = w.b and m.conversation_id = w.c
        and m.direction = 'inbound' and not m.auto_reply and m.occurred_at >= w.s
        and m.occurred_at > coalesce((select max(occurred_at) from messages
          where business_id = w.b and conversation_id = w.c and ${isAnswer}), '-infinity')) as waits_since,
      array(select distinct m.channel from messages m where m.business_id = w.b and m.conversation_id = w.c
        and m.direction <> 'internal' order by 1) as channels
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, c uuid, s timestamptz)
    left join lateral (select message_id, occurred_at from messages m
      where m.business_id = w.b and m.conversation_id = w.c and m.direction <> 'internal'
      order by occurred_at desc, message_id desc limit 1) l on true`.execute(tx);
  const counted = new Map(rows.map((row) => [row.conversation_id, row]));
  const events: NewEvent[] = [];
  for (const conversation of touched) {
    const is = counted.get(conversation.conversation_id)!;
    const received = moves.receivedBy(conversation);
    if (received.asks) {
      const reopened = reopen(conversation, by, because);
      if (reopened) events.push(reopened);
    }
    conversation.unread_count = is.unread;
    conversation.last_message_id = is.last_message_id;
    conversation.last_message_at = is.last_message_at;
    conversation.channels = is.channels;
    conversation.waiting_since = earlier(is.waits_since, received.waits);
    if (is.last_message_at && is.last_message_at > conversation.last_activity_at) {
      conversation.last_activity_at = is.last_message_at;
    }
    if (is.last_message_id === null && moves.hasGiven(conversation)) {
      const closed = close(conversation, by, because);
      if (closed) events.push(closed);
    }
  }
  await saveConversations(tx, now, touched);
  await seenAnew(
    tx,
    touched[0]!.business_id,
    touched.map((one) => one.client_id),
  );
  return events;
}

/** When clients were last heard from, by the messages that are theirs now. */
export async function seenAnew(tx: Tx, businessId: number, clientIds: number[]): Promise<void> {
  await sql`
    update clients c set last_seen_at = (
      select max(m.occurred_at) from conversations o join messages m
        on m.business_id = o.business_id and m.conversation_id = o.conversation_id and m.direction = 'inbound' and not m.auto_reply
      where o.business_id = c.business_id and o.client_id = c.client_id)
    where c.business_id = ${businessId} and c.client_id = any(${clientIds}::bigint[])`.execute(tx);
}

/** Conversations whose messages in question went elsewhere have no question left. */
export async function settleAmbiguity(
  tx: Tx,
  businessId: number,
  conversations: LockedConversation[],
): Promise<void> {
  await sql`
    update conversations c set ambiguous_since = a.since,
      identity_reason = case when a.since is null then null else c.identity_reason end
    from (
      select o.conversation_id, (select min(m.occurred_at) from messages m
        where m.business_id = o.business_id and m.conversation_id = o.conversation_id and m.ambiguous) as since
      from conversations o
      where o.business_id = ${businessId} and o.conversation_id = any(${conversations.map((one) => one.conversation_id)}::uuid[])
    ) a
    where c.business_id = ${businessId} and c.conversation_id = a.conversation_id
      and c.ambiguous_since is distinct from a.since`.execute(tx);
}
