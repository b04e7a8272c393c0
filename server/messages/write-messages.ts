import { sql } from 'kysely';
import { mailIdOf } from '../channels/index.ts';
import { type ConsentEntry, writeConsents } from '../clients/index.ts';
import {
  type AmbiguousMessage,
  markAmbiguous,
  noteMessage,
  reopen,
  saveConversations,
} from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type EventType, type NewEvent, recordEvents } from '../core/events/index.ts';
import { Fault } from '../core/fault.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { callOff, lockCalledOff, type Reply } from './cancel-on-reply.ts';
import type { Draft, Written } from './draft.ts';
import { findKnown } from './facts.ts';
import { helpReplies, warnOfCancellations } from './keyword-follow-up.ts';
import { mailColumns, writeAttachments } from './mail-content.ts';
import { type Known, type Prepared, prepare } from './prepare.ts';
import { sendMessageQueue } from './queues.ts';
import { isLost } from './status.ts';
import { writeTimeline } from './timeline.ts';
import { type Searchable, writeWords } from './words.ts';

/**
 * Writes many messages, of any businesses, in the caller's transaction: clients, consent,
 * conversations, messages, jobs and events, with one statement for all where one message would take
 * one. What is wrong with one draft is answered for that one; the others are written.
 *
 * Locks in the order that every act keeps: addresses, conversations, messages, businesses.
 */
export async function writeMessages(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  drafts: Draft[],
  secrets: Secrets,
): Promise<(Written | Fault)[]> {
  const prepared = await prepare(tx, now, drafts, secrets);
  const ready = prepared.filter((one): one is Prepared => 'draft' in one);
  if (ready.length === 0) return prepared.map(answerOf);

  const duplicates = await insertMessages(tx, now, ready, secrets);
  const fresh = ready.filter((one) => !duplicates.has(one));
  await writeAttachments(tx, now, fresh);
  await writeWords(tx, fresh.map(searchable));
  const answers: Answer[] = [];
  const events = fresh.flatMap((one) => changeConversation(one, answers));
  await noteAnswers(tx, answers);
  events.push(...(await warnOfCancellations(tx, now, fresh)));
  await writeConsents(tx, now, fresh.flatMap(consentEntries));
  await writeTimeline(
    tx,
    fresh.map((one) => ({
      businessId: one.draft.businessId,
      messageId: one.messageId,
      ...firstTimelineEntry(one, now),
    })),
  );
  await markAmbiguous(tx, fresh.flatMap(ambiguityOf));
  await saveConversations(tx, now, [...new Set(fresh.map((one) => one.conversation))]);
  await markSeen(tx, fresh);
  await queue.insert(
    tx,
    sendMessageQueue,
    fresh
      .filter((one) => one.decision.sendInS !== null)
      .map((one) => ({
        data: { business_id: one.draft.businessId, message_id: one.messageId },
        delayS: one.decision.sendInS ?? 0,
        // A reminder that is due goes before a campaign.
        priority: one.draft.category === 'marketing' ? 0 : 10,
      })),
  );
  const calledOff = await lockCalledOff(tx, fresh.flatMap(replyOf));
  await recordEvents(tx, now, events);
  await callOff(tx, now, calledOff);
  // Answers that the carrier leaves to us; through the same rules as any message.
  const replies = await helpReplies(tx, now, fresh);
  if (replies.length > 0) await writeMessages(tx, now, queue, replies, secrets);
  return prepared.map((one) => ('draft' in one ? (duplicates.get(one) ?? writtenOf(one)) : answerOf(one)));
}

function answerOf(one: Prepared | Known | Fault): Written | Fault {
  if (one instanceof Fault) return one;
  return 'known' in one ? one.known : writtenOf(one);
}

/** @returns those whose carrier's message somebody else wrote since we looked, with the message that is there */
async function insertMessages(
  tx: Tx,
  now: Date,
  all: Prepared[],
  secrets: Secrets,
): Promise<Map<Prepared, Written>> {
  const inserted = await tx
    .insertInto('messages')
    .values(all.map((one) => messageRow(one, now, secrets)))
    .onConflict((conflict) =>
      conflict
        .columns(['business_id', 'provider', 'provider_message_id'])
        .where('provider_message_id', 'is not', null)
        .doNothing(),
    )
    .returning('message_id')
    .execute();
  const written = new Set(inserted.map((row) => row.message_id));
  const others = all.filter((one) => !written.has(one.messageId));
  if (others.length === 0) return new Map();
  const found = await findKnown(
    tx,
    others.map(({ draft }) => draft),
  );
  return new Map(
    [...found].map(([at, row]) => [
      others[at]!,
      {
        ...writtenOf(others[at]!),
        messageId: row.message_id,
        conversationId: row.conversation_id,
        clientId: row.client_id,
        status: row.status,
        duplicate: true,
      },
    ]),
  );
}

