import { sql } from 'kysely';
import { canonicalReasons, explainFailure } from '../channels/index.ts';
import { type LockedConversation, saveConversations, waitAnew } from '../conversations/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { lockConversationsOf } from './lock-conversations.ts';
import { sendMessageQueue } from './queues.ts';
import { isFailure } from './status.ts';
import { writeTimeline } from './timeline.ts';

export interface RetryFilters {
  messageIds?: string[];
  channel?: string;
  reason?: string;
  requestId?: string;
  since?: Date;
  until?: Date;
  limit: number;
  force: boolean;
}

export interface Retried {
  messageIds: string[];
  skipped: { messageId: string; reason: string }[];
  hasMore: boolean;
}

interface Row {
  message_id: string;
  conversation_id: string;
  client_id: number;
  channel: string;
  direction: 'inbound' | 'outbound' | 'internal';
  status: MessageStatus;
  provider: string | null;
  error_code: string | null;
  reason: string | null;
  recorded: boolean;
  erased: boolean;
}

const columns = sql`m.message_id, m.conversation_id, m.client_id, m.channel, m.direction, m.status, m.provider,
  m.error_code, m.reason, ${isRecorded('m')} as recorded, m.to_address is null as erased`;

/** Another system's message: Omega wrote it down, and sends it never. */
export function isRecorded(message: string) {
  const m = sql.ref(message);
  return sql`exists (select 1 from message_timeline t
    where t.business_id = ${m}.business_id and t.message_id = ${m}.message_id and t.kind = 'recorded')`;
}

/** Reasons for which a retry must be wanted expressly: it cannot help, or the client may get it twice. */
const onlyForced = canonicalReasons
  .filter(({ reason, final }) => final || reason === 'no_answer')
  .map(({ reason }) => reason as string);

const mostSkipped = 100;

/** Gives every failed message that the filters leave a new attempt, the longest failed first. */
export async function retryMessages(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  filters: RetryFilters,
  by: Origin,
): Promise<Retried> {
  const where = [sql`m.business_id = ${businessId}`];
  if (filters.messageIds) where.push(sql`m.message_id = any(${filters.messageIds}::uuid[])`);
  if (filters.channel !== undefined) where.push(sql`m.channel = ${filters.channel}`);
  if (filters.reason !== undefined) where.push(sql`m.reason = ${filters.reason}`);
  if (filters.requestId !== undefined) where.push(sql`m.request_id = ${filters.requestId}`);
  if (filters.since) where.push(sql`m.failed_at >= ${filters.since}`);
  if (filters.until) where.push(sql`m.failed_at < ${filters.until}`);
  const asked = sql.join(where, sql` and `);
  const failed = sql`m.failed_at is not null and m.direction = 'outbound' and m.status in ('failed', 'undelivered')`;
  const mayRetry = filters.force
    ? sql`not ${isRecorded('m')} and m.to_address is not null`
    : sql`not ${isRecorded('m')} and m.to_address is not null and (m.reason is null or m.reason <> all(${onlyForced}::text[]))`;

  const chosen = await sql<{ message_id: string }>`
    select m.message_id from messages m where ${asked} and ${failed} and ${mayRetry}
    order by m.failed_at, m.message_id limit ${filters.limit + 1}`.execute(tx);
  const ids = chosen.rows.slice(0, filters.limit).map((row) => row.message_id);
  const answered = await lockAnswered(tx, businessId, ids);
  const failedNow = await lockFailed(tx, businessId, ids);
  const retried = await startOver(tx, now, queue, businessId, failedNow, answered, by);

  const done = new Set(retried);
  const skipped = filters.messageIds
    ? await whyNamedSkipped(tx, businessId, filters, asked, done)
    : (
        await sql<Row>`
          select ${columns} from messages m where ${asked} and ${failed} and not (${mayRetry})
          order by m.failed_at desc, m.message_id desc limit ${mostSkipped}`.execute(tx)
      ).rows.map((row) => ({ messageId: row.message_id, reason: whyNot(row, filters.force) ?? 'limit' }));
  return { messageIds: retried, skipped, hasMore: chosen.rows.length > filters.limit };
}

/** Each named message that was not retried, with the reason. Ids of others are as ids of nobody. */
async function whyNamedSkipped(
  tx: Tx,
  businessId: number,
  filters: RetryFilters,
  asked: ReturnType<typeof sql>,
  retried: Set<string>,
): Promise<Retried['skipped']> {
  const named = [...new Set(filters.messageIds!.map((id) => id.toLowerCase()))].filter(
    (id) => !retried.has(id),
  );
  if (named.length === 0) return [];
  const { rows } = await sql<Row & { matches: boolean }>`
    select ${columns}, coalesce(${asked}, false) as matches from messages m
    where m.business_id = ${businessId} and m.message_id = any(${named}::uuid[])`.execute(tx);
  const found = new Map(rows.map((row) => [row.message_id, row]));
  return named.map((messageId) => {
    const row = found.get(messageId);
    const reason = row
      ? (whyNot(row, filters.force) ?? (row.matches ? 'limit' : 'not_matching'))
      : 'not_found';
    return { messageId, reason };
  });
}

