import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import { newProvisionalClientId } from '../core/ids.ts';
import { lexemesOf, sortNameOf, wordsSql } from './search-words.ts';
import { lastMessagedAt, type SharedAddress } from './shared.ts';

/** Which client a message is with: by id, by address, or by both (then the address becomes theirs). */
export interface WantedClient {
  businessId: number;
  clientId?: number;
  kind: AddressKind;
  /** Already normalised (E.164, lower-case mail). */
  address?: string;
  name?: string;
  locationId?: number | null;
}

export type ResolvedClient =
  | {
      found: true;
      clientId: number;
      address: string | null;
      created: boolean;
      provisional: boolean;
      /** Several clients have the address, and none was named: this is the likeliest. */
      shared: SharedAddress | null;
    }
  /** Named by an id that the business does not have, without an address to make one from; or erased. */
  | { found: false; erased: boolean };

/** Why there is no client: a 404, or a 409 for one that was erased. */
export function unknownClient(client: ResolvedClient & { found: false }, remedy: string): Fault {
  return client.erased ? erasedClient() : notFound('client', remedy);
}

export function erasedClient(): Fault {
  return new Fault(
    'conflict',
    'This client was erased: nothing can be sent to them or written about them. A person who comes back is a new client with a new id.',
  );
}

/**
 * Finds or makes the clients of many messages with a few statements for all. Safe under any
 * concurrency: who first writes to an unknown address inserts its row in `addresses`, and everyone
 * else waits there for the commit and then finds the client.
 *
 * Where several clients share an address (a parent and two children) and no id is given, it is the
 * one that was last written to there, else last heard from; host clients before provisional ones.
 *
 * A client merged into another is that other one. The rows found are locked against merging and
 * erasing until the transaction ends (`for key share`: writers do not hold each other up), so nothing
 * is written to a client who is gone by then.
 */
export async function resolveClients(tx: Tx, now: Date, wanted: WantedClient[]): Promise<ResolvedClient[]> {
  const book = newBook();
  await readBook(tx, wanted, book);
  const meant = wanted.map((want) => ({ ...want, clientId: survivorOf(book, want) }));
  const unknown = meant.filter(
    (want) => want.address !== undefined && !isErased(book, want) && !isKnown(book, want),
  );
  if (unknown.length > 0) await writeUnknown(tx, now, unknown, book);
  await rankShared(tx, book, meant);
  return meant.map((want) => answerFor(book, want));
}

interface Link {
  clientId: number;
  provisional: boolean;
  lastSeen: number;
  /** Only looked up where the address is shared. */
  lastMessaged: number;
}

/** What is known of the clients and addresses at hand. */
interface Book {
  clients: Map<string, { provisional: boolean; primary: Map<AddressKind, string> }>;
  links: Map<string, Link[]>;
  created: Set<string>;
  /** Merged clients, with whom they are now. */
  merged: Map<string, number>;
  erased: Set<string>;
}

const newBook = (): Book => ({
  clients: new Map(),
  links: new Map(),
  created: new Set(),
  merged: new Map(),
  erased: new Set(),
});

const clientKey = (businessId: number, clientId: number) => `${businessId} ${clientId}`;
const addressKey = (businessId: number, kind: string, address: string) => `${businessId} ${kind} ${address}`;

interface BookRow {
  business_id: number;
  client_id: number;
  provisional: boolean;
  last_seen_at: Date | null;
  merged_into: number | null;
  erased_at: Date | null;
  kind: AddressKind | null;
  address: string | null;
  is_primary: boolean | null;
}

async function readBook(tx: Tx, wanted: WantedClient[], book: Book): Promise<void> {
  const rows = wanted.map((want) => ({
    b: want.businessId,
    c: want.clientId ?? null,
    k: want.kind,
    a: want.address ?? null,
  }));
  for (const row of await lockNamed(tx, rows)) noteClient(book, row);
  // Those whom the merged ones are now; never merged themselves.
  const survivors = wanted.flatMap((want) => {
    const clientId = survivorOf(book, want);
    const isThere = clientId === want.clientId || book.clients.has(clientKey(want.businessId, clientId!));
    return isThere ? [] : [{ ...want, clientId }];
  });
  if (survivors.length > 0) await readBook(tx, survivors, book);
}

/**
 * Locks the clients who are named or have a wanted address, and reads their addresses. A row shows its client as they
 * are once they are locked, but the addresses beside it as they were before the wait: where the client changed in
 * between (an address went back with one who was unmerged), all is read again.
 */
