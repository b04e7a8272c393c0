import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';
import type { NewEvent } from '../core/events/index.ts';
import { Fault, type FieldFault } from '../core/fault.ts';
import { provisionalClientIdFloor } from '../core/ids.ts';
import type { ClientWrite } from './fields.ts';
import { erasedClient } from './resolve.ts';
import { lexemesOf, sortNameOf } from './search-words.ts';
import { type AddressPlan, insertAddresses, planAddresses, writeAddresses } from './write-addresses.ts';

export type Upserted =
  | { outcome: 'created' | 'updated' | 'unchanged'; event: Omit<NewEvent, 'by'> | null }
  | { outcome: 'refused'; fault: Fault };

export interface ClientState {
  client_id: number;
  name: string | null;
  location_id: number | null;
  time_zone: string | null;
  language: string | null;
  tags: string[];
  metadata: Record<string, unknown>;
  merged_into: number | null;
  erased_at: Date | null;
}

/**
 * Writes many clients of one business with a few statements for all: made where they are not there,
 * else brought up to date; what is the same already is not touched. A row that cannot be written is
 * its own answer and leaves the others alone. Ids must be distinct.
 *
 * Locks in the order of every act: addresses, then clients in the order of their ids.
 */
export async function upsertClients(
  tx: Tx,
  now: Date,
  businessId: number,
  writes: ClientWrite[],
): Promise<Upserted[]> {
  const faults = await refusals(tx, businessId, writes);
  const alive = writes.filter((write) => !faults.has(write.clientId));
  await insertAddresses(tx, now, businessId, alive);
  const made = await insertStubs(tx, now, businessId, alive);
  const states = await lockClients(tx, businessId, alive);
  const plans = await planAddresses(tx, businessId, alive);

  const changes: { write: ClientWrite; state: ClientState; plan: AddressPlan; changed: Changed }[] = [];
  const results = writes.map((write): Upserted => {
    const state = states.get(write.clientId);
    // Merged or erased between the look and the lock.
    const fault = faults.get(write.clientId) ?? (state ? goneFault(state) : undefined);
    if (fault || !state) return { outcome: 'refused', fault: fault ?? erasedClient() };
    const plan = plans.get(write.clientId)!;
    const changed = changedBy(write, state, plan);
    const created = made.has(write.clientId);
    const isChanged = Object.keys(changed).length > 0;
    if (isChanged || created) changes.push({ write, state, plan, changed });
    const data = { client_id: write.clientId };
    if (created) {
      return { outcome: 'created', event: { businessId, type: 'client.created', data } };
    }
    return isChanged
      ? { outcome: 'updated', event: { businessId, type: 'client.updated', changed, data } }
      : { outcome: 'unchanged', event: null };
  });
  await writeAddresses(
    tx,
    now,
    businessId,
    changes.map(({ plan }) => plan),
  );
  await saveClients(tx, now, businessId, changes);
  return results;
}

type Changed = Record<string, { from: unknown; to: unknown }>;

/** What can be known before anything is written. */
async function refusals(tx: Tx, businessId: number, writes: ClientWrite[]): Promise<Map<number, Fault>> {
  const ids = writes.map((write) => write.clientId);
  const known = await tx
    .selectFrom('clients')
    .select(['client_id', 'merged_into', 'erased_at'])
    .where('business_id', '=', businessId)
    .where(sql<boolean>`client_id = any(${ids}::bigint[])`)
    .execute();
  const states = new Map(known.map((row) => [row.client_id, row]));
  const named = [...new Set(writes.flatMap((write) => write.locationId ?? []))];
  const locations = new Set(
    named.length === 0
      ? []
      : (
          await tx
            .selectFrom('locations')
            .select('location_id')
            .where('business_id', '=', businessId)
            .where(sql<boolean>`location_id = any(${named}::bigint[])`)
            .execute()
        ).map((row) => row.location_id),
  );
  const faults = new Map<number, Fault>();
  for (const { clientId, locationId } of writes) {
    const state = states.get(clientId);
    const gone = state && goneFault(state);
    if (gone) faults.set(clientId, gone);
    else if (!state && clientId >= provisionalClientIdFloor) {
      faults.set(
        clientId,
        wrong('client_id', "ids from 2^40 upward are Omega's own; take the host's", 'too_large'),
      );
    } else if (locationId != null && !locations.has(locationId)) {
      faults.set(
        clientId,
        wrong(
          'location_id',
          'is no location of the business; add it with POST /business/onboard',
          'not_found',
        ),
      );
    }
  }
  return faults;
}

