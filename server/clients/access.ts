import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

export type ClientRecord = Omit<Selectable<Tables['clients']>, 'search_words' | 'sort_name'>;

/**
 * The only way to a client for a caller: the row, or not found, wherever else it may exist. The id of
 * one who was merged leads to the one they are now.
 */
export async function clientFor(db: Db | Tx, businessId: number, clientId: number): Promise<ClientRecord> {
  const { rows } = await sql<ClientRecord>`
    select c.business_id, c.client_id, c.name, c.location_id, c.time_zone, c.language, c.tags, c.metadata, c.provisional,
      c.last_seen_at, c.merged_into, c.merged_at, c.erased_at, c.created_at, c.updated_at
    from clients named join clients c on c.business_id = named.business_id
      and c.client_id = coalesce(named.merged_into, named.client_id)
    where named.business_id = ${businessId} and named.client_id = ${clientId}`.execute(db);
  if (!rows[0]) throw notFound('client');
  return rows[0];
}
