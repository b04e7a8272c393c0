import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';

/** An address of several clients, and why the one was taken of whom a message on it probably is. */
export interface SharedAddress {
  kind: AddressKind;
  address: string;
  /** Written to last at this address, or (nobody was) heard from last. */
  reason: 'last_messaged' | 'last_seen';
}

/** Messages of a client's thread that are looked through: a household's reply follows its reminder closely. */
const lookBack = 200;

/**
 * When each client of a shared address was last sent something at it: who answers is most often who
 * was written to. Read from the end of each client's latest conversation, and only for addresses
 * that are shared, so it needs no index that every message would pay for.
 *
 * @returns milliseconds, by `<index of the asked> <client_id>`
 */
export async function lastMessagedAt(
  tx: Tx,
  asked: { businessId: number; kind: AddressKind; address: string }[],
): Promise<Map<string, number>> {
  if (asked.length === 0) return new Map();
  const rows = asked.map((one, i) => ({ i, b: one.businessId, k: one.kind, a: one.address }));
  const found = await sql<{ i: number; client_id: number; at: Date }>`
    select w.i, l.client_id, latest.occurred_at as at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(i int, b bigint, k text, a text)
    join client_addresses l on l.business_id = w.b and l.kind = w.k and l.address = w.a
    cross join lateral (
      select conversation_id from conversations
      where business_id = w.b and client_id = l.client_id order by created_at desc limit 1
    ) c
    cross join lateral (
      select recent.occurred_at from (
        select direction, to_address, status, occurred_at from messages
        where business_id = w.b and conversation_id = c.conversation_id
        order by occurred_at desc, message_id desc limit ${lookBack}
      ) recent
      where recent.direction = 'outbound' and recent.to_address = w.a
        and recent.status not in ('scheduled', 'canceled', 'suppressed', 'failed')
      order by recent.occurred_at desc limit 1
    ) latest`.execute(tx);
  return new Map(found.rows.map((row) => [`${row.i} ${row.client_id}`, row.at.getTime()]));
}