/** One message, named by its id. @throws 404, or 409 with what to do instead */
export async function retryMessage(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  messageId: string,
  force: boolean,
  by: Origin,
): Promise<void> {
  const answered = await lockAnswered(tx, businessId, [messageId]);
  const { rows } = await sql<Row>`
    select ${columns} from messages m where m.business_id = ${businessId} and m.message_id = ${messageId}
    for update of m`.execute(tx);
  const row = rows[0];
  if (!row) throw notFound('message');
  const reason = whyNot(row, force);
  if (reason === 'not_failed')
    throw new Fault(
      'conflict',
      `Only a failed or undelivered message is retried; this one is ${row.status}.`,
    );
  if (reason === 'recorded')
    throw new Fault('conflict', 'Another system sent this message, Omega only recorded it. Send it anew.');
  if (reason === 'erased')
    throw new Fault(
      'conflict',
      'Its content is gone (its client was erased, or it is older than the business keeps content): there is nothing left to send.',
    );
  if (reason) {
    const { advice } = explainFailure(row.provider, row.error_code, row.reason);
    throw new Fault(
      'conflict',
      `It failed for a reason that a retry does not mend: ${reason}. ${advice} Or send \`force\`.`,
    );
  }
  await startOver(tx, now, queue, businessId, [row], answered, by);
}

/** Why a message is not retried; null where it may be. */
function whyNot(row: Row, force: boolean): string | null {
  if (row.direction !== 'outbound' || !isFailure(row.status)) return 'not_failed';
  if (row.recorded) return 'recorded';
  if (row.erased) return 'erased';
  return !force && row.reason !== null && onlyForced.includes(row.reason) ? row.reason : null;
}

/** Conversations that the staff's messages among these answer, once they are on their way again; locked before them. */
async function lockAnswered(tx: Tx, businessId: number, ids: string[]): Promise<LockedConversation[]> {
  const retried = ids.map((messageId) => ({ businessId, messageId, as: 'retried' as const }));
  return [...(await lockConversationsOf(tx, retried)).values()];
}

/** Those that are still failed, now that they are locked. */
async function lockFailed(tx: Tx, businessId: number, ids: string[]): Promise<Row[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<Row>`
    select ${columns} from messages m
    where m.business_id = ${businessId} and m.message_id = any(${ids}::uuid[]) and m.status in ('failed', 'undelivered')
      and m.to_address is not null
    order by m.message_id for update of m`.execute(tx);
  return rows;
}

/**
 * A new attempt of the same messages: they wait again, and what is still told of the old attempts is
 * history (`superseded_attempts`), unless it is that the client has the message.
 */
async function startOver(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  businessId: number,
  rows: Row[],
  answered: LockedConversation[],
  by: Origin,
): Promise<string[]> {
  const ids = rows.map((row) => row.message_id);
  if (ids.length === 0) return [];
  await sql`
    update messages set status = 'queued', reason = null, error_code = null, error_message = null, provider_status = null,
      sent_at = null, delivered_at = null, read_at = null, failed_at = null, superseded_attempts = attempts
    where business_id = ${businessId} and message_id = any(${ids}::uuid[])`.execute(tx);
  await saveConversations(tx, now, await waitAnew(tx, answered));
  await writeTimeline(
    tx,
    rows.map((row) => ({
      businessId,
      messageId: row.message_id,
      kind: 'retried',
      at: now,
      data: { ...by, status: row.status, reason: row.reason, error_code: row.error_code },
    })),
  );
  await queue.insert(
    tx,
    sendMessageQueue,
    ids.map((id) => ({ data: { business_id: businessId, message_id: id }, priority: 5 })),
  );
  await recordEvents(
    tx,
    now,
    rows.map((row) => ({
      businessId,
      type: 'message.queued' as const,
      by,
      changed: {
        status: { from: row.status, to: 'queued' },
        ...(row.reason !== null && { reason: { from: row.reason, to: null } }),
      },
      data: {
        message_id: row.message_id,
        conversation_id: row.conversation_id,
        client_id: row.client_id,
        channel: row.channel,
        direction: row.direction,
        status: 'queued',
        retry: true,
      },
    })),
  );
  return ids;
}
