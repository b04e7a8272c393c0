import { businessFor } from '../businesses/index.ts';
import { type Database, type Db, inSearch } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { answer, type Binding, pageOf, read, write } from '../core/http/index.ts';
import { optedOutChannels } from './consent.ts';
import { readClientFields } from './fields.ts';
import { type ImportParts, importRoutes } from './import/routes.ts';
import { type ClientFilters, type ClientListRow, findClients, listClients, placeOf } from './list.ts';
import { clientProfile } from './profile.ts';
import { upsertClients } from './upsert.ts';

export function clientRoutes(parts: ImportParts & { searchDb: Database['searchDb'] }): Binding[] {
  const { cursors, secrets, searchDb } = parts;
  return [
    ...importRoutes(parts),

    read('listClients', async (db, { businessId, query }) => {
      const business = await businessFor(db, businessId);
      const { cursor, limit = 25, sort = 'name', q, ...named } = query;
      const filters: ClientFilters = {
        locationId: named.location_id,
        provisional: named.provisional,
        optedOut: named.opted_out,
        hasUnread: named.has_unread,
      };
      const about = ['listClients', businessId, sort, q ?? null, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && { at: String(place[0]), clientId: Number(place[1]) };
      const list = (from: Db) => listClients(from, businessId, filters, sort, limit, after);
      const rows =
        q === undefined
          ? await list(db)
          : await inSearch(searchDb, async (from) => {
              filters.found = await findClients(from, businessId, q, business.country);
              return list(from);
            });
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => placeOf(sort, row),
      );
      const optedOut = await optedOutChannels(db, businessId, page.rows, secrets);
      return answer(200, {
        data: page.rows.map((row, i) => presentRow(row, optedOut[i]!)),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    read('getClient', async (db, { businessId, params }) => {
      await businessFor(db, businessId);
      return answer(200, await clientProfile(db, businessId, params.client_id, secrets));
    }),

    write('upsertClient', async (tx, { businessId, params, body, now, origin }) => {
      const business = await businessFor(tx, businessId);
      const { request_id: _, ...fields } = body;
      const write = readClientFields(params.client_id, fields, business.country);
      const [result] = await upsertClients(tx, now, businessId, [write]);
      if (result!.outcome === 'refused') throw result!.fault;
      const profile = await clientProfile(tx, businessId, params.client_id, secrets);
      if (result!.event) await recordEvents(tx, now, [{ ...result!.event, by: origin }]);
      return result!.outcome === 'created' ? answer(201, profile) : answer(200, profile);
    }),
  ];
}

function presentRow(row: ClientListRow, optedOut: string[]) {
  return {
    client_id: row.client_id,
    business_id: row.business_id,
    name: row.name,
    phone: row.phone,
    email: row.email,
    provisional: row.provisional,
    location_id: row.location_id,
    language: row.language,
    tags: row.tags,
    last_seen_at: row.last_seen_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    unread_count: row.unread_count,
    opted_out: optedOut,
  };
}
