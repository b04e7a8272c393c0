import { isDeepStrictEqual } from 'node:util';
import { type RawBuilder, sql } from 'kysely';
import {
  type ClientRecord,
  clientFor,
  erasedClient,
  lexemesOf,
  sortNameOf,
  wordsSql,
} from '../clients/index.ts';
import {
  conversationOf,
  type LockedConversation,
  lockConversations,
  openConversations,
} from '../conversations/index.ts';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { closeMerge, latestMerge, type MergeRecord, saveTook, standingMerges } from './merge-record.ts';
import { asMoved, changeMessages, moveBetween } from './move-messages.ts';
import { Moves, recount, seenAnew, settleAmbiguity } from './recount.ts';

export interface Unmerge {
  businessId: number;
  /** Who the merge made of two. */
  clientId: number;
  /** Who is to be somebody of their own again. */
  mergedId: number;
  by: Origin;
}

/**
 * Takes a merge back. The merged client has again what they brought: addresses, conversations, messages, fields. What
 * came since goes by its address: to the merged client where they alone brought it, else (a note, an address of both)
 * it stays. Doing it again changes nothing.
 *
 * Locks both clients against every writer first, then their conversations, then their messages.
 *
 * @returns the merged client's id
 */
export async function unmergeClient(tx: Tx, now: Date, unmerge: Unmerge): Promise<number> {
  const { businessId, mergedId, by } = unmerge;
  const looked = await mergeToUndo(tx, unmerge);
  if (!looked) return mergedId;
  await insertAddresses(tx, now, businessId, looked);
  await sql`
    select 1 from clients where business_id = ${businessId}
      and client_id = any(${[looked.into_client_id, mergedId, ...looked.led]}::bigint[])
    order by client_id for update`.execute(tx);
  // As it is now that they are locked: a twin may have undone it, another merge taken them elsewhere.
  const merge = await mergeToUndo(tx, unmerge);
  if (!merge) return mergedId;
  if (merge.merge_id !== looked.merge_id) return unmergeClient(tx, now, unmerge);

  const others = await standingMerges(tx, businessId, merge.into_client_id, merge.merge_id);
  const target = await clientFor(tx, businessId, merge.into_client_id);
  const alone = merge.took.addresses.filter((one) => !others.some((other) => hasAddress(other, one)));
  const history = await returnHistory(tx, now, businessId, merge, alone, by);
  await returnConsents(tx, businessId, merge, alone);
  await returnAddresses(tx, businessId, merge, alone);
  const changed = await saveTarget(tx, now, target, merge, others);
  await restoreClient(tx, now, businessId, merge);
  for (const other of others) {
    if (takeOver(other, merge)) await saveTook(tx, businessId, other);
  }
  await seenAnew(tx, businessId, [target.client_id, mergedId]);
  await closeMerge(tx, now, businessId, merge.merge_id);
  await recordEvents(tx, now, [
    ...history.events,
    {
      businessId,
      type: 'client.unmerged',
      by,
      changed,
      data: {
        client_id: target.client_id,
        merged_client_id: mergedId,
        conversation_id: history.conversationId,
        messages_moved: history.messages,
      },
    },
  ]);
  return mergedId;
}

/** @returns null where it was taken back already @throws where it cannot be */
async function mergeToUndo(tx: Tx, { businessId, clientId, mergedId }: Unmerge): Promise<MergeRecord | null> {
  const rows = await tx
    .selectFrom('clients')
    .select(['client_id', 'merged_into', 'erased_at'])
    .where('business_id', '=', businessId)
    .where('client_id', 'in', [clientId, mergedId])
    .execute();
  const named = rows.find((row) => row.client_id === clientId);
  if (!named) throw notFound('client');
  const merged = rows.find((row) => row.client_id === mergedId);
  if (!merged) throw notFound('client', 'Check merged_client_id.');
  if (clientId === mergedId) throw invalid('merged_client_id', 'is the client of the path', 'conflict');
  const target = await clientFor(tx, businessId, clientId);
  const merge = await latestMerge(tx, businessId, mergedId);
  const intoId = merged.merged_into;
  if (intoId === null) {
    if (merge?.undone && merge.into_client_id === target.client_id) return null;
    throw new Fault('conflict', `Client ${mergedId} is merged into nobody.`);
  }
  if (intoId !== target.client_id) {
    throw new Fault('conflict', `Client ${mergedId} is merged into ${intoId}: name that one in the path.`);
  }
  if (target.erased_at) throw erasedClient();
  if (!merge || merge.undone) {
    throw new Fault(
      'conflict',
      `Client ${mergedId} was merged before merges were written down, so nobody knows what was theirs. Make a client with another id (PUT) and move their messages there (POST …/messages/move).`,
    );
  }
  if (merge.into_client_id !== intoId) {
    const between = merge.into_client_id;
    throw new Fault(
      'conflict',
      `Client ${mergedId} was merged into ${between}, and ${between} into another later. Unmerge ${between} first, then ${mergedId} from ${between}.`,
    );
  }
  return merge;
}

