import type { Conversation, Message } from '../../contract/index.ts';
import type { Client } from './omega.ts';

/** What an answer says of where its message stands. */
interface Placed {
  client_id: number;
  conversation_id: string;
  message_id?: string;
}

/** The path of a conversation, below the base path. */
export function conversationPath(businessId: number, placed: Placed): string {
  return `/businesses/${businessId}/clients/${placed.client_id}/conversations/${placed.conversation_id}`;
}

/** A conversation's first 100 messages, oldest first. */
export async function messagesOf(api: Client, businessId: number, placed: Placed): Promise<Message[]> {
  const { body } = await api.get(`${conversationPath(businessId, placed)}/messages?order=oldest&limit=100`);
  return body.data;
}

/** The message of an answer, as the API shows it now. */
export async function messageOf(api: Client, businessId: number, placed: Placed): Promise<Message> {
  const all = await messagesOf(api, businessId, placed);
  const found = all.find(({ message_id }) => message_id === placed.message_id);
  if (!found) throw new Error(`There is no message ${placed.message_id} in its conversation.`);
  return found;
}

/** A conversation's row, as the list shows it now. */
export async function rowOf(api: Client, businessId: number, placed: Placed): Promise<Conversation> {
  const { body } = await api.get(`/businesses/${businessId}/conversations?limit=100`);
  const found = (body.data as Conversation[]).find(
    ({ conversation_id }) => conversation_id === placed.conversation_id,
  );
  if (!found) throw new Error(`There is no conversation ${placed.conversation_id} in the list.`);
  return found;
}
