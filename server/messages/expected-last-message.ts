import { sql } from 'kysely';
import type { LockedConversation } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Draft } from './draft.ts';
import { presentMessage } from './present.ts';
import type { MessageRow } from './queries.ts';

const mostMissed = 20;

/**
 * Stops the drafts that answer a conversation which has moved on, now that it is locked: nobody
 * else can write to it until these are.
 *
 * @throws where another draft of the same batch writes to that conversation: each must see what the
 *   one before it wrote, so the batch is run again one by one
 */
export async function nothingWasMissed(
  tx: Tx,
  works: { draft: Draft; conversation?: LockedConversation; fault?: Fault }[],
): Promise<void> {
  for (const work of works) {
    const expected = work.draft.expectedLastMessageId;
    const { conversation } = work;
    if (expected === undefined || !conversation) continue;
    if (works.some((other) => other !== work && other.conversation === conversation))
      throw new Error('A guarded message shares its conversation with another of the batch.');
    if (conversation.last_message_id === expected) continue;
    const missed = await missedSince(tx, conversation.business_id, conversation.conversation_id, expected);
    work.fault = new Fault(
      'conversation_changed',
      'The last message of the conversation is not the expected one. Show what was `missed`, then send with its last message_id.',
      { members: { missed: missed.map(presentMessage) } },
    );
  }
}

/** What stands after the expected message; where the conversation has no such message, what is newest. */
async function missedSince(
  tx: Tx,
  businessId: number,
  conversationId: string,
  expected: string,
): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select m.* from messages m
    left join messages e on e.business_id = m.business_id and e.message_id = ${expected}::uuid and e.conversation_id = m.conversation_id
    where m.business_id = ${businessId} and m.conversation_id = ${conversationId} and m.direction <> 'internal'
      and (e.message_id is null or (m.occurred_at, m.message_id) > (e.occurred_at, e.message_id))
    order by m.occurred_at desc, m.message_id desc limit ${mostMissed}`.execute(tx);
  return rows.reverse();
}