function searchable({ draft, ...one }: Prepared): Searchable {
  return {
    businessId: draft.businessId,
    messageId: one.messageId,
    occurredAt: one.occurredAt,
    channel: draft.channel,
    direction: draft.direction,
    subject: draft.subject ?? null,
    content: draft.content,
  };
}

function messageRow(one: Prepared, now: Date, secrets: Secrets) {
  const { draft, decision } = one;
  const inbound = draft.direction === 'inbound';
  return {
    business_id: draft.businessId,
    message_id: one.messageId,
    conversation_id: one.conversation.conversation_id,
    client_id: one.clientId,
    channel: draft.channel,
    direction: draft.direction,
    status: decision.status,
    content: draft.content,
    subject: draft.subject ?? null,
    media_urls: JSON.stringify(draft.mediaUrls),
    from_address: inbound ? one.clientAddress : one.ownAddress,
    to_address: inbound ? one.ownAddress : one.clientAddress,
    sent_by: draft.sentBy ?? null,
    sender_type: senderTypeOf(draft),
    category: draft.direction !== 'outbound' ? null : (draft.category ?? ('transactional' as const)),
    location_id: draft.locationId ?? one.conversation.location_id,
    segments: draft.channel === 'sms' ? one.segments : null,
    encoding: draft.channel === 'sms' ? one.encoding : null,
    provider: one.provider,
    provider_message_id: draft.providerMessageId ?? null,
    reason: decision.reason,
    unread: inbound && decision.unread,
    external_ref: draft.externalRef ? JSON.stringify(draft.externalRef) : null,
    metadata: JSON.stringify(draft.metadata),
    request_id: draft.requestId,
    send_at: decision.sendAt ?? draft.sendAt ?? null,
    cancel_on_reply: draft.cancelOnReply ?? false,
    occurred_at: one.occurredAt,
    created_at: now,
    ...mailColumns(draft.mail),
    call: draft.call ? JSON.stringify(draft.call) : null,
    ...ownMailId(one, secrets),
    auto_reply: draft.autoReply ?? false,
    threading_reason: draft.threadingReason ?? null,
    ...timesOf(decision.status, one.occurredAt),
  };
}

/** Written down before it is sent: what comes back may be faster than the carrier's answer. */
function ownMailId({ draft, messageId, ownAddress }: Prepared, secrets: Secrets): { mail_id?: string } {
  const isOurs = draft.act === 'queue' && draft.channel === 'email' && ownAddress !== null;
  return isOurs ? { mail_id: mailIdOf(messageId, ownAddress, secrets) } : {};
}

/** A recorded message brings its times with its status. */
function timesOf(status: Written['status'], at: Date) {
  return {
    sent_at: ['sent', 'delivered', 'read'].includes(status) ? at : null,
    delivered_at: ['delivered', 'read'].includes(status) ? at : null,
    read_at: status === 'read' ? at : null,
    failed_at: ['failed', 'undelivered'].includes(status) ? at : null,
  };
}

export function senderTypeOf(draft: Draft): 'staff' | 'client' | 'system' | 'automation' {
  if (draft.senderType) return draft.senderType;
  if (draft.direction === 'inbound') return 'client';
  if (draft.direction === 'internal') return 'staff';
  return draft.sentBy === undefined ? 'system' : 'staff';
}

