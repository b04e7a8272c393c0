import { type RawBuilder, sql } from 'kysely';
import {
  conversationOf,
  type LockedConversation,
  lockConversationsOf,
  openConversations,
} from '../conversations/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { NewEvent } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { MergeRecord } from './merge-record.ts';
import { asMoved, changeMessages, moveBetween } from './move-messages.ts';
import { Moves, recount, settleAmbiguity } from './recount.ts';

export interface ReturnedHistory {
  /** The merged client's: the one that is open, else any. */
  conversationId: string | null;
  /** That are the merged client's now. */
  messages: number;
  events: NewEvent[];
}

/**
 * Conversations and messages go back to where they stood before the merge, and what came since to whom its address
 * names. Locks the conversations, then their messages.
 *
 * @param alone the addresses that only the merged client brought
 */
export async function returnHistory(
  tx: Tx,
  now: Date,
  businessId: number,
  merge: MergeRecord,
  alone: { address: string }[],
  by: Origin,
): Promise<ReturnedHistory> {
  const targetId = merge.into_client_id;
  const mergedId = merge.merged_client_id;
  const locked = await lockConversationsOf(tx, businessId, [targetId]);
  const events: NewEvent[] = [];
  const moves = new Moves();
  const theirs: LockedConversation[] = [];
  let messages = 0;
  for (const id of merge.brought.conversation_ids) {
    const row = locked.get(id);
    if (row) theirs.push(row);
  }
  await sql`
    update conversations set client_id = ${mergedId}, updated_at = ${now}
    where business_id = ${businessId} and conversation_id = any(${theirs.map((row) => row.conversation_id)}::uuid[])`.execute(
    tx,
  );
  for (const row of theirs) row.client_id = mergedId;
  const restored = await restoreFolded(tx, now, businessId, merge, locked);
  if (restored) {
    theirs.push(restored);
    locked.set(restored.conversation_id, restored);
    events.push(createdEvent(restored, by));
  }

  // What they brought goes back to where it stood. What staff gave to a third client since is not ours to take.
  for (const pair of await strayed(tx, businessId, merge)) {
    const [source, home] = [locked.get(pair.conversation_id), locked.get(pair.home)];
    if (!source || !home) continue;
    const these = sql`message_id in (select message_id from client_merge_messages
      where business_id = ${businessId} and merge_id = ${merge.merge_id} and conversation_id = ${pair.home})`;
    const moved = await moveBetween(tx, source, home, these);
    messages += moved.messages;
    // The thread stands as staff left it; that it came apart is no reason to open it.
    moves.note(source, home, { ...moved, asks: false });
  }

  const came = cameFor(businessId, merge, alone);
  for (const row of theirs) {
    messages += await changeMessages(
      tx,
      businessId,
      row.conversation_id,
      sql`client_id = ${targetId} and ((${came}) or exists (select 1 from client_merge_messages x
        where x.business_id = ${businessId} and x.merge_id = ${merge.merge_id} and x.message_id = messages.message_id))`,
      sql`client_id = ${mergedId}`,
    );
  }
  /** Moves to the client's thread, which is opened for it where there is none. */
  const send = async (source: LockedConversation, clientId: number, which: RawBuilder<unknown>) => {
    const opened = await threadOf(tx, now, businessId, clientId, source, locked);
    if (opened.created) events.push(createdEvent(opened, by));
    opened.created = false;
    const moved = await moveBetween(tx, source, opened, which, asMoved);
    moves.note(source, opened, { ...moved, asks: moved.asks && source.status !== 'closed' });
    return moved.messages;
  };
  for (const source of await havingMessages(tx, locked, targetId, came))
    messages += await send(source, mergedId, came);
  const staying = sql`client_id = ${targetId}`;
  for (const source of await havingMessages(tx, locked, mergedId, staying))
    await send(source, targetId, staying);

  await settleAmbiguity(tx, businessId, [...new Set([...moves.touched, ...theirs])]);
  events.push(...(await recount(tx, now, moves, by, 'client.unmerged')));
  const own = [...locked.values()].filter((row) => row.client_id === mergedId);
  return {
    conversationId: (own.find((row) => row.status !== 'closed') ?? own.at(-1))?.conversation_id ?? null,
    messages,
    events,
  };
}

