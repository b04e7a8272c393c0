import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import type { LockedConversation } from './open.ts';

/**
 * Says anew since when each client waits, in locked conversations where an answer of the staff was
 * lost (it failed, or was called off), or counts again (it is retried, or arrived after all). An answer
 * that nobody got is none: whoever it was for waits as before it, unless a later answer stands.
 *
 * @returns those in which it changed; they are to be saved
 */
export async function waitAnew(tx: Tx, conversations: LockedConversation[]): Promise<LockedConversation[]> {
  if (conversations.length === 0) return [];
  const asked = conversations.map((one, i) => ({
    i,
    b: one.business_id,
    c: one.conversation_id,
    s: one.waiting_since,
  }));
  const lost = sql`status in ('failed', 'undelivered', 'canceled', 'suppressed')`;
  const { rows } = await sql<{ i: number; since: Date | null }>`
    select w.i, (
      select m.occurred_at from messages m
      where m.business_id = w.b and m.conversation_id = w.c and m.direction = 'inbound' and not m.auto_reply
        and m.occurred_at >= least(w.s, (
          select min(l.answers_since) from messages l
          where l.business_id = w.b and l.conversation_id = w.c and l.answers_since is not null and l.${lost}
            and (a.occurred_at is null or (l.occurred_at, l.message_id) > (a.occurred_at, a.message_id))
        ))
        and (a.occurred_at is null or (m.occurred_at, m.message_id) > (a.occurred_at, a.message_id))
      order by m.occurred_at, m.message_id limit 1
    ) as since
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, c uuid, s timestamptz)
    left join lateral (
      select occurred_at, message_id from messages
      where business_id = w.b and conversation_id = w.c and direction = 'outbound' and sender_type = 'staff' and not ${lost}
      order by occurred_at desc, message_id desc limit 1
    ) a on true`.execute(tx);
  return rows.flatMap(({ i, since }) => {
    const conversation = conversations[i]!;
    if (conversation.waiting_since?.getTime() === since?.getTime()) return [];
    conversation.waiting_since = since;
    return [conversation];
  });
}
