import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { type ClientRecord, lexemesOf, sortNameOf, wordsSql } from '../clients/index.ts';
import type { AddressKind, Tx } from '../core/db/index.ts';
import type { MergeRecord } from './merge-record.ts';

/** Whether the merged client brought the address. */
export const hasAddress = (merge: MergeRecord, { kind, address }: { kind: AddressKind; address: string }) =>
  merge.brought.addresses.some((one) => one.kind === kind && one.address === address);

/** An entry is about an address, and says whose it was taken for: theirs again. What it says does not change. */
export async function returnConsents(
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

export async function returnAddresses(
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
export async function saveTarget(
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
export function takeOver(other: MergeRecord, merge: MergeRecord): boolean {
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

export async function restoreClient(
  tx: Tx,
  now: Date,
  businessId: number,
  merge: MergeRecord,
): Promise<void> {
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
