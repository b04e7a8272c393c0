import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';

/** A conversation's row, locked until the transaction ends. */
export interface LockedConversation {
  business_id: number;
  conversation_id: string;
  client_id: number;
  status: 'open' | 'pending' | 'snoozed' | 'closed';
  snoozed_until: Date | null;
  assignee_staff_id: number | null;
  location_id: number | null;
  last_message_id: string | null;
  last_message_at: Date | null;
  last_activity_at: Date;
  unread_count: number;
  waiting_since: Date | null;
  channels: string[];
  /** Made in this transaction. */
  created: boolean;
}

export interface WantedConversation {
  businessId: number;
  clientId: number;
  locationId: number | null;
}

const keyOf = (businessId: number, clientId: number) => `${businessId} ${clientId}`;

/**
 * Finds or makes the conversation of each client and locks it: the one that is not closed, else
 * (`orLatestClosed`) the latest closed one, else a new one. Two statements, three where some are
 * new. Concurrent callers meet at the partial unique key `conversations_one_open`.
 */
export async function openConversations(
  tx: Tx,
  now: Date,
  wanted: WantedConversation[],
  options: { orLatestClosed: boolean },
): Promise<Map<string, LockedConversation>> {
  const distinct = [
    ...new Map(wanted.map((want) => [keyOf(want.businessId, want.clientId), want])).values(),
  ].sort((a, b) => a.businessId - b.businessId || a.clientId - b.clientId);
  const found = await lockExisting(tx, distinct, options);
  const missing = distinct.filter((want) => !found.has(keyOf(want.businessId, want.clientId)));
  if (missing.length === 0) return found;

  const made = await tx
    .insertInto('conversations')
    .values(
      missing.map((want) => ({
        business_id: want.businessId,
        conversation_id: newId(),
        client_id: want.clientId,
        status: 'open' as const,
        location_id: want.locationId,
        last_activity_at: now,
        created_at: now,
        updated_at: now,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['business_id', 'client_id']).where('status', '<>', 'closed').doNothing(),
    )
    .returningAll()
    .execute();
  for (const row of made) found.set(keyOf(row.business_id, row.client_id), { ...row, created: true });

  const others = missing.filter((want) => !found.has(keyOf(want.businessId, want.clientId)));
  if (others.length > 0) {
    // Somebody else made these between our look and our insert, and has committed since.
    for (const [key, row] of await lockExisting(tx, others, options)) found.set(key, row);
  }
  return found;
}

export function conversationOf(
  found: Map<string, LockedConversation>,
  businessId: number,
  clientId: number,
): LockedConversation {
  const row = found.get(keyOf(businessId, clientId));
  // Made, then closed by another between two statements of ours: the caller's transaction is tried again.
  if (!row)
    throw Object.assign(new Error('A conversation was closed while it was being opened.'), { code: '40001' });
  return row;
}

async function lockExisting(
  tx: Tx,
  wanted: WantedConversation[],
  options: { orLatestClosed: boolean },
): Promise<Map<string, LockedConversation>> {
  const asked = wanted.map((want) => ({ b: want.businessId, c: want.clientId }));
  const { rows } = await sql<Omit<LockedConversation, 'created'>>`
    select c.business_id, c.conversation_id, c.client_id, c.status, c.snoozed_until, c.assignee_staff_id, c.location_id,
      c.last_message_id, c.last_message_at, c.last_activity_at, c.unread_count, c.waiting_since, c.channels
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, c bigint)
    join conversations c on c.business_id = w.b and c.conversation_id = (
      select o.conversation_id from conversations o
      where o.business_id = w.b and o.client_id = w.c ${options.orLatestClosed ? sql`` : sql`and o.status <> 'closed'`}
      order by (o.status <> 'closed') desc, o.created_at desc limit 1
    )
    order by c.business_id, c.client_id
    for update of c`.execute(tx);
  const found = new Map<string, LockedConversation>();
  for (const row of rows) {
    // Closed since the look: the lock shows the row as it is now.
    if (!options.orLatestClosed && row.status === 'closed') continue;
    found.set(keyOf(row.business_id, row.client_id), { ...row, created: false });
  }
  return found;
}

/** Locks conversations by their ids, in the order that everyone locks in. */
export async function lockConversations(
  tx: Tx,
  ids: { businessId: number; conversationId: string }[],
): Promise<Map<string, LockedConversation>> {
  if (ids.length === 0) return new Map();
  const asked = ids.map((id) => ({ b: id.businessId, c: id.conversationId }));
  const { rows } = await sql<Omit<LockedConversation, 'created'>>`
    select business_id, conversation_id, client_id, status, snoozed_until, assignee_staff_id, location_id,
      last_message_id, last_message_at, last_activity_at, unread_count, waiting_since, channels
    from conversations
    where (business_id, conversation_id) in (select b, c from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(b bigint, c uuid))
    order by business_id, client_id for update`.execute(tx);
  return new Map(rows.map((row) => [row.conversation_id, { ...row, created: false }]));
}

/** Locks all conversations of these clients, closed ones too. */
export async function lockConversationsOf(
  tx: Tx,
  businessId: number,
  clientIds: number[],
): Promise<Map<string, LockedConversation>> {
  const rows = await tx
    .selectFrom('conversations')
    .select('conversation_id')
    .where('business_id', '=', businessId)
    .where('client_id', 'in', clientIds)
    .execute();
  return lockConversations(
    tx,
    rows.map((row) => ({ businessId, conversationId: row.conversation_id })),
  );
}

/** Writes back what changed in locked rows, in one statement. */
export async function saveConversations(tx: Tx, now: Date, rows: LockedConversation[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    update conversations set status = w.status, snoozed_until = w.snoozed_until, location_id = w.location_id,
      last_message_id = w.last_message_id, last_message_at = w.last_message_at, last_activity_at = w.last_activity_at,
      unread_count = w.unread_count, waiting_since = w.waiting_since,
      channels = array(select jsonb_array_elements_text(w.channels)), updated_at = ${now}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(
      business_id bigint, conversation_id uuid, status text, snoozed_until timestamptz, location_id bigint,
      last_message_id uuid, last_message_at timestamptz, last_activity_at timestamptz,
      unread_count int, waiting_since timestamptz, channels jsonb)
    where conversations.business_id = w.business_id and conversations.conversation_id = w.conversation_id`.execute(
    tx,
  );
}
