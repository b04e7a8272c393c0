import { sql } from 'kysely';
import { addressKindOf } from '../clients/index.ts';
import { readEmail, readPhone } from '../core/addresses.ts';
import type { Tx } from '../core/db/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import type { Draft } from './draft.ts';

/** The business's row as far as a message needs it. */
export interface BusinessFacts {
  business_id: number;
  country: string;
  time_zone: string;
}

export interface SenderFacts {
  address: string;
  provider: string;
  location_id: number | null;
}

/** An address of a client as it is kept: E.164 or lower-case mail. @throws 422 naming the field */
export function readClientAddress(channel: string, address: string, country: string, field: string): string {
  const kind = addressKindOf(channel);
  if (kind === 'other') return address.trim();
  if (kind === 'phone') {
    const phone = readPhone(address, country);
    if (!phone.ok) throw invalid(field, phone.message, 'invalid_format');
    return phone.e164;
  }
  const email = readEmail(address);
  if (!email.ok) throw invalid(field, email.message, 'invalid_format');
  return email.email;
}

export async function readBusinesses(tx: Tx, ids: number[]): Promise<Map<number, BusinessFacts>> {
  const rows = await tx
    .selectFrom('businesses')
    .select(['business_id', 'country', 'time_zone'])
    .where('business_id', 'in', [...new Set(ids)])
    .execute();
  return new Map(rows.map((row) => [row.business_id, row]));
}

/**
 * The sender of each queued draft, in one statement: the one named, else of the draft's location,
 * else one of no location, the oldest first.
 */
export async function chooseSenders(
  tx: Tx,
  wanted: { draft: Draft; ownAddress?: string }[],
): Promise<(SenderFacts | null)[]> {
  if (wanted.length === 0) return [];
  const asked = wanted.map(({ draft, ownAddress }, i) => ({
    i,
    b: draft.businessId,
    ch: draft.channel,
    a: ownAddress ?? null,
    l: draft.locationId ?? null,
  }));
  const { rows } = await sql<SenderFacts & { i: number }>`
    select w.i, s.address, s.provider, s.location_id
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, ch text, a text, l bigint)
    cross join lateral (
      select address, provider, location_id from senders
      where business_id = w.b and channel = w.ch and active and (w.a is null or address = w.a)
      order by (location_id is not distinct from w.l) desc, (location_id is null) desc, created_at, sender_id
      limit 1
    ) s`.execute(tx);
  const senders: (SenderFacts | null)[] = wanted.map(() => null);
  for (const { i, ...sender } of rows) senders[i] = sender;
  return senders;
}

export function noSender(draft: Draft): Fault {
  const [detail, path] =
    draft.ownAddress === undefined
      ? [
          `The business has no active sender for ${draft.channel}. Add one with POST /business/onboard.`,
          'from',
        ]
      : [
          `${draft.ownAddress} is not an active ${draft.channel} sender of the business. Leave \`from\` out, or add it with POST /business/onboard.`,
          'from',
        ];
  return new Fault('no_sender', detail, { errors: [{ path, message: detail, code: 'not_found' }] });
}

/** Staff and locations that drafts name must be the business's own. @returns what is wrong, by index of the draft */
export async function checkReferences(tx: Tx, drafts: Draft[]): Promise<Map<number, Fault>> {
  const asked = drafts.flatMap((draft, i) => [
    ...(draft.sentBy === undefined ? [] : [{ i, b: draft.businessId, what: 'staff', id: draft.sentBy }]),
    ...(draft.locationId === undefined
      ? []
      : [{ i, b: draft.businessId, what: 'location', id: draft.locationId }]),
  ]);
  const faults = new Map<number, Fault>();
  if (asked.length === 0) return faults;
  const { rows } = await sql<{ i: number; what: string }>`
    select w.i, w.what from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, what text, id bigint)
    where not exists (select 1 from staffs s where w.what = 'staff' and s.business_id = w.b and s.staff_id = w.id)
      and not exists (select 1 from locations l where w.what = 'location' and l.business_id = w.b and l.location_id = w.id)`.execute(
    tx,
  );
  for (const { i, what } of rows) {
    const fault =
      what === 'staff'
        ? notFound('staff member', 'Check sent_by.')
        : notFound('location', 'Check location_id.');
    if (!faults.has(i)) faults.set(i, fault);
  }
  return faults;
}
