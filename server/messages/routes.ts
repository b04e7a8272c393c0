import { businessFor } from '../businesses/index.ts';
import { conversationFor } from '../conversations/index.ts';
import {
  answer,
  type Binding,
  type Cursors,
  type OwnCall,
  own,
  pageOf,
  read,
  write,
} from '../core/http/index.ts';
import { addNote } from './add-note.ts';
import { authorOf } from './author.ts';
import type { Written } from './draft.ts';
import type { Intake } from './intake.ts';
import { markMessagesRead } from './mark-read.ts';
import { presentMessage } from './present.ts';
import { listMessages, type MessageFilters } from './queries.ts';
import { draftOf, submissionOf } from './submission.ts';
import { timeOf } from './times.ts';
import { updateStatus } from './update-status.ts';

export function messageRoutes(options: { intake: Intake; cursors: Cursors }): Binding[] {
  const { intake, cursors } = options;
  return [
    own('queueSms', async (call) => {
      const { body } = call;
      const submission = submissionOf(
        call,
        'queueSms',
        202,
        {
          ...textOf(call),
          channel: body.channel ?? 'sms',
          act: 'queue',
          direction: 'outbound',
          category: body.category,
          sendAt: timeOf(body.send_at),
          cancelOnReply: body.cancel_on_reply,
          expectedLastMessageId: body.expected_last_message_id,
        },
        segmentsOf,
      );
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    own('recordSms', async (call) => {
      const { body } = call;
      const submission = submissionOf(
        call,
        'recordSms',
        201,
        {
          ...textOf(call),
          act: 'record',
          direction: body.direction,
          provider: body.provider,
          providerMessageId: body.provider_message_id,
          status: body.status,
          occurredAt: timeOf(body.occurred_at),
        },
        segmentsOf,
      );
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    write('updateSmsStatus', (tx, call) => updateStatus(tx, call)),

    read('listMessages', async (db, { businessId, params, query }) => {
      const { conversation_id: conversationId } = await conversationFor(
        db,
        businessId,
        params.client_id,
        params.conversation_id,
      );
      const { cursor, limit = 25, order = 'newest', ...named } = query;
      const filters: MessageFilters = {
        channel: named.channel,
        direction: named.direction,
        status: named.status,
        senderType: named.sender_type,
        sentBy: named.sent_by,
        unread: named.unread,
        since: timeOf(named.since),
        until: timeOf(named.until),
        text: named.text,
      };
      const about = ['listMessages', businessId, conversationId, order, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && { at: String(place[0]), messageId: String(place[1]) };
      const rows = await listMessages(db, businessId, conversationId, filters, order, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.occurred_at.toISOString(), row.message_id],
      );
      return answer(200, {
        data: page.rows.map(presentMessage),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('markMessagesRead', async (tx, { businessId, params, body, now, origin }) => {
      const { updated, unreadCount } = await markMessagesRead(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        read: body.read,
        messageIds: body.message_ids,
        upToMessageId: body.up_to_message_id,
        channel: body.channel,
        direction: body.direction,
        before: body.before === undefined ? undefined : new Date(body.before),
        by: origin,
      });
      return answer(200, { updated, unread_count: unreadCount });
    }),

    write('addNote', async (tx, { businessId, params, body, caller, requestId, now, origin }) => {
      await businessFor(tx, businessId);
      const { messageId, conversationId } = await addNote(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        content: body.content,
        sentBy: authorOf(caller, body.sent_by),
        requestId,
        by: origin,
      });
      return answer(200, {
        message: 'Note added',
        message_id: messageId,
        conversation_id: conversationId,
        created_at: now.toISOString(),
      });
    }),
  ];
}

/** What queued and recorded texts have in common. */
function textOf(call: OwnCall<'queueSms'> | OwnCall<'recordSms'>) {
  const { body } = call;
  return {
    ...draftOf(call as OwnCall<'queueSms'>),
    channel: 'sms',
    content: body.content,
    mediaUrls: body.media_urls ?? [],
  };
}

const segmentsOf = ({ segments, encoding }: Written) => ({ segments, encoding });