/** Changes the locked conversation in memory; the row is saved once for all. @returns what happened */
function changeConversation(one: Prepared, answers: Answer[]): NewEvent[] {
  const { draft, conversation, decision } = one;
  const about = {
    message_id: one.messageId,
    conversation_id: conversation.conversation_id,
    client_id: one.clientId,
    channel: draft.channel,
    direction: draft.direction,
    status: decision.status,
    ...(draft.direction === 'internal' && { sent_by: draft.sentBy ?? null }),
  };
  const event = (type: EventType, data: Record<string, unknown>): NewEvent => ({
    businessId: draft.businessId,
    type,
    by: draft.by,
    data,
  });
  const events: NewEvent[] = [];
  if (one.clientCreated)
    events.push(
      event('client.created', { client_id: one.clientId, provisional: draft.clientId === undefined }),
    );
  if (conversation.created) {
    events.push(
      event('conversation.created', {
        conversation_id: conversation.conversation_id,
        client_id: one.clientId,
      }),
    );
    // Several drafts of a batch may stand in one new conversation; it is made once.
    conversation.created = false;
  }
  const since = noteMessage(conversation, {
    messageId: one.messageId,
    channel: draft.channel,
    direction: draft.direction,
    senderType: senderTypeOf(draft),
    occurredAt: one.occurredAt,
    unread: decision.unread,
    autoReply: draft.autoReply,
    failed: isLost(decision.status),
  });
  if (since) answers.push({ b: draft.businessId, m: one.messageId, since });
  events.push(event(eventTypeOf(one), about));
  if (draft.direction === 'inbound' && decision.unread && !draft.autoReply) {
    const reopened = reopen(conversation, draft.by, 'message.received');
    if (reopened) events.push(reopened);
  }
  if (decision.consent) {
    events.push(
      event(decision.consent === 'revoked' ? 'consent.revoked' : 'consent.granted', {
        client_id: one.clientId,
        channel: draft.channel,
        address: one.clientAddress,
        source: 'keyword',
        message_id: one.messageId,
      }),
    );
  }
  return events;
}

function replyOf({ draft, conversation, occurredAt }: Prepared): Reply[] {
  const isTheirs = draft.direction === 'inbound' && !draft.autoReply && !draft.fromGuest;
  if (!isTheirs || draft.channel === 'voice') return [];
  const { businessId, by } = draft;
  return [{ businessId, conversationId: conversation.conversation_id, occurredAt, by }];
}

interface Answer {
  b: number;
  m: string;
  since: Date;
}

/** Keeps with an answer since when its client waited: they wait again where it is lost. */
async function noteAnswers(tx: Tx, answers: Answer[]): Promise<void> {
  if (answers.length === 0) return;
  await sql`
    update messages set answers_since = w.since
    from jsonb_to_recordset(${JSON.stringify(answers)}::jsonb) as w(b bigint, m uuid, since timestamptz)
    where messages.business_id = w.b and messages.message_id = w.m`.execute(tx);
}

function ambiguityOf(one: Prepared): AmbiguousMessage[] {
  if (!one.shared) return [];
  return [
    {
      businessId: one.draft.businessId,
      conversationId: one.conversation.conversation_id,
      messageId: one.messageId,
      at: one.occurredAt,
      ...one.shared,
    },
  ];
}

function eventTypeOf(one: Prepared): EventType {
  if (one.draft.direction === 'internal') return 'note.added';
  if (one.draft.direction === 'inbound') return 'message.received';
  if (one.draft.act === 'record') return 'message.recorded';
  return `message.${one.decision.status as 'scheduled' | 'queued' | 'suppressed'}`;
}

function consentEntries(one: Prepared): ConsentEntry[] {
  if (!one.decision.consent || one.clientAddress === null) return [];
  return [
    {
      businessId: one.draft.businessId,
      channel: one.draft.channel,
      address: one.clientAddress,
      category: 'all',
      state: one.decision.consent,
      source: 'keyword',
      evidence: { message_id: one.messageId, content: one.draft.content },
      clientId: one.clientId,
      at: one.occurredAt,
    },
  ];
}

function firstTimelineEntry(one: Prepared, at: Date) {
  const { draft, decision } = one;
  const kind = draft.act === 'queue' ? decision.status : draft.act === 'record' ? 'recorded' : 'received';
  return {
    kind,
    at,
    data: {
      ...draft.by,
      request_id: draft.requestId,
      ...(draft.act === 'queue' && {
        sender: one.ownAddress,
        provider: one.provider,
        reason: decision.reason,
      }),
    },
  };
}

/** When each client was last heard from. */
async function markSeen(tx: Tx, all: Prepared[]): Promise<void> {
  const seen = all
    .filter((one) => one.draft.direction === 'inbound' && !one.draft.autoReply)
    .map((one) => ({ b: one.draft.businessId, c: one.clientId, at: one.occurredAt }));
  if (seen.length === 0) return;
  await sql`
    update clients set last_seen_at = greatest(last_seen_at, w.at)
    from (select b, c, max(at) as at from jsonb_to_recordset(${JSON.stringify(seen)}::jsonb) as w(b bigint, c bigint, at timestamptz) group by b, c) w
    where clients.business_id = w.b and clients.client_id = w.c`.execute(tx);
}

function writtenOf(one: Prepared): Written {
  return {
    messageId: one.messageId,
    conversationId: one.conversation.conversation_id,
    clientId: one.clientId,
    status: one.decision.status,
    reason: one.decision.reason,
    segments: one.segments,
    encoding: one.encoding,
    duplicate: false,
  };
}