function wrong(path: string, message: string, code: FieldFault['code']): Fault {
  return new Fault('invalid_parameters', `${path}: ${message}`, { errors: [{ path, message, code }] });
}

function goneFault(state: Pick<ClientState, 'merged_into' | 'erased_at'>): Fault | undefined {
  if (state.merged_into !== null) {
    return new Fault('conflict', `This client was merged into ${state.merged_into}. Write to that id.`);
  }
  return state.erased_at === null ? undefined : erasedClient();
}

/** @returns the ids that were not there before */
async function insertStubs(
  tx: Tx,
  now: Date,
  businessId: number,
  writes: ClientWrite[],
): Promise<Set<number>> {
  if (writes.length === 0) return new Set();
  const ids = writes.map((write) => write.clientId).sort((a, b) => a - b);
  const { rows } = await sql<{ client_id: number }>`
    insert into clients (business_id, client_id, created_at, updated_at)
    select ${businessId}::bigint, id, ${now}, ${now} from unnest(${ids}::bigint[]) as id order by id
    on conflict do nothing returning client_id`.execute(tx);
  return new Set(rows.map((row) => row.client_id));
}

async function lockClients(
  tx: Tx,
  businessId: number,
  writes: ClientWrite[],
): Promise<Map<number, ClientState>> {
  if (writes.length === 0) return new Map();
  const { rows } = await sql<ClientState>`
    select client_id, name, location_id, time_zone, language, tags, metadata, merged_into, erased_at
    from clients where business_id = ${businessId} and client_id = any(${writes.map((write) => write.clientId)}::bigint[])
    order by client_id for no key update`.execute(tx);
  return new Map(rows.map((row) => [row.client_id, row]));
}

function changedBy(write: ClientWrite, state: ClientState, plan: AddressPlan): Changed {
  const changed: Changed = {};
  const compare = (field: string, from: unknown, to: unknown) => {
    if (to !== undefined && canonical(from) !== canonical(to)) changed[field] = { from, to };
  };
  compare('name', state.name, write.name);
  compare('location_id', state.location_id, write.locationId);
  compare('time_zone', state.time_zone, write.timeZone);
  compare('language', state.language, write.language);
  compare('tags', state.tags, write.tags);
  compare('metadata', state.metadata, write.metadata);
  compare('phones', plan.before.phone, write.phones);
  compare('emails', plan.before.email, write.emails);
  return changed;
}

/** Objects are the same whatever the order of their fields (jsonb keeps none). */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

async function saveClients(
  tx: Tx,
  now: Date,
  businessId: number,
  changes: { write: ClientWrite; state: ClientState; plan: AddressPlan }[],
): Promise<void> {
  if (changes.length === 0) return;
  const kept = <T>(told: T | undefined, there: T) => (told === undefined ? there : told);
  const rows = changes.map(({ write, state, plan }) => {
    const name = kept(write.name, state.name);
    const addresses = (['phone', 'email', 'other'] as AddressKind[]).flatMap((kind) =>
      plan.after[kind].map((address) => ({ kind, address })),
    );
    return {
      id: write.clientId,
      name,
      sort_name: sortNameOf(name),
      words: lexemesOf(businessId, { name, addresses }),
      location_id: kept(write.locationId, state.location_id),
      time_zone: kept(write.timeZone, state.time_zone),
      language: kept(write.language, state.language),
      tags: kept(write.tags, state.tags),
      metadata: kept(write.metadata, state.metadata),
    };
  });
  await sql`
    update clients set name = w.name, sort_name = w.sort_name, location_id = w.location_id, time_zone = w.time_zone,
      language = w.language, tags = array(select jsonb_array_elements_text(w.tags)), metadata = w.metadata,
      search_words = array_to_tsvector(array(select jsonb_array_elements_text(w.words))), updated_at = ${now}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(id bigint, name text, sort_name text, words jsonb,
      location_id bigint, time_zone text, language text, tags jsonb, metadata jsonb)
    where clients.business_id = ${businessId} and clients.client_id = w.id`.execute(tx);
}
