import { sql } from 'kysely';
import { consentVerdicts } from '../clients/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { quietUntil } from './hours.ts';
import { type ClaimedMessage, loadMail } from './mail-content.ts';
import { heldByAccount, heldS } from './paused-accounts.ts';
import { sendMessageQueue } from './queues.ts';
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

export interface Claims {
  /** To be handed over now. */
  claimed: ClaimedMessage[];
  /** Whose client opted out since: for {@link suppressMessages}. */
  refused: ClaimedBesides[];
  /** Whose worker died on them: for {@link giveUpAttempts}. */
  lost: ClaimedBesides[];
}

/** A message that is not handed over, as it was when it was looked at. */
export interface ClaimedBesides {
  businessId: number;
  messageId: string;
  status: MessageStatus;
  attempts: number;
}

/**
 * Takes messages for sending. Consent is asked again, for it may have been withdrawn since. An
 * attempt that is still `claimed` after its lease belongs to a worker that died between claim and
 * outcome: whether the carrier has that message is not known, so it is settled first and not sent
 * again here. What becomes of those two kinds locks conversations and attempts, which come before
 * messages: it is for transactions of their own.
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
): Promise<Claims> {
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
  await showPaused(tx, [...held]);
  await showHeld(tx, now, quiet);
  await again(tx, queue, [
    // Somebody may be at work on it: a second job must not take a live attempt for a lost one.
    ...claimed.filter((row) => leaseLeftMs(row) > 0).map((row) => ({ row, delayMs: leaseLeftMs(row) })),
    // Too early by our clock, or moved to later: nothing else may be left to send it.
    ...rows
      .filter((row) => row.status === 'scheduled' && !ready.includes(row))
      .map((row) => ({ row, delayMs: row.send_at!.getTime() - now.getTime() })),
    // The carrier refuses the account just now.
    ...[...held].map((row) => ({ row, delayMs: heldS * 1000 * (1 + Math.random()) })),
    // Marketing that was held up into the quiet hours waits for the morning.
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
  const aside = {
    refused: refused.map(besides),
    lost: claimed.filter((row) => leaseLeftMs(row) <= 0).map(besides),
  };
  if (allowed.length === 0) return { claimed: [], ...aside };

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
  const handedOver = allowed.map((row) => ({
    businessId: row.business_id,
    messageId: row.message_id,
    attemptNo: row.attempts + 1,
    supersededAttempts: row.superseded_attempts,
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
  return { claimed: handedOver, ...aside };
}

const besides = (row: Row): ClaimedBesides => ({
  businessId: row.business_id,
  messageId: row.message_id,
  status: row.status,
  attempts: row.attempts,
});

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

/** Those for whose clients it is quiet now, until when. */
async function quietRows(tx: Tx, now: Date, rows: Row[]): Promise<Map<Row, Date>> {
  const until = await quietUntil(
    tx,
    rows.map((row) => ({
      businessId: row.business_id,
      clientId: row.client_id,
      locationId: row.location_id,
      channel: row.channel,
      category: row.category,
      at: now,
    })),
  );
  return new Map(rows.flatMap((row, i) => (until[i] ? [[row, until[i]] as const] : [])));
}

/** Shows why marketing that was held up into the quiet hours still waits, and until when. */
async function showHeld(tx: Tx, now: Date, quiet: Map<Row, Date>): Promise<void> {
  if (quiet.size === 0) return;
  const held = [...quiet].map(([row, until]) => ({ b: row.business_id, m: row.message_id, until }));
  await sql`
    update messages set send_at = w.until, reason = 'window'
    from jsonb_to_recordset(${JSON.stringify(held)}::jsonb) as w(b bigint, m uuid, until timestamptz)
    where messages.business_id = w.b and messages.message_id = w.m`.execute(tx);
  await writeTimeline(
    tx,
    held.map(({ b, m, until }) => ({
      businessId: b,
      messageId: m,
      kind: 'held',
      at: now,
      data: { reason: 'window', until: until.toISOString() },
    })),
  );
}

/** Shows why messages of a paused account still wait; it is over once they are claimed. */
async function showPaused(tx: Tx, held: Row[]): Promise<void> {
  if (held.length === 0) return;
  await tx.updateTable('messages').set({ reason: 'account_config' }).where(idsAre(held)).execute();
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
