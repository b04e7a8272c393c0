import { sql } from 'kysely';
import { addressKindOf, resolveClients, unknownClient, type WantedClient } from '../clients/index.ts';
import {
  conversationFor,
  conversationOf,
  type LockedConversation,
  lockConversations,
  openConversations,
} from '../conversations/index.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { writeTimeline } from '../messages/index.ts';
import { asMoved, moveBetween } from './move-messages.ts';
import { Moves, recount, settleAmbiguity } from './recount.ts';

export interface Move {
  businessId: number;
  /** Where the messages stand. */
  clientId: number;
  conversationId: string;
  messageIds: string[];
  /** Whose they are. Left out: of whoever has the address that they are from, or to. */
  toClientId?: number;
  by: Origin;
}

export interface MovedTo {
  moved: number;
  conversationId: string;
  clientId: number;
}

/**
 * Moves messages that landed in the wrong client's thread to the right client's: the one that is not closed, else the
 * latest, else a new one. Consent and addresses stay as they are. Messages that stand there already are left alone.
 *
 * Locks the clients against merging and erasing, then both conversations, then the messages.
 */
export async function moveMessages(tx: Tx, now: Date, move: Move): Promise<MovedTo> {
  const { businessId, by } = move;
  const { client_id: fromId } = await conversationFor(tx, businessId, move.clientId, move.conversationId);
  const target = await clientOf(tx, now, move, fromId);
  const events: NewEvent[] = [];
  if (target.created) {
    events.push({
      businessId,
      type: 'client.created',
      by,
      data: { client_id: target.clientId, provisional: true },
    });
  }
  const { source, to } = await lockBoth(tx, now, move, target.clientId);
  const messages = await lockMessages(tx, move, source, to);
  const moving = messages.filter((one) => one.conversation_id === source.conversation_id);
  if (to.created) {
    events.push({
      businessId,
      type: 'conversation.created',
      by,
      data: { conversation_id: to.conversation_id, client_id: to.client_id },
    });
  }
  const ids = moving.map((one) => one.message_id);
  const moves = new Moves();
  moves.note(source, to, await moveBetween(tx, source, to, sql`message_id = any(${ids}::uuid[])`, asMoved));
  await writeTimeline(
    tx,
    moving.map((one) => ({
      businessId,
      messageId: one.message_id,
      kind: 'moved',
      at: now,
      data: {
        ...by,
        conversation_id: to.conversation_id,
        client_id: to.client_id,
        from_conversation_id: source.conversation_id,
        from_client_id: source.client_id,
      },
    })),
  );
  await settleAmbiguity(tx, businessId, moves.touched);
  events.push(...(await recount(tx, now, moves, by, 'message.moved')));
  await recordEvents(tx, now, [
    ...events,
    ...moving.map(
      (one): NewEvent => ({
        businessId,
        type: 'message.moved',
        by,
        changed: {
          conversation_id: { from: source.conversation_id, to: to.conversation_id },
          client_id: { from: source.client_id, to: to.client_id },
        },
        data: {
          message_id: one.message_id,
          conversation_id: to.conversation_id,
          client_id: to.client_id,
          channel: one.channel,
          direction: one.direction,
          status: one.status,
        },
      }),
    ),
  ]);
  return { moved: moving.length, conversationId: to.conversation_id, clientId: to.client_id };
}

/** Whose the messages are; they and whose they were taken for are locked. */
async function clientOf(
  tx: Tx,
  now: Date,
  move: Move,
  fromId: number,
): Promise<{ clientId: number; created: boolean }> {
  const { businessId, toClientId } = move;
  const wanted: WantedClient =
    toClientId === undefined
      ? { businessId, ...(await addressOf(tx, move)) }
      : { businessId, clientId: toClientId, kind: 'phone' };
  const [client, from] = await resolveClients(tx, now, [
    wanted,
    { businessId, clientId: fromId, kind: 'phone' },
  ]);
  if (!client!.found) throw unknownClient(client!, 'Check to_client_id.');
  if (!from!.found) throw unknownClient(from!, 'Check client_id.');
  if (client!.shared) {
    throw invalid('to_client_id', `is required: several clients have ${wanted.address}`, 'required');
  }
  if (client!.clientId === from!.clientId) {
    throw invalid(
      'to_client_id',
      toClientId === undefined
        ? `is required: ${wanted.address} is this client's own`
        : 'is the client in whose conversation the messages are',
      toClientId === undefined ? 'required' : 'conflict',
    );
  }
  return client!;
}

