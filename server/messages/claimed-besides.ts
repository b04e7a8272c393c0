import { sql } from 'kysely';
import { saveConversations, waitAnew } from '../conversations/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { ClaimedBesides } from './claim.ts';
import { lockConversationsOf } from './lock-conversations.ts';
import { settleAttemptQueue } from './queues.ts';
import { writeTimeline } from './timeline.ts';

const given = (messages: ClaimedBesides[]) => {
  const rows = messages.map((one) => ({
    b: one.businessId,
    m: one.messageId,
    s: one.status,
    n: one.attempts,
  }));
  return sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, m uuid, s text, n int)`;
};

/**
 * Messages whose client opted out after they were queued. Whom the staff answered with one waits again.
 * A message that moved on since it was looked at is left alone.
 */
export async function suppressMessages(tx: Tx, now: Date, messages: ClaimedBesides[]): Promise<void> {
  if (messages.length === 0) return;
  const conversations = await lockConversationsOf(
    tx,
    messages.map(({ businessId, messageId }) => ({ businessId, messageId, as: 'called_off' })),
  );
  const { rows } = await sql<{
    business_id: number;
    message_id: string;
    conversation_id: string;
    client_id: number;
    channel: string;
    was: MessageStatus;
  }>`
    with refused as (
      select m.business_id, m.message_id, m.status from ${given(messages)}
      join messages m on m.business_id = w.b and m.message_id = w.m and m.status = w.s and m.attempts = w.n
      order by m.business_id, m.message_id for update of m
    )
    update messages m set status = 'suppressed', reason = 'opted_out' from refused r
    where m.business_id = r.business_id and m.message_id = r.message_id
    returning m.business_id, m.message_id, m.conversation_id, m.client_id, m.channel, r.status as was`.execute(
    tx,
  );
  await writeTimeline(
    tx,
    rows.map((row) => ({
      businessId: row.business_id,
      messageId: row.message_id,
      kind: 'suppressed',
      at: now,
      data: { reason: 'opted_out' },
    })),
  );
  await saveConversations(tx, now, await waitAnew(tx, [...conversations.values()]));
  await recordEvents(
    tx,
    now,
    rows.map((row) => ({
      businessId: row.business_id,
      type: 'message.suppressed' as const,
      by: { actor: { type: 'system' as const, id: null }, origin: {} },
      changed: { status: { from: row.was, to: 'suppressed' } },
      data: {
        message_id: row.message_id,
        conversation_id: row.conversation_id,
        client_id: row.client_id,
        channel: row.channel,
        reason: 'opted_out',
      },
    })),
  );
}

/** How long after a worker's death the carrier is asked: its callback is often faster. */
const settleOrphansAfterS = 2;

/** Attempts whose worker died: their outcome is not known from now on, and the carrier is asked. */
export async function giveUpAttempts(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  messages: ClaimedBesides[],
): Promise<void> {
  if (messages.length === 0) return;
  const { rows } = await sql<{ business_id: number; message_id: string; attempt_no: number }>`
    with lost as (
      select a.business_id, a.message_id, a.attempt_no from ${given(messages)}
      join attempts a on a.business_id = w.b and a.message_id = w.m and a.attempt_no = w.n and a.state = 'claimed'
      order by a.business_id, a.message_id for update of a
    )
    update attempts a set state = 'unknown', settled_at = ${now},
      error_message = 'The worker ended between handing it over and writing the outcome down.'
    from lost l where a.business_id = l.business_id and a.message_id = l.message_id and a.attempt_no = l.attempt_no
    returning a.business_id, a.message_id, a.attempt_no`.execute(tx);
  await writeTimeline(
    tx,
    rows.map((row) => ({
      businessId: row.business_id,
      messageId: row.message_id,
      kind: 'attempt.unknown',
      at: now,
      data: { attempt_no: row.attempt_no, detail: 'worker lost' },
    })),
  );
  await queue.insert(
    tx,
    settleAttemptQueue,
    rows.map((row) => ({ data: { ...row, tries: 0 }, delayS: settleOrphansAfterS })),
  );
}
