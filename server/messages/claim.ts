import { sql } from 'kysely';
import { consentVerdicts } from '../clients/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { clientTimeZones, hasQuietHours, hoursVerdict } from './hours.ts';
import { type ClaimedMessage, loadMail } from './mail-content.ts';
import { heldByAccount, heldS } from './paused-accounts.ts';
import { sendMessageQueue, settleAttemptQueue } from './queues.ts';
import { writeTimeline } from './timeline.ts';

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
  location_id: number | null;
  send_at: Date | null;
  attempts: number;
  superseded_attempts: number;
  attempt_state: 'claimed' | 'accepted' | 'refused' | 'unknown' | 'absent' | null;
  attempt_claimed_at: Date | null;
}

/**
 * Takes messages for sending. Consent is asked again, for it may have been withdrawn since. An
 * attempt that is still `claimed` after its lease belongs to a worker that died between claim and
 * outcome: whether the carrier has that message is not known, so it is settled first and not sent
 * again here.
 *
 * @param leaseMs how long whoever claimed an attempt may be at work on it
 */
export async function claimMessages(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  ids: { businessId: number; messageId: string }[],
  leaseMs: number,
  secrets: Secrets,
): Promise<ClaimedMessage[]> {
  const rows = await lockDue(tx, ids);
  const claimed = rows.filter(
    (row) => row.attempt_state === 'claimed' && row.attempts > row.superseded_attempts,
  );
  const leaseLeftMs = (row: Row) => row.attempt_claimed_at!.getTime() + leaseMs - now.getTime();
  const ready = rows.filter((row) => isDue(row, now));
  const quiet = await quietRows(tx, now, ready);
  const held = await heldByAccount(
    tx,
    ready.filter((row) => !quiet.has(row)),
  );
  const due = ready.filter((row) => !quiet.has(row) && !held.has(row));
  await orphan(
    tx,
    now,
    queue,
    claimed.filter((row) => leaseLeftMs(row) <= 0),
  );
  await again(tx, queue, [
    // Somebody may be at work on it: a second job must not take a live attempt for a lost one.
    ...claimed.filter((row) => leaseLeftMs(row) > 0).map((row) => ({ row, delayMs: leaseLeftMs(row) })),
    // Too early by our clock, or moved to later: nothing else may be left to send it.
    ...rows
      .filter((row) => row.status === 'scheduled' && !ready.includes(row))
      .map((row) => ({ row, delayMs: row.send_at!.getTime() - now.getTime() })),
    // Marketing that was held up into the quiet hours waits for the morning.
    ...[...held].map((row) => ({ row, delayMs: heldS * 1000 * (1 + Math.random()) })),
    ...[...quiet].map(([row, until]) => ({ row, delayMs: until.getTime() - now.getTime() })),
  ]);

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
    .set({ status: 'sending', attempts: sql`attempts + 1`, provider_message_id: null, reason: null })
    .where(idsAre(allowed))
    .execute();
  const mails = await loadMail(tx, allowed, secrets);
  await writeTimeline(
    tx,
    allowed.map((row) => ({
      businessId: row.business_id,
      messageId: row.message_id,
      kind: 'attempt.claimed',
      at: now,
      data: { attempt_no: row.attempts + 1, provider: row.provider },
    })),
  );
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
    mail: mails.get(row.message_id) ?? null,
    provider: row.provider,
    claimedAt: now,
  }));
}

function idsAre(rows: { business_id: number; message_id: string }[]) {
  return sql<boolean>`(business_id, message_id) in (${sql.join(rows.map((row) => sql`(${row.business_id}::bigint, ${row.message_id}::uuid)`))})`;
}

/** Those that wait to be sent, or may. */
async function lockDue(tx: Tx, ids: { businessId: number; messageId: string }[]): Promise<Row[]> {
  const asked = ids.map((id) => ({ b: id.businessId, m: id.messageId }));
  const { rows } = await sql<Row>`
    select m.business_id, m.message_id, m.conversation_id, m.client_id, m.channel, m.status, m.content, m.subject,
      m.media_urls, m.from_address, m.to_address, m.provider, m.category, m.location_id, m.send_at, m.attempts,
      m.superseded_attempts, null as attempt_state, null as attempt_claimed_at
    from messages m
    where (m.business_id, m.message_id) in (select b, m from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, m uuid))
      and m.direction = 'outbound'
      and m.status in ('queued', 'sending', 'scheduled')
    order by m.business_id, m.message_id
    for update of m`.execute(tx);
  await readAttempts(tx, rows);
  return rows;
}

/** A job fires by the database's clock; ours may be behind it by this without a message waiting again. */
const clockSlackMs = 2_000;

/** Whether a message is to be handed over now. */
function isDue(row: Row, now: Date): boolean {
  if (row.status === 'scheduled')
    return row.send_at === null || row.send_at.getTime() <= now.getTime() + clockSlackMs;
  // What became of earlier attempts is past: none was made yet, or somebody asked for a new one.
  if (row.attempts <= row.superseded_attempts) return true;
  return row.attempt_state === 'refused' || row.attempt_state === 'absent';
}

/** Of those that have quiet hours: until when it is quiet at the client. */
async function quietRows(tx: Tx, now: Date, rows: Row[]): Promise<Map<Row, Date>> {
  const asked = rows.filter(hasQuietHours);
  const zones = await clientTimeZones(
    tx,
    asked.map((row) => ({
      businessId: row.business_id,
      clientId: row.client_id,
      locationId: row.location_id,
    })),
  );
  const quiet = new Map<Row, Date>();
  for (const [at, row] of asked.entries()) {
    const verdict = hoursVerdict({ category: 'marketing', timeZone: zones[at]!, at: now });
    if (!verdict.allowed) quiet.set(row, verdict.nextAllowedAt);
  }
  return quiet;
}

/** Looks at them again later. */
async function again(tx: Tx, queue: JobQueue, later: { row: Row; delayMs: number }[]): Promise<void> {
  await queue.insert(
    tx,
    sendMessageQueue,
    later.map(({ row, delayMs }) => ({
      data: { business_id: row.business_id, message_id: row.message_id },
      delayS: Math.ceil(delayMs / 1000),
      priority: row.category === 'marketing' ? 0 : 10,
    })),
  );
}

/**
 * The latest attempt of each, read once the lock is held: the statement that waited for the lock
 * does not see an attempt that another worker wrote meanwhile, and would send a second time.
 */
async function readAttempts(tx: Tx, rows: Row[]): Promise<void> {
  const tried = rows.filter((row) => row.attempts > 0);
  if (tried.length === 0) return;
  const asked = tried.map((row, i) => ({ i, b: row.business_id, m: row.message_id, n: row.attempts }));
  const found = await sql<{ i: number; state: NonNullable<Row['attempt_state']>; claimed_at: Date }>`
    select w.i, a.state, a.claimed_at
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, m uuid, n int)
    join attempts a on a.business_id = w.b and a.message_id = w.m and a.attempt_no = w.n`.execute(tx);
  for (const { i, state, claimed_at } of found.rows) {
    tried[i]!.attempt_state = state;
    tried[i]!.attempt_claimed_at = claimed_at;
  }
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
