import { sql } from 'kysely';
import { type ClientRecord, erasedClient, lexemesOf, sortNameOf, wordsSql } from '../clients/index.ts';
import {
  isBehind,
  type LockedConversation,
  lockConversationsOf,
  saveConversations,
} from '../conversations/index.ts';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import {
  completeMerge,
  type Folded,
  noteMoved,
  readBrought,
  type Took,
  takenFields,
  writeMerge,
} from './merge-record.ts';
import { changeMessages, earlier } from './move-messages.ts';

export interface Merge {
  businessId: number;
  /** Who stays. */
  clientId: number;
  /** Who becomes them. */
  otherId: number;
  by: Origin;
}

/**
 * Makes two clients one. Everything of the other becomes this one's in one transaction, and the
 * other's row stays as the sign that leads here. Doing it again changes nothing.
 *
 * Locks both clients against every writer first, then their conversations, then their messages.
 *
 * @returns the id of who stays
 */
export async function mergeClients(tx: Tx, now: Date, merge: Merge): Promise<number> {
  const { businessId } = merge;
  const pair = await lockPair(tx, merge);
  if (!pair) return merge.clientId;
  const { target, other } = pair;
  const ids = { businessId, targetId: target.client_id, otherId: other.client_id };

  const { brought, newAddresses } = await readBrought(tx, ids, other);
  const mergeId = newId();
  await writeMerge(tx, now, ids, mergeId, brought);
  await moveAddresses(tx, ids);
  const { folded, ...conversations } = await moveConversations(tx, now, ids, mergeId);
  await sql`update consents set client_id = ${ids.targetId}
    where business_id = ${businessId} and client_id = ${ids.otherId}`.execute(tx);
  const { took, changed } = await saveTarget(tx, now, target, other);
  await completeMerge(tx, businessId, mergeId, folded, { ...took, addresses: newAddresses });
  await sql`
    update clients set merged_into = ${ids.targetId}, merged_at = coalesce(merged_at, ${now}::timestamptz), updated_at = ${now},
      name = null, sort_name = ${sortNameOf(null)}, search_words = '', tags = '{}', metadata = '{}', language = null, time_zone = null
    where business_id = ${businessId} and (client_id = ${ids.otherId} or merged_into = ${ids.otherId})`.execute(
    tx,
  );
  await endAmbiguity(tx, ids);
  await recordEvents(tx, now, [
    {
      businessId,
      type: 'client.merged',
      by: merge.by,
      changed,
      data: {
        client_id: ids.targetId,
        merged_client_id: ids.otherId,
        was_provisional: other.provisional,
        ...conversations,
      },
    },
  ]);
  return ids.targetId;
}

interface Ids {
  businessId: number;
  targetId: number;
  otherId: number;
}

/** @returns null where they are one already */
async function lockPair(
  tx: Tx,
  { businessId, clientId, otherId }: Merge,
): Promise<{ target: ClientRecord; other: ClientRecord } | null> {
  const named = await tx
    .selectFrom('clients')
    .select(['client_id', 'merged_into'])
    .where('business_id', '=', businessId)
    .where('client_id', 'in', [clientId, otherId])
    .execute();
  const target = named.find((row) => row.client_id === clientId);
  if (!target) throw notFound('client');
  const other = named.find((row) => row.client_id === otherId);
  if (!other) throw notFound('client', 'Check merge_client_id.');
  const targetId = target.merged_into ?? clientId;
  if (clientId === otherId) throw invalid('merge_client_id', 'is the client of the path', 'conflict');
  if (other.merged_into === targetId || targetId === otherId) return null;

  const { rows } = await sql<ClientRecord>`
    select * from clients where business_id = ${businessId} and client_id in (${targetId}, ${otherId})
    order by client_id for update`.execute(tx);
  const locked = {
    target: rows.find((row) => row.client_id === targetId)!,
    other: rows.find((row) => row.client_id === otherId)!,
  };
  if (locked.target.erased_at || locked.other.erased_at) throw erasedClient();
  if (locked.target.merged_into !== null) {
    throw new Fault('conflict', `Client ${targetId} has just been merged into ${locked.target.merged_into}.`);
  }
  if (locked.other.merged_into !== null) {
    throw new Fault('conflict', `Client ${otherId} was merged into ${locked.other.merged_into} already.`);
  }
  if (locked.target.provisional && !locked.other.provisional) {
    throw invalid(
      'merge_client_id',
      `is a client of the host, and ${targetId} is provisional; merge ${targetId} into ${otherId} instead`,
      'conflict',
    );
  }
  return locked;
}

