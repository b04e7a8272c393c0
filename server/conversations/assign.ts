import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { lockConversationFor } from './access.ts';

export interface Assignment {
  businessId: number;
  clientId: number;
  conversationId: string;
  /** Null takes it from whoever has it. */
  staffId: number | null;
  by: Origin;
}

/**
 * Gives a conversation to a staff member of its business and, where it has one, of its location.
 *
 * @returns the conversation, which a merge may have taken elsewhere than the path says
 */
export async function assignConversation(tx: Tx, now: Date, want: Assignment): Promise<string> {
  const { businessId, staffId } = want;
  const conversation = await lockConversationFor(tx, businessId, want.clientId, want.conversationId);
  const { conversation_id: conversationId, client_id: clientId } = conversation;
  if (staffId !== null) await mustWorkThere(tx, businessId, staffId, conversation.location_id);
  const from = conversation.assignee_staff_id;
  if (from === staffId) return conversationId;
  await tx
    .updateTable('conversations')
    .set({ assignee_staff_id: staffId, updated_at: now })
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', conversationId)
    .execute();
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'conversation.assigned',
      by: want.by,
      changed: { assignee_staff_id: { from, to: staffId } },
      data: { conversation_id: conversationId, client_id: clientId, staff_id: staffId },
    },
  ]);
  return conversationId;
}

async function mustWorkThere(
  tx: Tx,
  businessId: number,
  staffId: number,
  locationId: number | null,
): Promise<void> {
  const staff = await tx
    .selectFrom('staffs')
    .select('active')
    .where('business_id', '=', businessId)
    .where('staff_id', '=', staffId)
    .executeTakeFirst();
  if (!staff) throw notFound('staff member', 'Check staff_id.');
  if (!staff.active) throw invalid('staff_id', 'is of a staff member who is no longer active');
  if (locationId === null) return;
  const places = await tx
    .selectFrom('staff_locations')
    .select('location_id')
    .where('business_id', '=', businessId)
    .where('staff_id', '=', staffId)
    .execute();
  // Whoever has no location works everywhere.
  if (places.length > 0 && !places.some((place) => place.location_id === locationId)) {
    throw invalid('staff_id', `works at other locations than the conversation's (${locationId})`, 'conflict');
  }
}
