import { type ResolvedClient, resolveClients, unknownClient, upsertStub } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { NewEvent } from '../core/events/index.ts';
import { conversationOf, openConversations } from './open.ts';

export interface CreateOrRetrieve {
  businessId: number;
  clientId: number;
  name?: string;
  phone?: string;
  email?: string;
  locationId: number | null;
}

/**
 * The client's conversation that is not closed, or a new one: atomic under any concurrency.
 *
 * @throws 404 where the client is unknown and nothing is told of them, 409 where they were erased
 */
export async function createOrRetrieve(
  tx: Tx,
  now: Date,
  want: CreateOrRetrieve,
): Promise<{ conversationId: string; created: boolean; events: Omit<NewEvent, 'by'>[] }> {
  const { businessId, clientId: named } = want;
  const stubMade =
    want.name !== undefined &&
    (await upsertStub(tx, now, {
      businessId,
      clientId: named,
      name: want.name,
      locationId: want.locationId,
    }));
  const told = [
    ...(want.phone === undefined
      ? []
      : [{ businessId, clientId: named, kind: 'phone' as const, address: want.phone }]),
    ...(want.email === undefined
      ? []
      : [{ businessId, clientId: named, kind: 'email' as const, address: want.email }]),
  ];
  const resolved: ResolvedClient[] = await resolveClients(
    tx,
    now,
    told.length > 0 ? told : [{ businessId, clientId: named, kind: 'phone' }],
  );
  const client = resolved[0]!;
  if (!client.found) {
    throw unknownClient(
      client,
      'Send a name, phone or email with this request to make the client, or upsert the client first.',
    );
  }
  // Not the id that was named, where that client was merged into another.
  const { clientId } = client;
  const open = await openConversations(tx, now, [{ businessId, clientId, locationId: want.locationId }], {
    orLatestClosed: false,
  });
  const conversation = conversationOf(open, businessId, clientId);
  const events: Omit<NewEvent, 'by'>[] = [];
  if (stubMade || resolved.some((client) => client.found && client.created)) {
    events.push({ businessId, type: 'client.created', data: { client_id: clientId } });
  }
  if (conversation.created) {
    events.push({
      businessId,
      type: 'conversation.created',
      data: { conversation_id: conversation.conversation_id, client_id: clientId },
    });
  }
  return { conversationId: conversation.conversation_id, created: conversation.created, events };
}
