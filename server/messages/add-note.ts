import {
  type LockedConversation,
  lockConversationFor,
  noteMessage,
  saveConversations,
} from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import { notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import { writeWords } from './words.ts';

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
export async function addNote(
  tx: Tx,
  now: Date,
  note: NewNote,
): Promise<{ messageId: string; conversationId: string }> {
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
  const messageId = await insertNote(tx, now, conversation, { ...note, senderType: 'staff' });
  await saveConversations(tx, now, [conversation]);
  await recordEvents(tx, now, [noteAdded(conversation, messageId, note.sentBy, note.by)]);
  return { messageId, conversationId: conversation.conversation_id };
}

export interface NoteText {
  content: string;
  sentBy: number | null;
  senderType: 'staff' | 'automation';
  requestId: string | null;
}

/** Writes the note's row and notes it in the locked conversation, which the caller saves. */
export async function insertNote(
  tx: Tx,
  now: Date,
  conversation: LockedConversation,
  note: NoteText,
): Promise<string> {
  const messageId = newId();
  await tx
    .insertInto('messages')
    .values({
      business_id: conversation.business_id,
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
      sender_type: note.senderType,
      location_id: conversation.location_id,
      request_id: note.requestId,
      occurred_at: now,
      created_at: now,
    })
    .execute();
  await writeWords(tx, [
    {
      businessId: conversation.business_id,
      messageId,
      occurredAt: now,
      channel: 'note',
      direction: 'internal',
      subject: null,
      content: note.content,
    },
  ]);
  noteMessage(conversation, {
    messageId,
    channel: 'note',
    direction: 'internal',
    senderType: note.senderType,
    occurredAt: now,
    unread: false,
  });
  return messageId;
}

export function noteAdded(
  conversation: LockedConversation,
  messageId: string,
  sentBy: number | null,
  by: Origin,
): NewEvent {
  const { business_id: businessId, conversation_id, client_id } = conversation;
  return {
    businessId,
    type: 'note.added',
    by,
    data: { message_id: messageId, conversation_id, client_id, sent_by: sentBy },
  };
}
