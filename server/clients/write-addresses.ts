import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';
import type { ClientWrite } from './fields.ts';

type ByKind = Record<AddressKind, string[]>;

/** A client's addresses as they are and as they are to be, the primary one first in each kind. */
export interface AddressPlan {
  clientId: number;
  before: ByKind;
  after: ByKind;
}

/** The rows where first contacts meet, in one order everywhere; before any client is locked. */
export async function insertAddresses(
  tx: Tx,
  now: Date,
  businessId: number,
  writes: ClientWrite[],
): Promise<void> {
  const rows = writes.flatMap((write) => [
    ...(write.phones ?? []).map((a) => ({ k: 'phone', a })),
    ...(write.emails ?? []).map((a) => ({ k: 'email', a })),
  ]);
  if (rows.length === 0) return;
  await sql`
    insert into addresses (business_id, kind, address, created_at)
    select distinct ${businessId}::bigint, k, a, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(k text, a text) order by k, a
    on conflict do nothing`.execute(tx);
}

/** What of each (locked) client's addresses stays, comes and goes. */
export async function planAddresses(
  tx: Tx,
  businessId: number,
  writes: ClientWrite[],
): Promise<Map<number, AddressPlan>> {
  const plans = new Map<number, AddressPlan>(
    writes.map(({ clientId }) => [
      clientId,
      { clientId, before: { phone: [], email: [], other: [] }, after: { phone: [], email: [], other: [] } },
    ]),
  );
  const ids = writes.map((write) => write.clientId);
  const { rows } = await sql<{ client_id: number; kind: AddressKind; address: string }>`
    select client_id, kind, address from client_addresses
    where business_id = ${businessId} and client_id = any(${ids}::bigint[])
    order by client_id, kind, is_primary desc, position, address`.execute(tx);
  for (const row of rows) plans.get(row.client_id)!.before[row.kind].push(row.address);
  for (const write of writes) {
    const plan = plans.get(write.clientId)!;
    plan.after = {
      phone: write.phones ?? plan.before.phone,
      email: write.emails ?? plan.before.email,
      other: plan.before.other,
    };
  }
  return plans;
}

/**
 * Brings the links to what is planned. Primary marks are taken away before they are given: at most
 * one of a kind is allowed at any moment.
 */
export async function writeAddresses(
  tx: Tx,
  now: Date,
  businessId: number,
  plans: AddressPlan[],
): Promise<void> {
  const changed = plans.flatMap(({ clientId, before, after }) =>
    (['phone', 'email'] as const)
      .filter((kind) => before[kind].join('\n') !== after[kind].join('\n'))
      .map((kind) => ({ clientId, kind, before: before[kind], after: after[kind] })),
  );
  if (changed.length === 0) return;
  const there = changed.filter(({ before }) => before.length > 0);
  const gone = changed.flatMap(({ clientId, kind, before, after }) =>
    before
      .filter((address) => !after.includes(address))
      .map((address) => ({ c: clientId, k: kind, a: address })),
  );
  if (gone.length > 0) {
    await sql`
      delete from client_addresses l using jsonb_to_recordset(${JSON.stringify(gone)}::jsonb) as w(c bigint, k text, a text)
      where l.business_id = ${businessId} and l.client_id = w.c and l.kind = w.k and l.address = w.a`.execute(
      tx,
    );
  }
  if (there.length > 0) {
    const kinds = there.map(({ clientId, kind }) => ({ c: clientId, k: kind }));
    await sql`
      update client_addresses l set is_primary = false
      from jsonb_to_recordset(${JSON.stringify(kinds)}::jsonb) as w(c bigint, k text)
      where l.business_id = ${businessId} and l.client_id = w.c and l.kind = w.k and l.is_primary`.execute(
      tx,
    );
  }
  const wanted = changed.flatMap(({ clientId, kind, after }) =>
    after.map((address, position) => ({ c: clientId, k: kind, a: address, n: position })),
  );
  if (wanted.length > 0) {
    await sql`
      insert into client_addresses (business_id, kind, address, client_id, is_primary, position, created_at)
      select ${businessId}::bigint, k, a, c, n = 0, n, ${now}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(c bigint, k text, a text, n int)
      on conflict (business_id, kind, address, client_id) do update set is_primary = excluded.is_primary, position = excluded.position`.execute(
      tx,
    );
  }
  await forgetAddresses(tx, businessId, gone);
}

/** Addresses that nobody has any more. */
export async function forgetAddresses(
  tx: Tx,
  businessId: number,
  gone: { k: string; a: string }[],
): Promise<void> {
  if (gone.length === 0) return;
  await sql`
    delete from addresses d using (select distinct k, a from jsonb_to_recordset(${JSON.stringify(gone)}::jsonb) as w(k text, a text)) w
    where d.business_id = ${businessId} and d.kind = w.k and d.address = w.a
      and not exists (select 1 from client_addresses l where l.business_id = d.business_id and l.kind = d.kind and l.address = d.address)`.execute(
    tx,
  );
}