const hasAddress = (merge: MergeRecord, { kind, address }: { kind: AddressKind; address: string }) =>
  merge.brought.addresses.some((one) => one.kind === kind && one.address === address);

/** The rows where first contacts meet, before any client is locked: who stayed may have dropped the address, and it was forgotten. */
async function insertAddresses(
  tx: Tx,
  now: Date,
  businessId: number,
  { brought }: MergeRecord,
): Promise<void> {
  await sql`
    insert into addresses (business_id, kind, address, created_at)
    select ${businessId}::bigint, k, a, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(brought.addresses.map((one) => ({ k: one.kind, a: one.address })))}::jsonb) as w(k text, a text)
    order by k, a on conflict do nothing`.execute(tx);
}

interface Returned {
  /** The merged client's: the one that is open, else any. */
  conversationId: string | null;
  /** That are the merged client's now. */
  messages: number;
  events: NewEvent[];
}

async function returnHistory(
  tx: Tx,
  now: Date,
  businessId: number,
  merge: MergeRecord,
  alone: { address: string }[],
  by: Origin,
): Promise<Returned> {
  const targetId = merge.into_client_id;
  const mergedId = merge.merged_client_id;
  const locked = await lockOf(tx, businessId, targetId);
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

async function lockOf(
  tx: Tx,
  businessId: number,
  clientId: number,
): Promise<Map<string, LockedConversation>> {
  const rows = await tx
    .selectFrom('conversations')
    .select('conversation_id')
    .where('business_id', '=', businessId)
    .where('client_id', '=', clientId)
    .execute();
  return lockConversations(
    tx,
    rows.map((row) => ({ businessId, conversationId: row.conversation_id })),
  );
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

/** An entry is about an address, and says whose it was taken for: theirs again. What it says does not change. */
async function returnConsents(
  tx: Tx,
  businessId: number,
  merge: MergeRecord,
  alone: { address: string }[],
): Promise<void> {
  await sql`
    update consents set client_id = ${merge.merged_client_id}
    where business_id = ${businessId} and client_id = ${merge.into_client_id}
      and (consent_id = any(${merge.brought.consent_ids}::uuid[])
        or (consent_id > ${merge.merge_id} and address = any(${alone.map((one) => one.address)}::text[])))`.execute(
    tx,
  );
}

async function returnAddresses(
  tx: Tx,
  businessId: number,
  merge: MergeRecord,
  alone: { kind: AddressKind; address: string }[],
): Promise<void> {
  await sql`
    delete from client_addresses l
    using jsonb_to_recordset(${JSON.stringify(alone)}::jsonb) as w(kind text, address text)
    where l.business_id = ${businessId} and l.client_id = ${merge.into_client_id} and l.kind = w.kind and l.address = w.address`.execute(
    tx,
  );
  // Where the primary one went, the next takes its place.
  await sql`
    update client_addresses l set is_primary = true from (
      select distinct on (kind) kind, address from client_addresses
      where business_id = ${businessId} and client_id = ${merge.into_client_id}
      order by kind, is_primary desc, position, address) first
    where l.business_id = ${businessId} and l.client_id = ${merge.into_client_id}
      and l.kind = first.kind and l.address = first.address and not l.is_primary`.execute(tx);
  await sql`
    insert into client_addresses (business_id, kind, address, client_id, is_primary, position, created_at)
    select ${businessId}::bigint, kind, address, ${merge.merged_client_id}::bigint, is_primary, position, created_at
    from jsonb_to_recordset(${JSON.stringify(merge.brought.addresses)}::jsonb)
      as w(kind text, address text, is_primary boolean, position integer, created_at timestamptz)`.execute(
    tx,
  );
}

/** Who stays loses what they took over and still have as it was; where another merged client had it too, it is theirs. */
async function saveTarget(
  tx: Tx,
  now: Date,
  target: ClientRecord,
  merge: MergeRecord,
  others: MergeRecord[],
): Promise<Record<string, { from: unknown; to: unknown }>> {
  const { brought, took } = merge;
  const left = {
    name: target.name,
    location_id: target.location_id,
    time_zone: target.time_zone,
    language: target.language,
  };
  for (const field of took.fields) {
    if (target[field] !== brought[field]) continue;
    const next = others.find((other) => other.brought[field] !== null)?.brought[field] ?? null;
    Object.assign(left, { [field]: next });
  }
  const tags = target.tags.filter(
    (tag) => !took.tags.includes(tag) || others.some((other) => other.brought.tags.includes(tag)),
  );
  const metadata: Record<string, unknown> = { ...target.metadata };
  for (const key of took.metadata) {
    if (!isDeepStrictEqual(metadata[key], brought.metadata[key])) continue;
    const next = others.find((other) => Object.hasOwn(other.brought.metadata, key));
    if (next) metadata[key] = next.brought.metadata[key];
    else delete metadata[key];
  }
  await tx
    .updateTable('clients')
    .set({
      ...left,
      tags,
      metadata: JSON.stringify(metadata),
      ...(await foundBy(tx, target.business_id, target.client_id, left.name)),
      updated_at: now,
    })
    .where('business_id', '=', target.business_id)
    .where('client_id', '=', target.client_id)
    .execute();
  return Object.fromEntries(
    (Object.keys(left) as (keyof typeof left)[])
      .filter((field) => target[field] !== left[field])
      .map((field) => [field, { from: target[field], to: left[field] }]),
  );
}

/** What {@link saveTarget} left because this one has it too is held for its sake from now on. @returns whether there is any */
function takeOver(other: MergeRecord, merge: MergeRecord): boolean {
  const before = structuredClone(other.took);
  const { took } = other;
  took.fields.push(
    ...merge.took.fields.filter((field) => other.brought[field] !== null && !took.fields.includes(field)),
  );
  took.tags.push(
    ...merge.took.tags.filter((tag) => other.brought.tags.includes(tag) && !took.tags.includes(tag)),
  );
  took.metadata.push(
    ...merge.took.metadata.filter(
      (key) => Object.hasOwn(other.brought.metadata, key) && !took.metadata.includes(key),
    ),
  );
  const has = (one: { kind: AddressKind; address: string }) =>
    took.addresses.some((own) => own.kind === one.kind && own.address === one.address);
  took.addresses.push(...merge.took.addresses.filter((one) => hasAddress(other, one) && !has(one)));
  return !isDeepStrictEqual(before, took);
}

async function restoreClient(tx: Tx, now: Date, businessId: number, merge: MergeRecord): Promise<void> {
  const { brought, merged_client_id: clientId } = merge;
  const { name, location_id, time_zone, language, tags, metadata } = brought;
  await tx
    .updateTable('clients')
    .set({
      name,
      location_id,
      time_zone,
      language,
      tags,
      metadata: JSON.stringify(metadata),
      ...(await foundBy(tx, businessId, clientId, name)),
      merged_into: null,
      merged_at: null,
      updated_at: now,
    })
    .where('business_id', '=', businessId)
    .where('client_id', '=', clientId)
    .execute();
  await sql`
    update clients set merged_into = ${clientId}, updated_at = ${now}
    where business_id = ${businessId} and client_id = any(${merge.led}::bigint[]) and merged_into = ${merge.into_client_id}`.execute(
    tx,
  );
}

/** By what the list sorts and searches a client, with the addresses that they have now. */
async function foundBy(tx: Tx, businessId: number, clientId: number, name: string | null) {
  const addresses = await tx
    .selectFrom('client_addresses')
    .select(['kind', 'address'])
    .where('business_id', '=', businessId)
    .where('client_id', '=', clientId)
    .execute();
  return {
    sort_name: sortNameOf(name),
    search_words: wordsSql(lexemesOf(businessId, { name, addresses })),
  };
}
