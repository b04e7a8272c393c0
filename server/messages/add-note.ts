import { lockConversationFor, noteMessage, saveConversations } from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';

export interface NewNote {
  businessId: number;
  clientId: number;
  conversationId: string;
  content: string;
  sentBy: number | null;
  requestId: string;
  by: Origin;
}

/**
 * Writes a note into a conversation. It is a message of direction `internal` that no sending path
 * ever selects, and it leaves unread and waiting as they are.
 */
export async function addNote(tx: Tx, now: Date, note: NewNote): Promise<string> {
  const { businessId } = note;
  const conversation = await lockConversationFor(tx, businessId, note.clientId, note.conversationId);
  if (note.sentBy !== null) {
    const staff = await tx
      .selectFrom('staffs')
      .select('staff_id')
      .where('business_id', '=', businessId)
      .where('staff_id', '=', note.sentBy)
      .executeTakeFirst();
    if (!staff) throw notFound('staff member', 'Check sent_by.');
  }
  const messageId = newId();
  await tx
    .insertInto('messages')
    .values({
      business_id: businessId,
      message_id: messageId,
      conversation_id: conversation.conversation_id,
      client_id: conversation.client_id,
      channel: 'note',
      direction: 'internal',
      status: 'received',
      content: note.content,
      media_urls: '[]',
      metadata: '{}',
      sent_by: note.sentBy,
      sender_type: 'staff',
      location_id: conversation.location_id,
      request_id: note.requestId,
      occurred_at: now,
      created_at: now,
    })
    .execute();
  noteMessage(conversation, {
    messageId,
    channel: 'note',
    direction: 'internal',
    senderType: 'staff',
    occurredAt: now,
    unread: false,
  });
  await saveConversations(tx, now, [conversation]);
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'note.added',
      by: note.by,
      data: {
        message_id: messageId,
        conversation_id: conversation.conversation_id,
        client_id: conversation.client_id,
        sent_by: note.sentBy,
      },
    },
  ]);
  return messageId;
}
