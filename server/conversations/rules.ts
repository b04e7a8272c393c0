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

/** The last message of a conversation, where it has one. */
export type LastMessage = Pick<LockedConversation, 'last_message_id' | 'last_message_at'>;

/** Whether a message stands behind the last one: of one millisecond the greater id does, as in the conversation's list. */
export function isBehind(messageId: string, occurredAt: Date, last: LastMessage): boolean {
  const ms = occurredAt.getTime() - (last.last_message_at?.getTime() ?? Number.NEGATIVE_INFINITY);
  return ms > 0 || (ms === 0 && messageId > (last.last_message_id ?? ''));
}

/** What a new message changes in its conversation's row. @returns since when the client waited whom it answers */
export function noteMessage(conversation: LockedConversation, message: NewMessageFacts): Date | null {
  if (message.occurredAt > conversation.last_activity_at) conversation.last_activity_at = message.occurredAt;
  // A note is for staff: it is never the last message, answers nobody, and is no channel of the client's.
  if (message.direction === 'internal') return null;
  if (isBehind(message.messageId, message.occurredAt, conversation)) {
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
