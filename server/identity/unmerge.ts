import { sql } from 'kysely';
import { clientFor, erasedClient } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { closeMerge, latestMerge, type MergeRecord, saveTook, standingMerges } from './merge-record.ts';
import { seenAnew } from './recount.ts';
import {
  hasAddress,
  restoreClient,
  returnAddresses,
  returnConsents,
  saveTarget,
  takeOver,
} from './return-client.ts';
import { returnHistory } from './return-history.ts';

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