/** The other's addresses follow this one's own; a primary one stays primary where there was none. */
async function moveAddresses(tx: Tx, { businessId, targetId, otherId }: Ids): Promise<void> {
  await sql`
    insert into client_addresses (business_id, kind, address, client_id, is_primary, position, created_at)
    select l.business_id, l.kind, l.address, ${targetId}::bigint,
      l.is_primary and not exists (select 1 from client_addresses t
        where t.business_id = l.business_id and t.client_id = ${targetId} and t.kind = l.kind and t.is_primary),
      l.position + coalesce((select max(t.position) + 1 from client_addresses t
        where t.business_id = l.business_id and t.client_id = ${targetId} and t.kind = l.kind), 0),
      l.created_at
    from client_addresses l where l.business_id = ${businessId} and l.client_id = ${otherId}
    on conflict (business_id, kind, address, client_id) do nothing`.execute(tx);
  await tx
    .deleteFrom('client_addresses')
    .where('business_id', '=', businessId)
    .where('client_id', '=', otherId)
    .execute();
}

/** Two open conversations become one; every other one changes its client alone. */
async function moveConversations(
  tx: Tx,
  now: Date,
  { businessId, targetId, otherId }: Ids,
  mergeId: string,
): Promise<{
  folded: Folded | null;
  conversation_id: string | null;
  folded_conversation_id: string | null;
  messages_moved: number;
}> {
  const locked = [...(await lockConversationsOf(tx, businessId, [targetId, otherId])).values()];
  const openOf = (clientId: number) =>
    locked.find((row) => row.client_id === clientId && row.status !== 'closed');
  const kept = openOf(targetId);
  const folded = kept && openOf(otherId);
  let moved = 0;
  const note = (conversationId: string) => (messageIds: string[]) =>
    noteMoved(tx, businessId, mergeId, conversationId, messageIds);
  let trace: Folded | null = null;
  if (kept && folded) {
    trace = await traceOf(tx, kept, folded);
    moved += await fold(tx, now, kept, folded, note(folded.conversation_id));
  }
  for (const row of locked.filter((one) => one.client_id === otherId && one !== folded)) {
    moved += await changeMessages(
      tx,
      businessId,
      row.conversation_id,
      sql`client_id = ${otherId}`,
      sql`client_id = ${targetId}`,
      note(row.conversation_id),
    );
  }
  await tx
    .updateTable('conversations')
    .set({ client_id: targetId, updated_at: now })
    .where('business_id', '=', businessId)
    .where('client_id', '=', otherId)
    .execute();
  return {
    folded: trace,
    conversation_id: (kept ?? openOf(otherId))?.conversation_id ?? null,
    folded_conversation_id: folded?.conversation_id ?? null,
    messages_moved: moved,
  };
}

/** What of a conversation is to be there again if the merge is taken back. */
async function traceOf(tx: Tx, kept: LockedConversation, folded: LockedConversation): Promise<Folded> {
  const { rows } = await sql<Folded>`
    select conversation_id, ${kept.conversation_id}::uuid as kept_conversation_id, assignee_staff_id, location_id,
      shared_kind, shared_address, identity_reason, created_at,
      array(select r.conversation_id from conversation_redirects r
        where r.business_id = conversations.business_id and r.merged_into = conversations.conversation_id) as redirects
    from conversations where business_id = ${folded.business_id} and conversation_id = ${folded.conversation_id}`.execute(
    tx,
  );
  return rows[0]!;
}

