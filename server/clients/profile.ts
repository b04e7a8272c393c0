import { sql } from 'kysely';
import type { Static } from 'typebox';
import type { Contract } from '../../contract/index.ts';
import { outcomeOf } from '../channels/index.ts';
import type { AddressKind, CallFacts, Db, MessageStatus, Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { type ClientRecord, clientFor } from './access.ts';
import { type ConsentVerdict, consentVerdicts } from './consent.ts';

export type ClientProfile = Static<Contract['getClient']['output'][200]>;

/** Messages (notes among them) that are looked at for the counts: a profile's cost must not grow with its history. */
const countLimit = 10_000;

/** The channels on which each kind of address can be written to. */
const channelsOf: Record<AddressKind, readonly string[]> = {
  phone: ['sms', 'whatsapp', 'voice'],
  email: ['email'],
  other: [],
};

/** A client as the API shows them: the same for each operation that answers with one. */
export async function clientProfile(
  db: Db | Tx,
  businessId: number,
  clientId: number,
  secrets: Secrets,
): Promise<ClientProfile> {
  const client = await clientFor(db, businessId, clientId);
  const addresses = await addressesOf(db, client);
  return {
    client_id: client.client_id,
    business_id: client.business_id,
    name: client.name,
    provisional: client.provisional,
    location_id: client.location_id,
    language: client.language,
    time_zone: client.time_zone,
    tags: client.tags,
    metadata: client.metadata,
    last_seen_at: client.last_seen_at?.toISOString() ?? null,
    created_at: client.created_at.toISOString(),
    updated_at: client.updated_at.toISOString(),
    addresses: addresses.map((row) => ({ kind: row.kind, address: row.address, primary: row.is_primary })),
    consent: await consentOf(db, businessId, addresses, secrets),
    conversation: await conversationOf(db, client),
    counts: await countsOf(db, client),
    merged_from: await mergedInto(db, client),
    erased_at: client.erased_at?.toISOString() ?? null,
  };
}

interface AddressRow {
  kind: AddressKind;
  address: string;
  is_primary: boolean;
}

async function addressesOf(db: Db | Tx, client: ClientRecord): Promise<AddressRow[]> {
  const { rows } = await sql<AddressRow>`
    select kind, address, is_primary from client_addresses
    where business_id = ${client.business_id} and client_id = ${client.client_id}
    order by array_position(array['phone', 'email', 'other'], kind), is_primary desc, position, address limit 100`.execute(
    db,
  );
  return rows;
}

async function consentOf(
  db: Db | Tx,
  businessId: number,
  addresses: AddressRow[],
  secrets: Secrets,
): Promise<ClientProfile['consent']> {
  const asked = addresses.flatMap(({ kind, address }) =>
    channelsOf[kind].map((channel) => ({ businessId, channel, address })),
  );
  const verdicts = await consentVerdicts(
    db,
    asked.flatMap((one) => [
      { ...one, category: 'transactional' as const },
      { ...one, category: 'marketing' as const },
    ]),
    secrets,
  );
  return asked.map(({ channel, address }, i) => ({
    channel,
    address,
    transactional: presentVerdict(verdicts[2 * i]!),
    marketing: presentVerdict(verdicts[2 * i + 1]!),
  }));
}

function presentVerdict({ allowed, entry }: ConsentVerdict): ClientProfile['consent'][number]['marketing'] {
  const reason = entry === null ? 'no_record' : entry.state === 'granted' ? 'opted_in' : 'opted_out';
  return { allowed, reason, source: entry?.source ?? null, at: entry?.at ?? null };
}

async function conversationOf(db: Db | Tx, client: ClientRecord): Promise<ClientProfile['conversation']> {
  const { rows } = await sql<{
    conversation_id: string;
    status: 'open' | 'pending' | 'snoozed' | 'closed';
    assignee_staff_id: number | null;
    unread_count: number;
    waiting_since: Date | null;
    message_id: string | null;
    preview: string;
    channel: string;
    direction: 'inbound' | 'outbound' | 'internal';
    message_status: MessageStatus;
    call: CallFacts | null;
    at: Date;
  }>`
    select c.conversation_id, c.status, c.assignee_staff_id, c.unread_count, c.waiting_since,
      m.message_id, left(m.content, 140) as preview, m.channel, m.direction, m.status as message_status, m.call, m.occurred_at as at
    from conversations c
    left join messages m on m.business_id = c.business_id and m.message_id = c.last_message_id
    where c.business_id = ${client.business_id} and c.client_id = ${client.client_id}
    order by (c.status <> 'closed') desc, c.created_at desc limit 1`.execute(db);
  const [row] = rows;
  if (!row) return null;
  return {
    conversation_id: row.conversation_id,
    status: row.status,
    assignee_staff_id: row.assignee_staff_id,
    unread_count: row.unread_count,
    waiting_since: row.waiting_since?.toISOString() ?? null,
    last_message:
      row.message_id === null
        ? null
        : {
            message_id: row.message_id,
            preview: row.preview,
            channel: row.channel,
            direction: row.direction,
            status: row.message_status,
            ...(row.call && { call_outcome: outcomeOf(row.direction, row.call) }),
            at: row.at.toISOString(),
          },
  };
}

async function countsOf(db: Db | Tx, client: ClientRecord): Promise<ClientProfile['counts']> {
  const { rows } = await sql<{
    messages_in: number;
    messages_out: number;
    messages: number;
    conversations: number;
  }>`
    select counted.*, (
      select count(*)::int from (
        select 1 from conversations where business_id = ${client.business_id} and client_id = ${client.client_id}
        limit ${countLimit + 1}
      ) theirs) as conversations
    from (
      select count(*) filter (where direction = 'inbound')::int as messages_in,
        count(*) filter (where direction = 'outbound')::int as messages_out, count(*)::int as messages
      from (
        select m.direction from conversations c
        join messages m on m.business_id = c.business_id and m.conversation_id = c.conversation_id
        where c.business_id = ${client.business_id} and c.client_id = ${client.client_id}
        limit ${countLimit + 1}
      ) looked_at
    ) counted`.execute(db);
  const { messages, ...counted } = rows[0]!;
  return {
    messages_in: Math.min(counted.messages_in, countLimit),
    messages_out: Math.min(counted.messages_out, countLimit),
    conversations: Math.min(counted.conversations, countLimit),
    capped: messages > countLimit || counted.conversations > countLimit,
  };
}

async function mergedInto(db: Db | Tx, client: ClientRecord): Promise<number[]> {
  const { rows } = await sql<{ client_id: number }>`
    select client_id from clients where business_id = ${client.business_id} and merged_into = ${client.client_id}
    order by merged_at, client_id limit 1000`.execute(db);
  return rows.map((row) => row.client_id);
}