async function lockNamed(
  tx: Tx,
  rows: { b: number; c: number | null; k: AddressKind; a: string | null }[],
): Promise<BookRow[]> {
  const found = await sql<BookRow & { changed: boolean }>`
    with wanted as (select distinct * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, c bigint, k text, a text)),
    named as (
      select b as business_id, c as client_id from wanted where c is not null
      union
      select l.business_id, l.client_id from wanted join client_addresses l
        on l.business_id = b and l.kind = k and l.address = a
    )
    select c.business_id, c.client_id, c.provisional, c.last_seen_at, c.merged_into, c.erased_at,
      l.kind, l.address, l.is_primary, c.updated_at <> seen.updated_at as changed
    from named join clients seen using (business_id, client_id) join clients c using (business_id, client_id)
    left join client_addresses l on l.business_id = c.business_id and l.client_id = c.client_id
    order by c.business_id, c.client_id
    for key share of c`.execute(tx);
  return found.rows.some((row) => row.changed) ? lockNamed(tx, rows) : found.rows;
}

function survivorOf(book: Book, want: WantedClient): number | undefined {
  if (want.clientId === undefined) return undefined;
  return book.merged.get(clientKey(want.businessId, want.clientId)) ?? want.clientId;
}

function isErased(book: Book, want: WantedClient): boolean {
  return want.clientId !== undefined && book.erased.has(clientKey(want.businessId, want.clientId));
}

function noteClient(book: Book, row: BookRow): void {
  const key = clientKey(row.business_id, row.client_id);
  if (row.merged_into !== null) {
    book.merged.set(key, row.merged_into);
    return;
  }
  if (row.erased_at !== null) {
    book.erased.add(key);
    return;
  }
  const client = book.clients.get(key) ?? { provisional: row.provisional, primary: new Map() };
  book.clients.set(key, client);
  if (row.kind === null || row.address === null) return;
  if (row.is_primary) client.primary.set(row.kind, row.address);
  const at = addressKey(row.business_id, row.kind, row.address);
  const links = book.links.get(at) ?? [];
  if (!links.some((link) => link.clientId === row.client_id)) {
    links.push({
      clientId: row.client_id,
      provisional: row.provisional,
      lastSeen: row.last_seen_at?.getTime() ?? 0,
      lastMessaged: 0,
    });
  }
  book.links.set(at, links);
}

function linksOf(book: Book, want: WantedClient): Link[] {
  return book.links.get(addressKey(want.businessId, want.kind, want.address ?? '')) ?? [];
}

function isKnown(book: Book, want: WantedClient): boolean {
  const links = linksOf(book, want);
  return want.clientId === undefined
    ? links.length > 0
    : links.some((link) => link.clientId === want.clientId);
}

