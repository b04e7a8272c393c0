import { sql } from 'kysely';
import { explainFailure } from '../channels/index.ts';
import { type ConsentEntry, writeConsents } from '../clients/index.ts';
import { type LockedConversation, reopen, saveConversations, waitAnew } from '../conversations/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { type EventType, type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import { type Affected, lockConversationsOf } from './lock-conversations.ts';
import { isFailure, isLost, lateAttemptMayApply, nextStatus } from './status.ts';
import { type TimelineEntry, writeTimeline } from './timeline.ts';

/** What somebody says happened to a message: a carrier's callback, the answer to a send, or the host. */
export interface Report {
  businessId: number;
  messageId: string;
  /** Where it came from, for the timeline: `carrier`, `attempt`, `api`. */
  source: string;
  status: MessageStatus;
  provider: string | null;
  providerMessageId: string | null;
  providerStatus: string | null;
  errorCode: string | null;
  errorMessage: string | null;
  /** Our word for why, where the provider gave no code. */
  reason?: string;
  /** The attempt it is about; left out where only the message is known. */
  attemptNo?: number;
  occurredAt: Date | null;
  /** No carrier has it just now, though it is `sending`: it can be called back as if it were `queued`. */
  betweenAttempts?: boolean;
  by: Origin;
}

export interface Reported {
  messageId: string;
  status: MessageStatus;
  applied: boolean;
}

interface LockedMessage {
  business_id: number;
  message_id: string;
  conversation_id: string;
  client_id: number;
  channel: string;
  direction: 'inbound' | 'outbound' | 'internal';
  sender_type: string;
  status: MessageStatus;
  provider: string | null;
  provider_message_id: string | null;
  to_address: string | null;
  attempts: number;
  superseded_attempts: number;
  occurred_at: Date;
}

/**
 * Moves the status of many messages by what is reported, in any order and repetition: only a higher
 * rank is applied, everything is kept in the timeline. A failure reopens the conversation, and whom
 * the staff answered waits again where the answer is lost; an opt-out told by the carrier goes into
 * the ledger.
 *
 * @returns in the order of the reports; null for a message that the business does not have
 */
export async function applyReports(tx: Tx, now: Date, reports: Report[]): Promise<(Reported | null)[]> {
  if (reports.length === 0) return [];
  const conversations = await lockConversationsOf(tx, reports.flatMap(affected));
  const messages = await lockMessages(tx, reports);
  const changed = new Map<string, LockedMessage & { patch: Patch }>();
  const touched = new Set<LockedConversation>();
  const unanswered = new Set<LockedConversation>();
  const timeline: TimelineEntry[] = [];
  const events: NewEvent[] = [];
  const consents: ConsentEntry[] = [];

  const results = reports.map((report): Reported | null => {
    const message = messages.get(report.messageId);
    if (!message || message.business_id !== report.businessId) return null;
    const superseded = isSuperseded(report, message);
    const { status, applied } =
      superseded && !lateAttemptMayApply(report.status)
        ? { status: message.status, applied: false }
        : nextStatus(message.channel, report.betweenAttempts ? 'queued' : message.status, report.status);
    timeline.push({
      businessId: report.businessId,
      messageId: report.messageId,
      kind: `status.${report.status}`,
      at: now,
      data: timelineData(report, applied),
    });
    if (applied) {
      const why = isFailure(status)
        ? explainFailure(report.provider ?? message.provider, report.errorCode, report.reason ?? null)
        : null;
      const reason = why?.reason ?? report.reason ?? null;
      changed.set(report.messageId, {
        ...message,
        patch: patchOf(changed.get(report.messageId)?.patch, report, status, reason, now),
      });
      events.push(statusEvent(report, message, status, reason));
      message.status = status;
      const conversation = conversations.get(message.conversation_id);
      if (conversation && message.direction === 'outbound' && message.sender_type === 'staff')
        unanswered.add(conversation);
      if (isFailure(status) && conversation) {
        const reopened = reopen(conversation, report.by, `message.${status}`);
        if (reopened) {
          touched.add(conversation);
          events.push(reopened);
        }
      }
      if (why?.effect === 'opt_out' && message.to_address) {
        consents.push(optOutByCarrier(report, message));
        events.push({
          businessId: report.businessId,
          type: 'consent.revoked',
          by: report.by,
          data: {
            client_id: message.client_id,
            channel: message.channel,
            address: message.to_address,
            source: 'carrier',
            message_id: message.message_id,
          },
        });
      }
    }
    return { messageId: report.messageId, status: message.status, applied };
  });

  await saveMessages(tx, [...changed.values()]);
  await writeTimeline(tx, timeline);
  await writeConsents(tx, now, consents);
  for (const conversation of await waitAnew(tx, [...unanswered])) touched.add(conversation);
  await saveConversations(tx, now, [...touched]);
  await recordEvents(tx, now, events);
  return results;
}

/** What each report may change in its conversation. */
function affected(report: Report): Affected[] {
  const { businessId, messageId, status } = report;
  if (isFailure(status)) return [{ businessId, messageId, as: 'failed' }];
  if (isLost(status)) return [{ businessId, messageId, as: 'called_off' }];
  return lateAttemptMayApply(status) ? [{ businessId, messageId, as: 'arrived' }] : [];
}

function idsAre(reports: { businessId: number; messageId: string }[]) {
  return sql<boolean>`(business_id, message_id) in (${sql.join(reports.map((report) => sql`(${report.businessId}::bigint, ${report.messageId}::uuid)`))})`;
}

