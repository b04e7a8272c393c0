import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { newProvisionalClientId } from '../core/ids.ts';

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
  | { found: true; clientId: number; address: string | null; created: boolean; provisional: boolean }
  /** Named by an id that the business does not have, without an address to make one from. */
  | { found: false };

/**
 * Finds or makes the clients of many messages with a few statements for all. Safe under any
 * concurrency: who first writes to an unknown address inserts its row in `addresses`, and everyone
 * else waits there for the commit and then finds the client.
 *
 * Where several clients share an address (a parent and two children) and no id is given, it is the
 * one that was last heard from, host clients before provisional ones.
 */
export async function resolveClients(tx: Tx, now: Date, wanted: WantedClient[]): Promise<ResolvedClient[]> {
  const book = await readBook(tx, wanted);
  const unknown = wanted.filter((want) => want.address !== undefined && !isKnown(book, want));
  if (unknown.length > 0) await writeUnknown(tx, now, unknown, book);
  return wanted.map((want) => answerFor(book, want));
}

interface Link {
  clientId: number;
  provisional: boolean;
  lastSeen: number;
}

/** What is known of the clients and addresses at hand. */
interface Book {
  clients: Map<string, { provisional: boolean; primary: Map<AddressKind, string> }>;
  links: Map<string, Link[]>;
  created: Set<string>;
}

const clientKey = (businessId: number, clientId: number) => `${businessId} ${clientId}`;
const addressKey = (businessId: number, kind: string, address: string) => `${businessId} ${kind} ${address}`;

async function readBook(tx: Tx, wanted: WantedClient[]): Promise<Book> {
  const book: Book = { clients: new Map(), links: new Map(), created: new Set() };
  const rows = wanted.map((want) => ({
    b: want.businessId,
    c: want.clientId ?? null,
    k: want.kind,
    a: want.address ?? null,
  }));
  const found = await sql<{
    business_id: number;
    client_id: number;
    provisional: boolean;
    last_seen_at: Date | null;
    kind: AddressKind | null;
    address: string | null;
    is_primary: boolean | null;
  }>`
    with wanted as (select distinct * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(b bigint, c bigint, k text, a text)),
    named as (
      select b as business_id, c as client_id from wanted where c is not null
      union
      select l.business_id, l.client_id from wanted join client_addresses l
        on l.business_id = b and l.kind = k and l.address = a
    )
    select c.business_id, c.client_id, c.provisional, c.last_seen_at, l.kind, l.address, l.is_primary
    from named join clients c using (business_id, client_id)
    left join client_addresses l on l.business_id = c.business_id and l.client_id = c.client_id`.execute(tx);
  for (const row of found.rows) noteClient(book, row);
  return book;
}

function noteClient(
  book: Book,
  row: {
    business_id: number;
    client_id: number;
    provisional: boolean;
    last_seen_at: Date | null;
    kind: AddressKind | null;
    address: string | null;
    is_primary: boolean | null;
  },
): void {
  const key = clientKey(row.business_id, row.client_id);
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
  const again = await readBook(tx, unknown);
  for (const [key, client] of again.clients) book.clients.set(key, client);
  for (const [key, links] of again.links) book.links.set(key, links);

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
    book.links.set(at, [...(book.links.get(at) ?? []), { clientId, provisional, lastSeen: 0 }]);
  }
  if (clients.size > 0) {
    await tx
      .insertInto('clients')
      .values(
        [...clients.values()].map((client) => ({
          business_id: client.businessId,
          client_id: client.clientId,
          name: client.name ?? null,
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
  }
}

function answerFor(book: Book, want: WantedClient): ResolvedClient {
  let clientId = want.clientId;
  if (clientId === undefined) {
    const [best] = [...linksOf(book, want)].sort(
      (a, b) =>
        Number(a.provisional) - Number(b.provisional) || b.lastSeen - a.lastSeen || a.clientId - b.clientId,
    );
    clientId = best?.clientId;
  }
  const client = clientId === undefined ? undefined : book.clients.get(clientKey(want.businessId, clientId));
  if (clientId === undefined || !client) return { found: false };
  return {
    found: true,
    clientId,
    address: want.address ?? client.primary.get(want.kind) ?? null,
    created: book.created.has(clientKey(want.businessId, clientId)),
    provisional: client.provisional,
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
      location_id: stub.locationId,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('client_id')
    .executeTakeFirst();
  return made !== undefined;
}