async function writeUnknown(tx: Tx, now: Date, unknown: WantedClient[], book: Book): Promise<void> {
  // The rows that concurrent first contacts meet at, in one order everywhere.
  const addresses = [
    ...new Map(
      unknown.map((want) => [addressKey(want.businessId, want.kind, want.address!), want]),
    ).entries(),
  ]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, want]) => ({
      business_id: want.businessId,
      kind: want.kind,
      address: want.address!,
      created_at: now,
    }));
  await tx
    .insertInto('addresses')
    .values(addresses)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  // Whoever was first has committed by now, so what they made is seen by this second look.
  await readBook(tx, unknown, book);

  const clients = new Map<string, WantedClient & { clientId: number; provisional: boolean }>();
  const links = new Map<
    string,
    {
      business_id: number;
      kind: AddressKind;
      address: string;
      client_id: number;
      is_primary: boolean;
      created_at: Date;
    }
  >();
  for (const want of unknown) {
    if (isKnown(book, want)) continue;
    const clientId = want.clientId ?? newProvisionalClientId();
    const provisional = want.clientId === undefined;
    const key = clientKey(want.businessId, clientId);
    let client = book.clients.get(key);
    if (!client) {
      client = { provisional, primary: new Map() };
      book.clients.set(key, client);
      book.created.add(key);
      clients.set(key, { ...want, clientId, provisional });
    }
    const isPrimary = !client.primary.has(want.kind);
    if (isPrimary) client.primary.set(want.kind, want.address!);
    links.set(`${key} ${want.kind} ${want.address}`, {
      business_id: want.businessId,
      kind: want.kind,
      address: want.address!,
      client_id: clientId,
      is_primary: isPrimary,
      created_at: now,
    });
    const at = addressKey(want.businessId, want.kind, want.address!);
    book.links.set(at, [
      ...(book.links.get(at) ?? []),
      { clientId, provisional, lastSeen: 0, lastMessaged: 0 },
    ]);
  }
  const addressesOf = Map.groupBy(links.values(), (link) => clientKey(link.business_id, link.client_id));
  if (clients.size > 0) {
    await tx
      .insertInto('clients')
      .values(
        [...clients.entries()].map(([key, client]) => ({
          business_id: client.businessId,
          client_id: client.clientId,
          name: client.name ?? null,
          sort_name: sortNameOf(client.name ?? null),
          search_words: wordsSql(
            lexemesOf(client.businessId, {
              name: client.name ?? null,
              addresses: addressesOf.get(key) ?? [],
            }),
          ),
          location_id: client.locationId ?? null,
          provisional: client.provisional,
          created_at: now,
          updated_at: now,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  if (links.size > 0) {
    await tx
      .insertInto('client_addresses')
      .values([...links.values()])
      // Only the same link again is nothing new; a second primary address is a race, and tried again.
      .onConflict((conflict) => conflict.columns(['business_id', 'kind', 'address', 'client_id']).doNothing())
      .execute();
    const others = [...addressesOf].filter(([key]) => !clients.has(key)).map(([, theirs]) => theirs);
    await addWords(tx, others);
  }
}

/** Clients who were there before are found by their new addresses too. */
async function addWords(
  tx: Tx,
  theirs: { business_id: number; client_id: number; kind: AddressKind; address: string }[][],
): Promise<void> {
  if (theirs.length === 0) return;
  const rows = theirs.map((addresses) => ({
    b: addresses[0]!.business_id,
    c: addresses[0]!.client_id,
    words: lexemesOf(addresses[0]!.business_id, { name: null, addresses }),
  }));
  await sql`
    update clients set search_words = search_words || array_to_tsvector(array(select jsonb_array_elements_text(w.words)))
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, c bigint, words jsonb)
    where clients.business_id = w.b and clients.client_id = w.c`.execute(tx);
}

/** The host clients among those who share an address: a provisional one is nobody yet. */
function sharers(book: Book, want: WantedClient): Link[] {
  if (want.clientId !== undefined || want.address === undefined) return [];
  const hosts = linksOf(book, want).filter((link) => !link.provisional);
  return hosts.length > 1 ? hosts : [];
}

async function rankShared(tx: Tx, book: Book, wanted: WantedClient[]): Promise<void> {
  const shared = wanted.filter((want) => sharers(book, want).length > 0);
  const at = await lastMessagedAt(
    tx,
    shared.map((want) => ({ businessId: want.businessId, kind: want.kind, address: want.address! })),
  );
  for (const [i, want] of shared.entries()) {
    for (const link of sharers(book, want)) link.lastMessaged = at.get(`${i} ${link.clientId}`) ?? 0;
  }
}

function answerFor(book: Book, want: WantedClient): ResolvedClient {
  let clientId = want.clientId;
  let shared: SharedAddress | null = null;
  if (clientId === undefined) {
    const [best] = [...linksOf(book, want)].sort(
      (a, b) =>
        Number(a.provisional) - Number(b.provisional) ||
        b.lastMessaged - a.lastMessaged ||
        b.lastSeen - a.lastSeen ||
        a.clientId - b.clientId,
    );
    clientId = best?.clientId;
    if (best && sharers(book, want).length > 0) {
      const reason = best.lastMessaged > 0 ? 'last_messaged' : 'last_seen';
      shared = { kind: want.kind, address: want.address!, reason };
    }
  }
  const client = clientId === undefined ? undefined : book.clients.get(clientKey(want.businessId, clientId));
  if (clientId === undefined || !client) return { found: false, erased: isErased(book, want) };
  return {
    found: true,
    clientId,
    address: want.address ?? client.primary.get(want.kind) ?? null,
    created: book.created.has(clientKey(want.businessId, clientId)),
    provisional: client.provisional,
    shared,
  };
}

/**
 * Makes a client of whom only the name is known, where they are not there yet; an existing one keeps theirs.
 *
 * @returns whether they were made now
 */
export async function upsertStub(
  tx: Tx,
  now: Date,
  stub: { businessId: number; clientId: number; name: string; locationId: number | null },
): Promise<boolean> {
  const made = await tx
    .insertInto('clients')
    .values({
      business_id: stub.businessId,
      client_id: stub.clientId,
      name: stub.name,
      sort_name: sortNameOf(stub.name),
      search_words: wordsSql(lexemesOf(stub.businessId, { name: stub.name, addresses: [] })),
      location_id: stub.locationId,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('client_id')
    .executeTakeFirst();
  return made !== undefined;
}