/** The conversation that was emptied into the other's, under its old id; it stands as that one stands now. */
async function restoreFolded(
  tx: Tx,
  now: Date,
  businessId: number,
  merge: MergeRecord,
  locked: Map<string, LockedConversation>,
): Promise<LockedConversation | null> {
  const { folded } = merge.brought;
  if (!folded) return null;
  const kept = locked.get(folded.kept_conversation_id);
  // A snoozed one has its alarm under its own id: this one is open until somebody snoozes it.
  const status = kept?.status === 'closed' || kept?.status === 'pending' ? kept.status : 'open';
  const row = await tx
    .insertInto('conversations')
    .values({
      business_id: businessId,
      conversation_id: folded.conversation_id,
      client_id: merge.merged_client_id,
      status,
      assignee_staff_id: folded.assignee_staff_id,
      location_id: folded.location_id,
      shared_kind: folded.shared_kind,
      shared_address: folded.shared_address,
      identity_reason: folded.identity_reason,
      last_activity_at: new Date(folded.created_at),
      created_at: new Date(folded.created_at),
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await sql`
    delete from conversation_redirects where business_id = ${businessId} and conversation_id = ${folded.conversation_id}`.execute(
    tx,
  );
  await sql`
    update conversation_redirects set merged_into = ${folded.conversation_id}
    where business_id = ${businessId} and conversation_id = any(${folded.redirects}::uuid[])`.execute(tx);
  return { ...row, created: false };
}

/** Where messages that the merged client brought stand now, if that is not where they stood. */
async function strayed(
  tx: Tx,
  businessId: number,
  merge: MergeRecord,
): Promise<{ conversation_id: string; home: string }[]> {
  const { rows } = await sql<{ conversation_id: string; home: string }>`
    select distinct m.conversation_id, x.conversation_id as home
    from client_merge_messages x join messages m on m.business_id = x.business_id and m.message_id = x.message_id
    where x.business_id = ${businessId} and x.merge_id = ${merge.merge_id}
      and m.client_id = ${merge.into_client_id} and m.conversation_id <> x.conversation_id`.execute(tx);
  return rows;
}

/** Came since the merge, at an address that only the merged client brought; and not with another merge. */
function cameFor(businessId: number, merge: MergeRecord, alone: { address: string }[]): RawBuilder<unknown> {
  const addresses = sql`any(${alone.map((one) => one.address)}::text[])`;
  return sql`messages.client_id = ${merge.into_client_id} and messages.message_id > ${merge.merge_id}
    and ((messages.direction = 'inbound' and messages.from_address = ${addresses})
      or (messages.direction = 'outbound' and messages.to_address = ${addresses}))
    and not exists (select 1 from client_merge_messages y
      where y.business_id = ${businessId} and y.message_id = messages.message_id)`;
}

/** Those of a client's conversations in which there is such a message. */
async function havingMessages(
  tx: Tx,
  locked: Map<string, LockedConversation>,
  clientId: number,
  which: RawBuilder<unknown>,
): Promise<LockedConversation[]> {
  const own = [...locked.values()].filter((row) => row.client_id === clientId);
  if (own.length === 0) return [];
  const { rows } = await sql<{ conversation_id: string }>`
    select c.id as conversation_id from unnest(${own.map((row) => row.conversation_id)}::uuid[]) c(id)
    where exists (select 1 from messages
      where business_id = ${own[0]!.business_id} and conversation_id = c.id and ${which})`.execute(tx);
  return rows.map((row) => locked.get(row.conversation_id)!);
}

/** Where a client's messages from a thread that comes apart go: theirs that is open, else the latest, else a new one. */
async function threadOf(
  tx: Tx,
  now: Date,
  businessId: number,
  clientId: number,
  source: LockedConversation,
  locked: Map<string, LockedConversation>,
): Promise<LockedConversation> {
  const found = await openConversations(tx, now, [{ businessId, clientId, locationId: source.location_id }], {
    orLatestClosed: true,
  });
  const row = conversationOf(found, businessId, clientId);
  const known = locked.get(row.conversation_id);
  if (known) return known;
  // Made of a thread that staff have closed, it is closed as well.
  if (row.created && source.status === 'closed') row.status = 'closed';
  locked.set(row.conversation_id, row);
  return row;
}

function createdEvent(conversation: LockedConversation, by: Origin): NewEvent {
  return {
    businessId: conversation.business_id,
    type: 'conversation.created',
    by,
    data: {
      conversation_id: conversation.conversation_id,
      client_id: conversation.client_id,
      because: 'client.unmerged',
    },
  };
}
