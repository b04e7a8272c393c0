import { sql } from 'kysely';
import { clientFor, consentHash, forgetAddresses, isConsentHash, sortNameOf } from '../clients/index.ts';
import { lockConversationsOf } from '../conversations/index.ts';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { contentGone, forgetWordsAndFiles, hasContent, writeTimeline } from '../messages/index.ts';
import { forgetMerges } from './merge-record.ts';
import { changeMessages } from './move-messages.ts';
import { eraseTraces } from './traces.ts';

export interface Erasure {
  businessId: number;
  clientId: number;
  by: Origin;
}

export interface Erased {
  clientId: number;
  erasedAt: Date;
  messagesErased: number;
  messagesCanceled: number;
  addressesErased: number;
}

interface Address {
  kind: AddressKind;
  address: string;
}

/**
 * Takes away what tells who a client is and what was said, in one transaction; every column is judged
 * in `personal-data.ts`. Consent stays, under a keyed hash of each address that nobody else has.
 * Doing it again changes nothing.
 *
 * Locks the client against every writer first, then the conversations, then the messages.
 */
export async function eraseClient(tx: Tx, now: Date, erasure: Erasure, secrets: Secrets): Promise<Erased> {
  const { businessId } = erasure;
  const { client_id: clientId } = await clientFor(tx, businessId, erasure.clientId);
  await sql`select 1 from clients where business_id = ${businessId} and client_id = ${clientId} for update`.execute(
    tx,
  );
  // As it is now that it is locked: a twin may have erased it, or a merge taken it elsewhere.
  const client = await clientFor(tx, businessId, clientId);
  if (client.client_id !== clientId) return eraseClient(tx, now, erasure, secrets);
  if (client.erased_at) {
    return {
      clientId,
      erasedAt: client.erased_at,
      messagesErased: 0,
      messagesCanceled: 0,
      addressesErased: 0,
    };
  }

  const conversations = [...(await lockConversationsOf(tx, businessId, [clientId])).keys()];
  const taken = await takeAddresses(tx, businessId, clientId);
  const former = await formerAddresses(tx, businessId, conversations);
  const addresses = { all: taken.all, onlyTheirs: [...taken.onlyTheirs, ...former] };
  const canceled = await cancelWaiting(tx, now, erasure, clientId, conversations);
  await eraseTraces(tx, now, businessId, clientId, conversations, addresses);
  let messagesErased = 0;
  for (const conversationId of conversations) {
    messagesErased += await eraseMessages(tx, businessId, conversationId);
  }
  await hashConsents(tx, businessId, clientId, addresses.onlyTheirs, secrets);
  await forgetMerges(tx, businessId, clientId);
  await eraseRows(tx, now, businessId, clientId);
  await forgetAddresses(
    tx,
    businessId,
    addresses.all.map(({ kind, address }) => ({ k: kind, a: address })),
  );
  await recordEvents(tx, now, [
    ...canceled,
    {
      businessId,
      type: 'client.erased',
      by: erasure.by,
      data: { client_id: clientId, messages_erased: messagesErased, messages_canceled: canceled.length },
    },
  ]);
  return {
    clientId,
    erasedAt: now,
    messagesErased,
    messagesCanceled: canceled.length,
    addressesErased: addresses.all.length,
  };
}

/** Takes the client's addresses away; tells those that nobody else has apart. */
async function takeAddresses(
  tx: Tx,
  businessId: number,
  clientId: number,
): Promise<{ all: Address[]; onlyTheirs: Address[] }> {
  const { rows } = await sql<Address & { shared: boolean }>`
    delete from client_addresses l where l.business_id = ${businessId} and l.client_id = ${clientId}
    returning l.kind, l.address, exists (select 1 from client_addresses o
      where o.business_id = l.business_id and o.kind = l.kind and o.address = l.address and o.client_id <> l.client_id) as shared`.execute(
    tx,
  );
  return { all: rows, onlyTheirs: rows.filter((row) => !row.shared) };
}

/**
 * Those that they wrote from or were written to, and that are nobody's by now: the host took them off the client
 * before, and what was kept about such an address is still about this person.
 */
async function formerAddresses(tx: Tx, businessId: number, conversations: string[]): Promise<Address[]> {
  const { rows } = await sql<Address>`
    select distinct case when address like '%@%' then 'email' else 'phone' end as kind, address
    from messages m
    cross join lateral (select case m.direction when 'inbound' then m.from_address else m.to_address end as address) a
    where m.business_id = ${businessId} and m.conversation_id = any(${conversations}::uuid[])
      and m.direction in ('inbound', 'outbound') and address is not null
      and not exists (select 1 from client_addresses l where l.business_id = m.business_id and l.address = a.address)`.execute(
    tx,
  );
  return rows;
}