async function lockMessages(tx: Tx, reports: Report[]): Promise<Map<string, LockedMessage>> {
  const rows = await tx
    .selectFrom('messages')
    .select([
      'business_id',
      'message_id',
      'conversation_id',
      'client_id',
      'channel',
      'direction',
      'sender_type',
      'status',
      'provider',
      'provider_message_id',
      'to_address',
      'attempts',
      'superseded_attempts',
      'occurred_at',
    ])
    .where(idsAre(reports))
    .orderBy('business_id')
    .orderBy('message_id')
    .forUpdate()
    .execute();
  return new Map(rows.map((row) => [row.message_id, row]));
}

/** A report about an attempt that a retry has replaced. */
function isSuperseded(report: Report, message: LockedMessage): boolean {
  if (report.attemptNo !== undefined)
    return report.attemptNo < message.attempts || report.attemptNo <= message.superseded_attempts;
  const named =
    report.providerMessageId !== null &&
    message.provider_message_id !== null &&
    report.provider === message.provider;
  if (!named) return false;
  const retryWaits = message.superseded_attempts > 0 && message.attempts <= message.superseded_attempts;
  return report.providerMessageId !== message.provider_message_id || retryWaits;
}

/** What changes in a message's row; null leaves a column as it is. */
interface Patch {
  status: MessageStatus;
  provider: string | null;
  provider_message_id: string | null;
  provider_status: string | null;
  error_code: string | null;
  error_message: string | null;
  reason: string | null;
  sent_at: Date | null;
  delivered_at: Date | null;
  read_at: Date | null;
  failed_at: Date | null;
}

function patchOf(
  earlier: Patch | undefined,
  report: Report,
  status: MessageStatus,
  reason: string | null,
  now: Date,
): Patch {
  const at = report.occurredAt ?? now;
  const reached = (...statuses: MessageStatus[]) => (statuses.includes(status) ? at : null);
  return {
    status,
    provider: report.provider ?? earlier?.provider ?? null,
    provider_message_id: report.providerMessageId ?? earlier?.provider_message_id ?? null,
    provider_status: report.providerStatus ?? earlier?.provider_status ?? null,
    error_code: report.errorCode,
    error_message: report.errorMessage,
    reason,
    sent_at: earlier?.sent_at ?? reached('sent', 'delivered', 'read'),
    delivered_at: earlier?.delivered_at ?? reached('delivered', 'read'),
    read_at: earlier?.read_at ?? reached('read'),
    failed_at: reached('failed', 'undelivered'),
  };
}

async function saveMessages(tx: Tx, rows: (LockedMessage & { patch: Patch })[]): Promise<void> {
  if (rows.length === 0) return;
  const patches = rows.map((row) => ({
    business_id: row.business_id,
    message_id: row.message_id,
    ...row.patch,
  }));
  // A message keeps its provider, and takes an id only from that one: the pair names it.
  // Delivered after all: the failure that was shown before is over. The timeline keeps it.
  await sql`
    update messages set status = w.status, provider = coalesce(messages.provider, w.provider),
      provider_message_id = coalesce(messages.provider_message_id,
        case when w.provider = coalesce(messages.provider, w.provider) and not exists (
          select 1 from messages o where o.business_id = w.business_id and o.provider = w.provider
            and o.provider_message_id = w.provider_message_id and o.message_id <> w.message_id
        ) then w.provider_message_id end),
      provider_status = coalesce(w.provider_status, messages.provider_status),
      error_code = w.error_code, error_message = w.error_message, reason = w.reason,
      sent_at = coalesce(messages.sent_at, w.sent_at), delivered_at = coalesce(messages.delivered_at, w.delivered_at),
      read_at = coalesce(messages.read_at, w.read_at), failed_at = w.failed_at
    from jsonb_to_recordset(${JSON.stringify(patches)}::jsonb) as w(
      business_id bigint, message_id uuid, status text, provider text, provider_message_id text, provider_status text,
      error_code text, error_message text, reason text,
      sent_at timestamptz, delivered_at timestamptz, read_at timestamptz, failed_at timestamptz)
    where messages.business_id = w.business_id and messages.message_id = w.message_id`.execute(tx);
}

function timelineData(report: Report, applied: boolean): Record<string, unknown> {
  return {
    source: report.source,
    applied,
    provider: report.provider,
    provider_message_id: report.providerMessageId,
    provider_status: report.providerStatus,
    error_code: report.errorCode,
    error_message: report.errorMessage,
    attempt_no: report.attemptNo ?? null,
    occurred_at: report.occurredAt?.toISOString() ?? null,
    ...report.by,
  };
}

function statusEvent(
  report: Report,
  message: LockedMessage,
  status: MessageStatus,
  reason: string | null,
): NewEvent {
  return {
    businessId: report.businessId,
    type: `message.${status}` as EventType,
    by: report.by,
    changed: { status: { from: message.status, to: status } },
    data: {
      message_id: message.message_id,
      conversation_id: message.conversation_id,
      client_id: message.client_id,
      channel: message.channel,
      direction: message.direction,
      status,
      ...(reason && { reason, error_code: report.errorCode, error_message: report.errorMessage }),
    },
  };
}

function optOutByCarrier(report: Report, message: LockedMessage): ConsentEntry {
  return {
    businessId: report.businessId,
    channel: message.channel,
    address: message.to_address!,
    category: 'all',
    state: 'revoked',
    source: 'carrier',
    evidence: {
      message_id: message.message_id,
      provider: report.provider,
      error_code: report.errorCode,
      error_message: report.errorMessage,
    },
    clientId: message.client_id,
  };
}