/** The one address of the client's side that all of the messages have. */
async function addressOf(
  tx: Tx,
  { businessId, messageIds }: Move,
): Promise<Pick<WantedClient, 'kind' | 'address'>> {
  const { rows } = await sql<{ channel: string; address: string | null }>`
    select distinct channel, case direction when 'inbound' then from_address when 'outbound' then to_address end as address
    from messages where business_id = ${businessId} and message_id = any(${messageIds}::uuid[])`.execute(tx);
  if (rows.length === 0) throw notFound('message', 'Check message_ids.');
  const found = new Map(
    rows.map(({ channel, address }) => {
      const kind = addressKindOf(channel);
      return [`${kind} ${address}`, { kind, address }];
    }),
  );
  const [only] = found.values();
  if (found.size > 1 || only!.address === null) {
    throw invalid('to_client_id', 'is required: the messages have no one address in common', 'required');
  }
  return { kind: only!.kind, address: only!.address };
}

async function lockBoth(
  tx: Tx,
  now: Date,
  move: Move,
  targetId: number,
): Promise<{ source: LockedConversation; to: LockedConversation }> {
  const { businessId } = move;
  // As it is now that its client is locked: a merge may have folded it into another.
  const meant = await conversationFor(tx, businessId, move.clientId, move.conversationId);
  const { rows } = await sql<{ conversation_id: string }>`
    select conversation_id from conversations where business_id = ${businessId} and client_id = ${targetId}
    order by (status <> 'closed') desc, created_at desc limit 1`.execute(tx);
  // Both in the order that everyone locks in: what is moved the other way at the same time waits, and not crosswise.
  const locked = await lockConversations(
    tx,
    [meant, ...rows].map((row) => ({ businessId, conversationId: row.conversation_id })),
  );
  const source = locked.get(meant.conversation_id);
  if (!source) throw notFound('conversation');
  const opened = conversationOf(
    await openConversations(tx, now, [{ businessId, clientId: targetId, locationId: source.location_id }], {
      orLatestClosed: true,
    }),
    businessId,
    targetId,
  );
  return { source, to: locked.get(opened.conversation_id) ?? opened };
}

interface LockedMessage {
  message_id: string;
  conversation_id: string;
  channel: string;
  direction: string;
  status: MessageStatus;
}

const waiting: readonly MessageStatus[] = ['scheduled', 'queued', 'sending'];

async function lockMessages(
  tx: Tx,
  { businessId, messageIds }: Move,
  source: LockedConversation,
  to: LockedConversation,
): Promise<LockedMessage[]> {
  const { rows } = await sql<LockedMessage>`
    select message_id, conversation_id, channel, direction, status from messages
    where business_id = ${businessId} and message_id = any(${messageIds}::uuid[])
      and conversation_id = any(${[source.conversation_id, to.conversation_id]}::uuid[])
    order by message_id for update`.execute(tx);
  const missing = messageIds.find((id) => !rows.some((row) => row.message_id === id.toLowerCase()));
  if (missing) throw notFound('message', `Check message_ids: ${missing} is not in this conversation.`);
  const held = rows.find(
    (row) => row.conversation_id === source.conversation_id && waiting.includes(row.status),
  );
  if (held) {
    throw new Fault(
      'conflict',
      `Message ${held.message_id} is ${held.status}, to be sent to this client. Cancel it first, or wait until it was sent.`,
    );
  }
  return rows;
}
