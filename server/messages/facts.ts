import { sql } from 'kysely';
import { addressKindOf } from '../clients/index.ts';
import { type Refusal, readEmail, readPhone, readSenderAddress } from '../core/addresses.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import type { Draft } from './draft.ts';

/** The business's row as far as a message needs it. */
export interface BusinessFacts {
  business_id: number;
  name: string;
  country: string;
  time_zone: string;
}

export interface SenderFacts {
  address: string;
  provider: string;
  location_id: number | null;
}

/**
 * Who wrote what a carrier handed us, as it is kept. Banks and shops write from short codes and
 * names, and a carrier's own number may be one that we would not take from a caller: it is kept as
 * it came, for a message refused here is lost.
 */
export function readCarrierSender(
  channel: string,
  address: string,
  country: string,
): { ok: true; address: string } | Refusal {
  const kind = addressKindOf(channel);
  if (kind === 'email') {
    const email = readClientAddress(channel, address, country);
    const text = address.trim().toLowerCase();
    return !email.ok && text.length <= 254 && /^[^\s<>@,;:]+@[^\s<>@,;:]+$/.test(text)
      ? { ok: true, address: text }
      : email;
  }
  if (kind !== 'phone') return readClientAddress(channel, address, country);
  const sender = readSenderAddress('sms', address, country);
  if (!sender.ok && /^\+?[0-9]{3,18}$/.test(address.trim())) return { ok: true, address: address.trim() };
  return sender;
}

/** An address of a client as it is kept: E.164 or lower-case mail. */
export function readClientAddress(
  channel: string,
  address: string,
  country: string,
): { ok: true; address: string } | Refusal {
  const kind = addressKindOf(channel);
  if (kind === 'other') return { ok: true, address: address.trim() };
  if (kind === 'phone') {
    const phone = readPhone(address, country);
    return phone.ok ? { ok: true, address: phone.e164 } : phone;
  }
  const email = readEmail(address);
  return email.ok ? { ok: true, address: email.email } : email;
}

export async function readBusinesses(tx: Tx, ids: number[]): Promise<Map<number, BusinessFacts>> {
  const rows = await tx
    .selectFrom('businesses')
    .select(['business_id', 'name', 'country', 'time_zone'])
    .where('business_id', 'in', [...new Set(ids)])
    .execute();
  return new Map(rows.map((row) => [row.business_id, row]));
}

/**
 * The sender of each queued draft, in one statement: the one named, else of the draft's location,
 * else one of no location, the oldest first. One that was removed still receives: a client who writes
 * to it must not be lost.
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
    r: draft.act === 'receive',
  }));
  const { rows } = await sql<SenderFacts & { i: number }>`
    select w.i, s.address, s.provider, s.location_id
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, ch text, a text, l bigint, r boolean)
    cross join lateral (
      select address, provider, location_id from senders
      where business_id = w.b and channel = w.ch and (active or (w.r and w.a is not null)) and (w.a is null or address = w.a)
      order by (location_id is not distinct from w.l) desc, (location_id is null) desc, created_at, sender_id
      limit 1
    ) s`.execute(tx);
  const senders: (SenderFacts | null)[] = wanted.map(() => null);
  for (const { i, ...sender } of rows) senders[i] = sender;
  return senders;
}

export function noSender(draft: Draft): Fault {
  // What a carrier hands us came to the sender; what we send goes from it, and may leave it to us.
  const path = draft.act === 'receive' ? 'to' : 'from';
  const detail =
    draft.ownAddress === undefined
      ? `The business has no active sender for ${draft.channel}. Add one with PUT /businesses/{business_id}/senders.`
      : `${draft.ownAddress} is not an active ${draft.channel} sender of the business. ${path === 'from' ? 'Leave `from` out, or add' : 'Add'} it with PUT /businesses/{business_id}/senders.`;
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

/**
 * The messages that drafts name by a carrier's id and that are there already: the same message of a
 * carrier is one message, however often it is told, and telling it again makes nothing.
 */
export async function findKnown(tx: Tx, drafts: Draft[]): Promise<Map<number, KnownMessage>> {
  const asked = drafts.flatMap((draft, i) =>
    draft.providerMessageId === undefined
      ? []
      : [{ i, b: draft.businessId, p: draft.provider, id: draft.providerMessageId }],
  );
  if (asked.length === 0) return new Map();
  const { rows } = await sql<KnownMessage & { i: number }>`
    select w.i, m.message_id, m.conversation_id, m.client_id, m.status
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, p text, id text)
    join messages m on m.business_id = w.b and m.provider = w.p and m.provider_message_id = w.id`.execute(tx);
  return new Map(rows.map((row) => [row.i, row]));
}

export interface KnownMessage {
  message_id: string;
  conversation_id: string;
  client_id: number;
  status: MessageStatus;
}
