import { sql } from 'kysely';
import type { ClientRecord } from '../clients/index.ts';
import type { AddressKind, Tx } from '../core/db/index.ts';

export interface BroughtAddress {
  kind: AddressKind;
  address: string;
  is_primary: boolean;
  position: number;
  created_at: string;
}

/** What a client was and had when they were merged: all that it takes to be that again. */
export interface Brought {
  name: string | null;
  location_id: number | null;
  time_zone: string | null;
  language: string | null;
  tags: string[];
  metadata: Record<string, unknown>;
  addresses: BroughtAddress[];
  conversation_ids: string[];
  consent_ids: string[];
  /** Their open conversation, where it was emptied into the other's. */
  folded: Folded | null;
}

export interface Folded {
  conversation_id: string;
  kept_conversation_id: string;
  assignee_staff_id: number | null;
  location_id: number | null;
  shared_kind: AddressKind | null;
  shared_address: string | null;
  identity_reason: 'last_messaged' | 'last_seen' | null;
  created_at: string;
  /** Those that led to it already. */
  redirects: string[];
}

export const takenFields = ['name', 'location_id', 'time_zone', 'language'] as const;

/** What of it who stays took over, having nothing of their own in its place. */
export interface Took {
  fields: (typeof takenFields)[number][];
  tags: string[];
  /** Keys. */
  metadata: string[];
  addresses: { kind: AddressKind; address: string }[];
}

export interface MergeRecord {
  merge_id: string;
  merged_client_id: number;
  into_client_id: number;
  led: number[];
  brought: Brought;
  took: Took;
}

interface Pair {
  businessId: number;
  targetId: number;
  otherId: number;
}

/** Of two locked clients, before anything is moved. */
export async function readBrought(
  tx: Tx,
  { businessId, targetId, otherId }: Pair,
  other: ClientRecord,
): Promise<{ brought: Brought; newAddresses: Took['addresses'] }> {
  const { rows: addresses } = await sql<BroughtAddress & { shared: boolean }>`
    select l.kind, l.address, l.is_primary, l.position, l.created_at, exists (
      select 1 from client_addresses t where t.business_id = l.business_id and t.client_id = ${targetId}
        and t.kind = l.kind and t.address = l.address) as shared
    from client_addresses l where l.business_id = ${businessId} and l.client_id = ${otherId}`.execute(tx);
  const { rows: consents } = await sql<{ consent_id: string }>`
    select consent_id from consents where business_id = ${businessId} and client_id = ${otherId}`.execute(tx);
  const conversations = await tx
    .selectFrom('conversations')
    .select('conversation_id')
    .where('business_id', '=', businessId)
    .where('client_id', '=', otherId)
    .execute();
  const { name, location_id, time_zone, language, tags, metadata } = other;
  return {
    brought: {
      name,
      location_id,
      time_zone,
      language,
      tags,
      metadata,
      addresses: addresses.map(({ shared: _, ...address }) => address),
      conversation_ids: conversations.map((row) => row.conversation_id),
      consent_ids: consents.map((row) => row.consent_id),
      folded: null,
    },
    newAddresses: addresses.filter(({ shared }) => !shared).map(({ kind, address }) => ({ kind, address })),
  };
}

/** Before the messages are moved, which are noted one by one ({@link noteMoved}). */
export async function writeMerge(
  tx: Tx,
  now: Date,
  { businessId, targetId, otherId }: Pair,
  mergeId: string,
  brought: Brought,
): Promise<void> {
  await sql`
    insert into client_merges (business_id, merge_id, merged_client_id, into_client_id, led, brought, took, merged_at)
    select ${businessId}::bigint, ${mergeId}::uuid, ${otherId}::bigint, ${targetId}::bigint,
      coalesce((select jsonb_agg(client_id) from clients where business_id = ${businessId} and merged_into = ${otherId}), '[]'),
      ${JSON.stringify(brought)}::jsonb, '{}', ${now}::timestamptz`.execute(tx);
}

export async function completeMerge(
  tx: Tx,
  businessId: number,
  mergeId: string,
  folded: Folded | null,
  took: Took,
): Promise<void> {
  await sql`
    update client_merges set took = ${JSON.stringify(took)}::jsonb,
      brought = jsonb_set(brought, '{folded}', ${JSON.stringify(folded)}::jsonb)
    where business_id = ${businessId} and merge_id = ${mergeId}`.execute(tx);
}

/** The messages of one statement, with the conversation that they stood in. */
export async function noteMoved(
  tx: Tx,
  businessId: number,
  mergeId: string,
  conversationId: string,
  messageIds: string[],
): Promise<void> {
  await sql`
    insert into client_merge_messages (business_id, message_id, merge_id, conversation_id)
    select ${businessId}::bigint, id, ${mergeId}::uuid, ${conversationId}::uuid
    from unnest(${messageIds}::uuid[]) id`.execute(tx);
}

/** The latest merge of the client, taken back or not; null where there is no record of any. */
export async function latestMerge(
  tx: Tx,
  businessId: number,
  mergedId: number,
): Promise<(MergeRecord & { undone: boolean }) | null> {
  const { rows } = await sql<MergeRecord & { undone: boolean }>`
    select merge_id, merged_client_id, into_client_id, led, brought, took, undone_at is not null as undone
    from client_merges where business_id = ${businessId} and merged_client_id = ${mergedId}
    order by merge_id desc limit 1`.execute(tx);
  return rows[0] ?? null;
}

/** The other merges into the client that stand, the first first. */
export async function standingMerges(
  tx: Tx,
  businessId: number,
  intoId: number,
  besides: string,
): Promise<MergeRecord[]> {
  const { rows } = await sql<MergeRecord>`
    select merge_id, merged_client_id, into_client_id, led, brought, took
    from client_merges where business_id = ${businessId} and into_client_id = ${intoId} and undone_at is null
      and merge_id <> ${besides}::uuid order by merge_id`.execute(tx);
  return rows;
}

export async function saveTook(tx: Tx, businessId: number, merge: MergeRecord): Promise<void> {
  await sql`
    update client_merges set took = ${JSON.stringify(merge.took)}::jsonb
    where business_id = ${businessId} and merge_id = ${merge.merge_id}`.execute(tx);
}

/** A merge that was taken back is only known to have been. */
export async function closeMerge(tx: Tx, now: Date, businessId: number, mergeId: string): Promise<void> {
  await sql`
    update client_merges set brought = '{}', took = '{}', undone_at = ${now}
    where business_id = ${businessId} and merge_id = ${mergeId}`.execute(tx);
  await sql`delete from client_merge_messages where business_id = ${businessId} and merge_id = ${mergeId}`.execute(
    tx,
  );
}

/** What was kept of a client, and of those merged into them, goes with them; these merges stand for good. */
export async function forgetMerges(tx: Tx, businessId: number, clientId: number): Promise<void> {
  const { rows } = await sql<{ merge_id: string }>`
    with ids as (
      select client_id from clients where business_id = ${businessId} and (client_id = ${clientId} or merged_into = ${clientId}))
    update client_merges set brought = '{}', took = '{}' where business_id = ${businessId}
      and (merged_client_id in (select client_id from ids) or into_client_id in (select client_id from ids))
    returning merge_id`.execute(tx);
  await sql`
    delete from client_merge_messages
    where business_id = ${businessId} and merge_id = any(${rows.map((row) => row.merge_id)}::uuid[])`.execute(
    tx,
  );
}
