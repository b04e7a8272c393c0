import { businessFor } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import { answer, type Binding, type Cursors, own, pageOf, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { authorOf } from './author.ts';
import type { Draft } from './draft.ts';
import { updateExternalRef } from './external-refs.ts';
import { listBusinessMessages } from './list-of-business.ts';
import { readTimeline } from './message-timeline.ts';
import { messagesOfRequest } from './messages-of-request.ts';
import { type Preflight, preflight } from './preflight.ts';
import { presentMessage } from './present.ts';
import { recordMessages } from './record-messages.ts';
import { retryMessage, retryMessages } from './retry-messages.ts';
import { timeOf } from './times.ts';
import { cancelMessage, rescheduleMessage } from './waiting-messages.ts';

const longOverdueMs = 7 * 86_400_000;

/** The tag `messages`, but for search. */
export function messageActRoutes(options: {
  db: Db;
  queue: JobQueue;
  cursors: Cursors;
  secrets: Secrets;
}): Binding[] {
  const { db, queue, cursors, secrets } = options;

  async function pageOfRequest(
    db: Db,
    businessId: number,
    requestId: string,
    query: { limit?: number; cursor?: string },
  ) {
    const { limit = 25, cursor } = query;
    const about = ['messagesOfRequest', businessId, requestId];
    const after = cursor === undefined ? null : String(cursors.decode(about, cursor)[0]);
    const rows = await messagesOfRequest(db, businessId, requestId, limit, after);
    const page = pageOf(
      rows,
      limit,
      (at) => cursors.encode(about, at),
      (row) => [row.message_id],
    );
    return answer(200, {
      data: page.rows.map(presentMessage),
      next_cursor: page.next_cursor,
      has_more: page.has_more,
    });
  }

  return [
    write('recordMessages', async (tx, { businessId, body, caller, requestId, now, origin }) => {
      const { business_id: _, request_id: __, messages, ...single } = body;
      if (messages !== undefined && Object.keys(single).length > 0)
        throw invalid(Object.keys(single)[0]!, 'belongs into an item of `messages`', 'unknown_field');
      await businessFor(tx, businessId);
      const { results, faults } = await recordMessages(
        tx,
        now,
        queue,
        {
          businessId,
          items: messages ?? [single],
          authorOf: (named) => authorOf(caller, named),
          requestId,
          by: origin,
        },
        secrets,
      );
      if (messages === undefined && faults[0]) throw faults[0];
      const failed = faults.filter((fault) => fault !== null).length;
      return answer(200, { request_id: requestId, results, accepted: results.length - failed, failed });
    }),

    write('retryMessages', async (tx, { businessId, body, now, origin }) => {
      const filters = {
        messageIds: body.message_ids,
        channel: body.channel,
        reason: body.reason,
        requestId: body.request_id,
        since: timeOf(body.since),
        until: timeOf(body.until),
        limit: body.limit ?? (body.message_ids ? 1000 : 100),
        force: body.force ?? false,
      };
      const done = await retryMessages(tx, now, queue, businessId, filters, origin);
      return answer(200, {
        retried: done.messageIds.length,
        message_ids: done.messageIds,
        skipped: done.skipped.map(({ messageId, reason }) => ({ message_id: messageId, reason })),
        has_more: done.hasMore,
      });
    }),

    write('retryMessage', async (tx, { businessId, params, body, now, origin }) => {
      await retryMessage(tx, now, queue, businessId, params.message_id, body.force ?? false, origin);
      return answer(202, { message_id: params.message_id, status: 'queued' });
    }),

    read('getMessagesByRequest', (db, { businessId, params, query }) =>
      pageOfRequest(db, businessId, params.request_id, query),
    ),
    read('getBusinessMessagesByRequest', (db, { businessId, params, query }) =>
      pageOfRequest(db, businessId, params.request_id, query),
    ),

    read('listBusinessMessages', async (db, { businessId, query, now }) => {
      await businessFor(db, businessId);
      const { cursor, limit = 25, order, ...named } = query;
      const isScheduled = named.status === 'scheduled';
      const filters = {
        status: named.status,
        channel: named.channel,
        direction: named.direction,
        since: timeOf(named.since),
        until: timeOf(named.until),
      };
      const sorted = order ?? (isScheduled ? 'oldest' : 'newest');
      const about = ['listBusinessMessages', businessId, sorted, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      // What was sent long ago has been due as well, and is not to be waded through for what waits.
      if (isScheduled) filters.since ??= new Date(now.getTime() - longOverdueMs);
      const { rows, next } = await listBusinessMessages(
        db,
        businessId,
        filters,
        sorted,
        limit,
        place && { at: String(place[0]), messageId: String(place[1]) },
      );
      return answer(200, {
        data: rows.map(presentMessage),
        next_cursor: next && cursors.encode(about, [next.at, next.messageId]),
        has_more: next !== null,
      });
    }),

    read('getMessageTimeline', async (db, { businessId, params }) => {
      const { message, request, attempts, entries, hasMore } = await readTimeline(
        db,
        businessId,
        params.message_id,
      );
      return answer(200, {
        message: presentMessage(message),
        request: request && {
          request_id: request.request_id,
          operation: request.operation,
          at: request.created_at.toISOString(),
        },
        attempts: attempts.map(({ business_id: _, message_id: __, ...attempt }) => ({
          ...attempt,
          claimed_at: attempt.claimed_at.toISOString(),
          settled_at: attempt.settled_at?.toISOString() ?? null,
        })),
        entries: entries.map(({ at, kind, data }) => ({ at: at.toISOString(), kind, data })),
        has_more: hasMore,
      });
    }),

    own('preflightMessage', async ({ businessId, body, caller, requestId, now, origin }) => {
      const draft: Draft = {
        businessId,
        act: 'queue',
        channel: body.channel ?? 'sms',
        direction: 'outbound',
        clientId: body.client_id,
        clientAddress: body.to,
        ownAddress: body.from,
        locationId: body.location_id,
        content: body.content,
        mediaUrls: body.media_urls ?? [],
        sentBy: authorOf(caller, body.sent_by) ?? undefined,
        senderType: body.sender_type,
        category: body.category,
        sendAt: timeOf(body.send_at),
        cancelOnReply: body.cancel_on_reply,
        expectedLastMessageId: body.expected_last_message_id,
        externalRef: body.external_ref,
        metadata: body.metadata ?? {},
        requestId,
        by: origin,
      };
      return answer(200, presentPreflight(await preflight(db, now, draft, secrets)));
    }),

    write('cancelMessage', async (tx, { businessId, params, now, origin }) => {
      await cancelMessage(tx, now, businessId, params.message_id, origin);
      return answer(200, { message_id: params.message_id, status: 'canceled' });
    }),

    write('rescheduleMessage', async (tx, { businessId, params, body, now, origin }) => {
      const asked = timeOf(body.send_at);
      const { messageId, status, sendAt } = await rescheduleMessage(
        tx,
        now,
        queue,
        businessId,
        params.message_id,
        asked,
        origin,
      );
      return answer(200, { message_id: messageId, status, send_at: sendAt.toISOString() });
    }),

    write('updateExternalRef', async (tx, { businessId, params, body, now, origin }) => {
      const startsAt = timeOf(body.starts_at) ?? null;
      if (body.action === 'moved' && !startsAt) {
        throw new Fault('invalid_parameters', 'starts_at: is required with moved', {
          errors: [{ path: 'starts_at', message: 'is required with moved', code: 'required' }],
        });
      }
      if (body.action === 'canceled' && startsAt)
        throw invalid('starts_at', 'is for moved; what is canceled starts never');
      const change = { ...params, action: body.action, startsAt, shift: body.shift ?? true };
      const { outcomes, hasMore } = await updateExternalRef(tx, now, queue, businessId, change, origin);
      return answer(200, {
        messages: outcomes.map(({ messageId, outcome, status, sendAt }) => ({
          message_id: messageId,
          outcome,
          status,
          send_at: sendAt?.toISOString() ?? null,
        })),
        has_more: hasMore,
      });
    }),
  ];
}

function presentPreflight(found: Preflight) {
  const { prepared, counted, hours } = found;
  const { decision, conversation } = prepared;
  return {
    would_send: decision.sendInS !== null,
    status: decision.status,
    reason: decision.reason,
    send_at: found.dueAt?.toISOString() ?? null,
    to: prepared.clientAddress!,
    sender: { address: prepared.ownAddress!, provider: prepared.provider! },
    client: {
      client_id: prepared.clientCreated ? null : prepared.clientId,
      is_new: prepared.clientCreated,
    },
    conversation_id: conversation.created ? null : conversation.conversation_id,
    segments: counted.segments,
    encoding: counted.encoding,
    units: counted.units,
    offending_characters: counted.offending,
    consent: found.consent,
    hours: {
      applies: hours.applies,
      allowed: hours.allowed,
      time_zone: hours.timeZone,
      local_time: hours.localTime,
      next_allowed_at: hours.nextAllowedAt.toISOString(),
    },
    duplicates: found.duplicates.map((row) => ({ ...row, created_at: row.created_at.toISOString() })),
  };
}