/**
 * What waits to be sent is canceled. What a carrier is being handed just now cannot be called back:
 * it fails here, so that nothing of it is ever tried again.
 */
async function cancelWaiting(
  tx: Tx,
  now: Date,
  { businessId, by }: Erasure,
  clientId: number,
  conversations: string[],
): Promise<NewEvent[]> {
  const { rows } = await sql<{
    message_id: string;
    conversation_id: string;
    channel: string;
    was: string;
    status: 'canceled' | 'failed';
  }>`
    with waiting as (
      select message_id, status from messages
      where business_id = ${businessId} and conversation_id = any(${conversations}::uuid[])
        and direction = 'outbound' and status in ('scheduled', 'queued', 'sending')
      order by message_id for update
    )
    update messages m set reason = 'erased', error_code = null,
      status = case when w.status = 'sending' then 'failed' else 'canceled' end,
      failed_at = case when w.status = 'sending' then ${now}::timestamptz end
    from waiting w where m.business_id = ${businessId} and m.message_id = w.message_id
    returning m.message_id, m.conversation_id, m.channel, w.status as was, m.status`.execute(tx);
  await sql`
    update attempts set state = 'refused', settled_at = ${now}
    where business_id = ${businessId} and message_id = any(${rows.map((row) => row.message_id)}::uuid[])
      and state in ('claimed', 'unknown')`.execute(tx);
  await writeTimeline(
    tx,
    rows.map((row) => ({
      businessId,
      messageId: row.message_id,
      kind: row.status,
      at: now,
      data: { reason: 'erased', ...by },
    })),
  );
  return rows.map((row) => ({
    businessId,
    type: `message.${row.status}` as const,
    by,
    changed: { status: { from: row.was, to: row.status } },
    data: {
      message_id: row.message_id,
      conversation_id: row.conversation_id,
      client_id: clientId,
      channel: row.channel,
      direction: 'outbound',
      status: row.status,
      reason: 'erased',
    },
  }));
}

async function eraseMessages(tx: Tx, businessId: number, conversationId: string): Promise<number> {
  return await changeMessages(
    tx,
    businessId,
    conversationId,
    sql`(${hasContent} or unread or ambiguous)`,
    sql`${contentGone}, unread = false, ambiguous = false`,
    (messageIds) => forgetWordsAndFiles(tx, businessId, messageIds),
  );
}

/** The ledger goes on under a hash, so that a refusal outlives what it was about; its evidence keeps no words. */
async function hashConsents(
  tx: Tx,
  businessId: number,
  clientId: number,
  onlyTheirs: Address[],
  secrets: Secrets,
): Promise<void> {
  const { rows } = await sql<{ consent_id: string; channel: string; address: string; hashed: boolean }>`
    select c.consent_id, c.channel, c.address, not exists (select 1 from client_addresses l
        where l.business_id = c.business_id and l.address = c.address) as hashed
    from consents c where c.business_id = ${businessId} and (
      c.client_id = ${clientId}
      or (c.channel = any(array(select distinct channel from consents where business_id = ${businessId}))
        and c.address = any(${onlyTheirs.map((one) => one.address)}::text[])))`.execute(tx);
  const kept = rows.map((row) => ({
    id: row.consent_id,
    a:
      row.hashed && !isConsentHash(row.address)
        ? consentHash(secrets, businessId, row.channel, row.address)
        : row.address,
  }));
  await sql`
    update consents set address = w.a, evidence = jsonb_strip_nulls(jsonb_build_object('message_id', evidence -> 'message_id', 'erased', true))
    from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb) as w(id uuid, a text)
    where consents.business_id = ${businessId} and consents.consent_id = w.id`.execute(tx);
}

async function eraseRows(tx: Tx, now: Date, businessId: number, clientId: number): Promise<void> {
  await sql`
    update conversations set unread_count = 0, waiting_since = null, snoozed_until = null, status = 'closed',
      shared_kind = null, shared_address = null, identity_reason = null, ambiguous_since = null, updated_at = ${now}
    where business_id = ${businessId} and client_id = ${clientId}`.execute(tx);
  await sql`
    update clients set erased_at = ${now}, updated_at = ${now}, name = null, sort_name = ${sortNameOf(null)}, search_words = '',
      tags = '{}', metadata = '{}', language = null, time_zone = null
    where business_id = ${businessId} and client_id = ${clientId}`.execute(tx);
}
