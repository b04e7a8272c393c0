import type { CallOutcome } from '../../contract/index.ts';
import { laterWord, learn, nothingKnown, outcomeOf, statusOfCall } from '../channels/index.ts';
import { lockConversations, saveConversations } from '../conversations/index.ts';
import type { CallFacts, Tx } from '../core/db/index.ts';
import { type EventType, recordEvents } from '../core/events/index.ts';
import { Fault } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { fetchLater } from './media.ts';
import { applyReports } from './report.ts';
import { writeTimeline } from './timeline.ts';
import { writeMessages } from './write-messages.ts';

/** What a carrier told of a call, in our words. */
export interface CallNews {
  provider: string;
  businessId: number;
  /** The carrier's id of the call: of its first leg, where it has several. */
  providerMessageId: string;
  /** Who calls whom; null where the callback does not say, and then the call must be known. */
  start: CallStart | null;
  told: Partial<CallFacts>;
  /** The carrier's own word. */
  providerStatus: string | null;
  occurredAt: string | null;
}

export interface CallStart {
  direction: 'inbound' | 'outbound';
  /** The client's number. */
  client: string;
  clientId?: number;
  /** The business's own: a voice sender. */
  own: string;
  locationId?: number;
  /** Who of the staff calls. */
  staffId?: number;
}

export interface NotedCall {
  messageId: string;
  conversationId: string;
  clientId: number;
  direction: 'inbound' | 'outbound' | 'internal';
  locationId: number | null;
  outcome: CallOutcome;
}

interface CallRow {
  message_id: string;
  conversation_id: string;
  client_id: number;
  direction: 'inbound' | 'outbound' | 'internal';
  location_id: number | null;
  occurred_at: Date;
  provider_status: string | null;
  call: CallFacts | null;
}

/**
 * Writes what is told of a call to its message, making that when it is told first. Told again or in another
 * order it comes to the same.
 *
 * A client's call is unread and waiting from its first ring on, and only an answer changes that: so a missed
 * call is, even where no callback ever comes.
 *
 * @returns null where nobody knows the call, and what is told does not say who calls whom
 */
export async function noteCall(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  secrets: Secrets,
  news: CallNews,
): Promise<NotedCall | Fault | null> {
  if (!(await findCall(tx, news))) {
    if (!news.start) return null;
    const fault = await writeCall(tx, now, queue, secrets, news, news.start);
    if (fault) return fault;
  }
  const row = await lockCall(tx, news);
  const about = {
    messageId: row.message_id,
    conversationId: row.conversation_id,
    clientId: row.client_id,
    direction: row.direction,
    locationId: row.location_id,
  };
  // Erased: what is still told of the call is nobody's any more.
  if (!row.call) return { ...about, outcome: 'completed' };
  const was = outcomeOf(row.direction, row.call);
  const call = learn(row.call, news.told);
  const outcome = outcomeOf(row.direction, call);
  const providerStatus = laterWord(row.provider_status, news.providerStatus);
  await tx
    .updateTable('messages')
    .set({
      call: JSON.stringify(call),
      provider_status: providerStatus,
    })
    .where('business_id', '=', news.businessId)
    .where('message_id', '=', row.message_id)
    .execute();
  const { recording } = call;
  if (recording && recording.url !== row.call.recording?.url) {
    const { businessId, provider } = news;
    const mediaUrls = [recording.url];
    await fetchLater(tx, queue, { businessId, messageId: row.message_id, provider, mediaUrls });
  }
  if (row.direction === 'inbound' && call.answered_at) await answered(tx, now, news, row, call.answered_at);
  if (row.direction === 'outbound') await report(tx, now, { ...news, providerStatus }, row, outcome);
  if (outcome !== was) await tell(tx, now, news, row, call, outcome);
  return { ...about, outcome };
}

const byCarrier = (provider: string): Origin => ({
  actor: { type: 'carrier', id: provider },
  origin: { provider },
});

async function findCall(
  tx: Tx,
  { businessId, provider, providerMessageId }: CallNews,
): Promise<{ message_id: string; conversation_id: string } | undefined> {
  return await tx
    .selectFrom('messages')
    .select(['message_id', 'conversation_id'])
    .where('business_id', '=', businessId)
    .where('provider', '=', provider)
    .where('provider_message_id', '=', providerMessageId)
    .executeTakeFirst();
}

