import { sql } from 'kysely';
import type { OutgoingMessage } from '../channels/index.ts';
import { consentVerdicts } from '../clients/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { settleAttemptQueue } from './queues.ts';
import { writeTimeline } from './timeline.ts';

/** A message taken for sending: its attempt is written down, and the carrier may be called. */
export interface ClaimedMessage extends OutgoingMessage {
  provider: string;
  claimedAt: Date;
}

interface Row {
  business_id: number;
  message_id: string;
  conversation_id: string;
  client_id: number;
  channel: string;
  status: MessageStatus;
  content: string;
  subject: string | null;
  media_urls: string[];
  from_address: string;
  to_address: string;
  provider: string;
  category: 'transactional' | 'marketing' | null;
  send_at: Date | null;
  attempts: number;
  attempt_state: 'claimed' | 'accepted' | 'refused' | 'unknown' | 'absent' | null;
}

/**
 * Takes messages for sending. Consent is asked again, for it may have been withdrawn since. An
 * attempt that is still `claimed` belongs to a worker that died between claim and outcome: whether
 * the carrier has that message is not known, so it is settled first and not sent again here.
 */
export async function claimMessages(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  ids: { businessId: number; messageId: string }[],
  secrets: Secrets,
): Promise<ClaimedMessage[]> {
  const rows = await lockDue(tx, now, ids);
  const orphaned = rows.filter((row) => row.attempt_state === 'claimed');
  const due = rows.filter(
    (row) => row.attempt_state === null || row.attempt_state === 'refused' || row.attempt_state === 'absent',
  );
  await orphan(tx, now, queue, orphaned);

  const verdicts = await consentVerdicts(
    tx,
    due.map((row) => ({
      businessId: row.business_id,
      channel: row.channel,
      address: row.to_address,
      category: row.category ?? 'transactional',
    })),
    secrets,
  );
  const allowed = due.filter((_, i) => verdicts[i]!.allowed);
  const refused = due.filter((_, i) => !verdicts[i]!.allowed);
  await suppress(tx, now, refused);
  if (allowed.length === 0) return [];

  await tx
    .insertInto('attempts')
    .values(
      allowed.map((row) => ({
        business_id: row.business_id,
        message_id: row.message_id,
        attempt_no: row.attempts + 1,
        state: 'claimed' as const,
        provider: row.provider,
        claimed_at: now,
      })),
    )
    .execute();
  await tx
    .updateTable('messages')
    .set({ status: 'sending', attempts: sql`attempts + 1`, provider_message_id: null })
    .where(idsAre(allowed))
    .execute();
  return allowed.map((row) => ({
    businessId: row.business_id,
    messageId: row.message_id,
    attemptNo: row.attempts + 1,
    channel: row.channel,
    from: row.from_address,
    to: row.to_address,
    content: row.content,
    subject: row.subject,
    mediaUrls: row.media_urls,
    provider: row.provider,
    claimedAt: now,
  }));
}

function idsAre(rows: { business_id: number; message_id: string }[]) {
  return sql<boolean>`(business_id, message_id) in (${sql.join(rows.map((row) => sql`(${row.business_id}::bigint, ${row.message_id}::uuid)`))})`;
}

/** Those that wait to be sent now. A message moved to later has another job, for then. */
async function lockDue(tx: Tx, now: Date, ids: { businessId: number; messageId: string }[]): Promise<Row[]> {
  const asked = ids.map((id) => ({ b: id.businessId, m: id.messageId }));
  const soon = new Date(now.getTime() + 2_000);
  const { rows } = await sql<Row>`
    select m.business_id, m.message_id, m.conversation_id, m.client_id, m.channel, m.status, m.content, m.subject,
      m.media_urls, m.from_address, m.to_address, m.provider, m.category, m.send_at, m.attempts,
      (select a.state from attempts a where a.business_id = m.business_id and a.message_id = m.message_id
        and a.attempt_no = m.attempts) as attempt_state
    from messages m
    where (m.business_id, m.message_id) in (select b, m from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, m uuid))
      and m.direction = 'outbound'
      and (m.status in ('queued', 'sending') or (m.status = 'scheduled' and m.send_at <= ${soon}))
    order by m.business_id, m.message_id
    for update of m`.execute(tx);
  return rows;
}

/** How long after a worker's death the carrier is asked: its callback is often faster. */
const settleOrphansAfterS = 2;

async function orphan(tx: Tx, now: Date, queue: JobQueue, rows: Row[]): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .updateTable('attempts')
    .set({
      state: 'unknown',
      error_message: 'The worker ended between handing it over and writing the outcome down.',
      settled_at: now,
    })
    .where(idsAre(rows))
    .where('state', '=', 'claimed')
    .execute();
  await writeTimeline(
    tx,
    rows.map((row) => ({
      businessId: row.business_id,
      messageId: row.message_id,
      kind: 'attempt.unknown',
      at: now,
      data: { attempt_no: row.attempts, detail: 'worker lost' },
    })),
  );
  await queue.insert(
    tx,
    settleAttemptQueue,
    rows.map((row) => ({
      data: { business_id: row.business_id, message_id: row.message_id, attempt_no: row.attempts, tries: 0 },
      delayS: settleOrphansAfterS,
    })),
  );
}

async function suppress(tx: Tx, now: Date, rows: Row[]): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .updateTable('messages')
    .set({ status: 'suppressed', reason: 'opted_out' })
    .where(idsAre(rows))
    .execute();
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
  await recordEvents(
    tx,
    now,
    rows.map((row) => ({
      businessId: row.business_id,
      type: 'message.suppressed' as const,
      by: { actor: { type: 'system' as const, id: null }, origin: {} },
      changed: { status: { from: row.status, to: 'suppressed' } },
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