/** Empties one conversation into another of the same person, and leaves a sign where it was. */
async function fold(
  tx: Tx,
  now: Date,
  kept: LockedConversation,
  folded: LockedConversation,
  note: (messageIds: string[]) => Promise<void>,
): Promise<number> {
  const businessId = kept.business_id;
  const moved = await changeMessages(
    tx,
    businessId,
    folded.conversation_id,
    sql`true`,
    sql`conversation_id = ${kept.conversation_id}, client_id = ${kept.client_id}`,
    note,
  );
  const { last_message_id: lastId, last_message_at: lastAt } = folded;
  const last = lastId && lastAt && isBehind(lastId, lastAt, kept) ? folded : kept;
  const isOpen = kept.status === 'open' || folded.status === 'open';
  await saveConversations(tx, now, [
    {
      ...kept,
      status: isOpen ? 'open' : kept.status,
      snoozed_until: isOpen ? null : kept.snoozed_until,
      location_id: kept.location_id ?? folded.location_id,
      last_message_id: last.last_message_id,
      last_message_at: last.last_message_at,
      last_activity_at: new Date(
        Math.max(kept.last_activity_at.getTime(), folded.last_activity_at.getTime()),
      ),
      unread_count: kept.unread_count + folded.unread_count,
      // Either thread's client still waits: it is one person, who wrote at the earlier of the two.
      waiting_since: earlier(kept.waiting_since, folded.waiting_since),
      channels: [...new Set([...kept.channels, ...folded.channels])],
    },
  ]);
  await sql`
    update conversations k set assignee_staff_id = coalesce(k.assignee_staff_id, f.assignee_staff_id),
      shared_kind = coalesce(k.shared_kind, f.shared_kind), shared_address = coalesce(k.shared_address, f.shared_address),
      identity_reason = coalesce(k.identity_reason, f.identity_reason), ambiguous_since = least(k.ambiguous_since, f.ambiguous_since)
    from conversations f
    where k.business_id = ${businessId} and k.conversation_id = ${kept.conversation_id}
      and f.business_id = ${businessId} and f.conversation_id = ${folded.conversation_id}`.execute(tx);
  await sql`
    update conversation_redirects set merged_into = ${kept.conversation_id}
    where business_id = ${businessId} and merged_into = ${folded.conversation_id}`.execute(tx);
  await tx
    .insertInto('conversation_redirects')
    .values({
      business_id: businessId,
      conversation_id: folded.conversation_id,
      merged_into: kept.conversation_id,
      created_at: now,
    })
    .execute();
  await tx
    .deleteFrom('conversations')
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', folded.conversation_id)
    .execute();
  return moved;
}

/** What only the other had is taken over. @returns what that was, and what it changed */
async function saveTarget(
  tx: Tx,
  now: Date,
  target: ClientRecord,
  other: ClientRecord,
): Promise<{
  took: Omit<Took, 'addresses'>;
  changed: Record<string, { from: unknown; to: unknown }>;
}> {
  const name = target.name ?? other.name;
  const merged = {
    name,
    location_id: target.location_id ?? other.location_id,
    time_zone: target.time_zone ?? other.time_zone,
    language: target.language ?? other.language,
    tags: [...new Set([...target.tags, ...other.tags])].slice(0, 50),
    metadata: Object.fromEntries(
      Object.entries({ ...other.metadata, ...target.metadata }).slice(0, 50),
    ) as Record<string, unknown>,
  };
  const addresses = await tx
    .selectFrom('client_addresses')
    .select(['kind', 'address'])
    .where('business_id', '=', target.business_id)
    .where('client_id', '=', target.client_id)
    .execute();
  const lexemes = lexemesOf(target.business_id, {
    name,
    addresses: addresses as { kind: AddressKind; address: string }[],
  });
  await tx
    .updateTable('clients')
    .set({
      ...merged,
      metadata: JSON.stringify(merged.metadata),
      sort_name: sortNameOf(name),
      search_words: wordsSql(lexemes),
      last_seen_at: sql`greatest(last_seen_at, ${other.last_seen_at}::timestamptz)`,
      updated_at: now,
    })
    .where('business_id', '=', target.business_id)
    .where('client_id', '=', target.client_id)
    .execute();
  const fields = takenFields.filter((field) => target[field] !== merged[field]);
  return {
    took: {
      fields,
      tags: merged.tags.filter((tag) => !target.tags.includes(tag)),
      metadata: Object.keys(merged.metadata).filter((key) => !Object.hasOwn(target.metadata, key)),
    },
    changed: Object.fromEntries(fields.map((field) => [field, { from: target[field], to: merged[field] }])),
  };
}

/** Where the two were the only ones who shared an address, it is sure now whose the messages are. */
async function endAmbiguity(tx: Tx, { businessId, targetId }: Ids): Promise<void> {
  const { rows } = await sql<{ conversation_id: string }>`
    update conversations c set ambiguous_since = null
    where c.business_id = ${businessId} and c.client_id = ${targetId} and c.ambiguous_since is not null
      and not exists (
        select 1 from client_addresses l join clients p on p.business_id = l.business_id and p.client_id = l.client_id
        where l.business_id = c.business_id and l.kind = c.shared_kind and l.address = c.shared_address
          and l.client_id <> c.client_id and not p.provisional)
    returning c.conversation_id`.execute(tx);
  for (const row of rows) {
    await changeMessages(tx, businessId, row.conversation_id, sql`ambiguous`, sql`ambiguous = false`);
  }
}