async function writeCall(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  secrets: Secrets,
  news: CallNews,
  start: CallStart,
): Promise<Fault | null> {
  const inbound = start.direction === 'inbound';
  const { provider, businessId, providerMessageId } = news;
  const [written] = await writeMessages(
    tx,
    now,
    queue,
    [
      {
        businessId,
        act: inbound ? 'receive' : 'record',
        channel: 'voice',
        direction: start.direction,
        clientId: start.clientId,
        clientAddress: start.client,
        ownAddress: start.own,
        locationId: start.locationId,
        content: '',
        mediaUrls: [],
        call: nothingKnown,
        ...(!inbound && { sentBy: start.staffId, senderType: 'staff' as const, status: 'sending' as const }),
        metadata: {},
        provider,
        providerMessageId,
        occurredAt: now,
        requestId: null,
        by: {
          actor: inbound ? { type: 'client', id: null } : { type: 'staff', id: start.staffId ?? null },
          origin: { provider },
        },
      },
    ],
    secrets,
  );
  if (written instanceof Fault) return written;
  if (written!.duplicate) return null;
  const { messageId, conversationId, clientId } = written!;
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'call.started',
      by: byCarrier(provider),
      data: {
        message_id: messageId,
        conversation_id: conversationId,
        client_id: clientId,
        channel: 'voice',
        direction: start.direction,
        ...(start.staffId !== undefined && { sent_by: start.staffId }),
      },
    },
  ]);
  return null;
}

/** The message of a call, its conversation locked before it as everywhere. */
async function lockCall(tx: Tx, news: CallNews): Promise<CallRow> {
  for (;;) {
    const seen = (await findCall(tx, news))!;
    await lockConversations(tx, [{ businessId: news.businessId, conversationId: seen.conversation_id }]);
    const row = await tx
      .selectFrom('messages')
      .select([
        'message_id',
        'conversation_id',
        'client_id',
        'direction',
        'location_id',
        'occurred_at',
        'provider_status',
        'call',
      ])
      .where('business_id', '=', news.businessId)
      .where('message_id', '=', seen.message_id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    // Moved to another conversation since the look (a merge): that one is to be locked.
    if (row.conversation_id === seen.conversation_id) return row;
  }
}

/** Somebody of the staff talks with the client: the call is read, and the client waits no longer. */
async function answered(tx: Tx, now: Date, news: CallNews, row: CallRow, at: string): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('messages')
    .set({ unread: false })
    .where('business_id', '=', news.businessId)
    .where('message_id', '=', row.message_id)
    .where('unread', '=', true)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return;
  const conversations = await lockConversations(tx, [
    { businessId: news.businessId, conversationId: row.conversation_id },
  ]);
  const conversation = conversations.get(row.conversation_id)!;
  const from = conversation.unread_count;
  conversation.unread_count = Math.max(0, from - 1);
  // Told by another clock, or reckoned back from a duration: an answer is never before its call.
  const talkedAt = Math.max(new Date(at).getTime(), row.occurred_at.getTime());
  if (conversation.waiting_since && conversation.waiting_since.getTime() <= talkedAt)
    conversation.waiting_since = null;
  await saveConversations(tx, now, [conversation]);
  await recordEvents(tx, now, [
    {
      businessId: news.businessId,
      type: 'conversation.read',
      by: byCarrier(news.provider),
      changed: { unread_count: { from, to: conversation.unread_count } },
      data: { conversation_id: row.conversation_id, client_id: row.client_id, read: true, updated: 1 },
    },
  ]);
}

/** A call that staff made has a status as any message; it only climbs. */
async function report(tx: Tx, now: Date, news: CallNews, row: CallRow, outcome: CallOutcome): Promise<void> {
  const is =
    statusOfCall(outcome) ?? (news.providerStatus === 'ringing' ? { status: 'sent' as const } : null);
  if (!is) return;
  await applyReports(tx, now, [
    {
      businessId: news.businessId,
      messageId: row.message_id,
      source: 'carrier',
      ...is,
      provider: news.provider,
      providerMessageId: news.providerMessageId,
      providerStatus: news.providerStatus,
      errorCode: null,
      errorMessage: null,
      occurredAt: news.occurredAt ? new Date(news.occurredAt) : null,
      by: byCarrier(news.provider),
    },
  ]);
}

const eventOfOutcome: { [O in CallOutcome]: EventType | null } = {
  ringing: null,
  in_progress: 'call.answered',
  completed: 'call.completed',
  missed: 'call.missed',
  voicemail: 'call.voicemail',
  busy: 'call.completed',
  no_answer: 'call.completed',
  canceled: 'call.completed',
  failed: 'call.completed',
};

async function tell(
  tx: Tx,
  now: Date,
  news: CallNews,
  row: CallRow,
  call: CallFacts,
  outcome: CallOutcome,
): Promise<void> {
  const by = byCarrier(news.provider);
  const { provider, providerStatus: provider_status, businessId, occurredAt: occurred_at } = news;
  await writeTimeline(tx, [
    {
      businessId,
      messageId: row.message_id,
      kind: `call.${outcome}`,
      at: now,
      data: { source: 'carrier', provider, provider_status, occurred_at, ...by },
    },
  ]);
  const type = eventOfOutcome[outcome];
  if (!type) return;
  await recordEvents(tx, now, [
    {
      businessId,
      type,
      by,
      data: {
        message_id: row.message_id,
        conversation_id: row.conversation_id,
        client_id: row.client_id,
        channel: 'voice',
        direction: row.direction,
        outcome,
        duration_s: call.duration_s,
        ...(call.answered_by !== null && { answered_by: call.answered_by }),
      },
    },
  ]);
}
