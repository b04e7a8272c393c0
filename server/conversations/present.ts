import type { Conversation } from '../../contract/index.ts';
import { outcomeOf } from '../channels/index.ts';
import type { ConversationRow } from './queries.ts';

/** A row as the API shows it: the same for answers, webhooks and streams. */
export function presentConversation(row: ConversationRow): Conversation {
  return {
    conversation_id: row.conversation_id,
    business_id: row.business_id,
    client: {
      client_id: row.client_id,
      name: row.client_name,
      phone: row.client_phone,
      email: row.client_email,
      provisional: row.client_provisional,
    },
    status: row.status,
    snoozed_until: row.snoozed_until?.toISOString() ?? null,
    assignee:
      row.assignee_staff_id === null ? null : { staff_id: row.assignee_staff_id, name: row.assignee_name },
    location_id: row.location_id,
    last_message: row.last_message_id
      ? {
          message_id: row.last_message_id,
          preview: row.last_preview!,
          channel: row.last_channel!,
          direction: row.last_direction!,
          status: row.last_status!,
          ...(row.last_call && { call_outcome: outcomeOf(row.last_direction!, row.last_call) }),
          at: row.last_at!.toISOString(),
        }
      : null,
    unread_count: row.unread_count,
    waiting_since: row.waiting_since?.toISOString() ?? null,
    channels: row.channels,
    identity_confirmed: row.ambiguous_since === null,
    candidates: row.candidates ?? [],
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
