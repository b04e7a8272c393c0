import type { NewEvent } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { LockedConversation } from './open.ts';

/** A message from the client, or a failed send, reopens. @returns the event, or null where it was open */
export const reopen = (conversation: LockedConversation, by: Origin, because: string): NewEvent | null =>
  turn(conversation, 'open', by, because);

/** Nothing is left of it. @returns the event, or null where it was closed */
export const close = (conversation: LockedConversation, by: Origin, because: string): NewEvent | null =>
  turn(conversation, 'closed', by, because);

function turn(
  conversation: LockedConversation,
  to: 'open' | 'closed',
  by: Origin,
  because: string,
): NewEvent | null {
  const from = conversation.status;
  if (from === to) return null;
  conversation.status = to;
  conversation.snoozed_until = null;
  return {
    businessId: conversation.business_id,
    type: 'conversation.status_changed',
    by,
    changed: { status: { from, to } },
    data: { conversation_id: conversation.conversation_id, client_id: conversation.client_id, because },
  };
}

export interface NewMessageFacts {
  messageId: string;
  channel: string;
  direction: 'inbound' | 'outbound' | 'internal';
  senderType: string;
  occurredAt: Date;
  unread: boolean;
  /** A machine wrote it: staff see it as unread, but nobody waits. */
  autoReply?: boolean;
  /** It is never sent, or did not arrive: it answers nobody. */
  failed?: boolean;
}

/** What a new message changes in its conversation's row. @returns since when the client waited whom it answers */
export function noteMessage(conversation: LockedConversation, message: NewMessageFacts): Date | null {
  if (message.occurredAt > conversation.last_activity_at) conversation.last_activity_at = message.occurredAt;
  // A note is for staff: it is never the last message, answers nobody, and is no channel of the client's.
  if (message.direction === 'internal') return null;
  // Of one millisecond the greater id is the last, as in the conversation's list.
  const before = conversation.last_message_at;
  const isLater = !before || message.occurredAt > before;
  const isOfThen = before?.getTime() === message.occurredAt.getTime();
  if (isLater || (isOfThen && message.messageId > (conversation.last_message_id ?? ''))) {
    conversation.last_message_id = message.messageId;
    conversation.last_message_at = message.occurredAt;
  }
  if (!conversation.channels.includes(message.channel))
    conversation.channels = [...conversation.channels, message.channel];
  if (message.direction === 'inbound') {
    if (message.unread) conversation.unread_count += 1;
    const waits = message.unread && !message.autoReply;
    if (waits && (!conversation.waiting_since || message.occurredAt < conversation.waiting_since)) {
      conversation.waiting_since = message.occurredAt;
    }
    return null;
  }
  // A person's answer ends the waiting; a reminder that goes out by itself answers nobody.
  const since = conversation.waiting_since;
  if (message.senderType !== 'staff' || message.failed || !since || message.occurredAt < since) return null;
  conversation.waiting_since = null;
  return since;
}
