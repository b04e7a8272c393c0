/**
 * Searches and lists 200,000 clients of one business beside 200,000 of another, on a real Postgres:
 * `node bench/list-clients.ts [clients]`. Prints how long each page takes and what its plan scans.
 */
import { sql } from 'kysely';
import { clientsPage, hitsQuery, listClients } from '../server/clients/list.ts';
import { lexemesOf, queryOf, sortNameOf } from '../server/clients/search-words.ts';
import { migrate, openDatabase } from '../server/core/db/index.ts';
import { startPostgres } from '../test/support/postgres.ts';

const clients = Number(process.argv[2] ?? 200_000);
const given = ['Ana', 'José', 'Mia', 'Łukasz', 'Siobhán', 'Noah', 'Zoë', 'Wei', 'Amara', 'Olga'];
const family = ['Lima', 'Núñez', 'Chen', "O'Brien", 'Okafor', 'Groß', 'Smith', 'Ivanova', 'Sato', 'Diaz'];

const postgres = await startPostgres();
const database = await openDatabase(
  { kind: 'postgres', url: await postgres.createDatabase('bench'), poolSize: 2 },
  (error) => console.error(error.message),
);
const { db } = database;
await migrate(db);
for (const businessId of [1001, 1002]) {
  await sql`insert into businesses values (${businessId}, 'B', 'US', 'UTC', 0, now(), now())`.execute(db);
  for (let from = 0; from < clients; from += 5_000) {
    const rows = Array.from({ length: Math.min(5_000, clients - from) }, (_, i) => {
      const id = from + i + 1;
      const name = `${given[id % 10]} ${family[Math.floor(id / 10) % 10]} ${id.toString(36)}`;
      const addresses = [
        { kind: 'phone' as const, address: `+1${2_020_000_000 + id}` },
        { kind: 'email' as const, address: `client${id}@example.com` },
      ];
      return {
        id,
        name,
        sort: sortNameOf(name),
        words: lexemesOf(businessId, { name, addresses }),
        phone: addresses[0]!.address,
        email: addresses[1]!.address,
      };
    });
    const given_ = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(id bigint, name text, sort text, words jsonb, phone text, email text)`;
    await sql`insert into clients (business_id, client_id, name, sort_name, search_words, created_at, updated_at, last_seen_at)
      select ${businessId}::bigint, id, name, sort, array_to_tsvector(array(select jsonb_array_elements_text(words))),
        now() - id * interval '1 second', now(), case when id % 3 = 0 then now() - id * interval '1 minute' end from ${given_}`.execute(
      db,
    );
    for (const kind of ['phone', 'email']) {
      await sql`insert into addresses select ${businessId}::bigint, ${kind}, ${sql.ref(kind)}, now() from ${given_}`.execute(
        db,
      );
      await sql`insert into client_addresses select ${businessId}::bigint, ${kind}, ${sql.ref(kind)}, id, true, now() from ${given_}`.execute(
        db,
      );
    }
  }
}
await sql`analyze`.execute(db);

const words = (q: string, phone: string | null = null) => ({ words: queryOf(1001, q, phone)! });
const cases = [
  ['by name', {}, 'name'],
  ['by last seen', {}, 'last_seen'],
  ['newest', {}, 'newest'],
  ['q=ana', words('ana'), 'name'],
  ['q=a', words('a'), 'name'],
  ['q=jose nun', words('jose nun'), 'name'],
  ['q=rare word', words('4f00'), 'name'],
  ['q=phone', words('(202) 012-3456', '+12020123456'), 'name'],
  ['q=phone begun', words('+120201234'), 'newest'],
  ['q=mail begun', words('client12345@ex'), 'name'],
  ['unread', { hasUnread: true }, 'name'],
  ['opted out', { optedOut: 'sms' }, 'name'],
] as const;

for (const [name, filters, sort] of cases) {
  const times: number[] = [];
  let found = 0;
  for (let i = 0; i < 5; i++) {
    const at = performance.now();
    found = (await listClients(db, 1001, filters, sort, 25, null)).length;
    times.push(performance.now() - at);
  }
  const query =
    'words' in filters ? hitsQuery(1001, filters.words) : clientsPage(1001, filters, sort, 25, null);
  const { rows } = await sql<{ 'QUERY PLAN': string }>`explain ${query}`.execute(db);
  const scans = rows
    .map((row) => row['QUERY PLAN'].match(/(\w[\w ]* Scan (?:using|on) [\w ]+)/)?.[1])
    .filter((scan) => scan && /clients_|Seq Scan on clients|consents|conversations/.test(scan));
  console.log(
    `${name}: ${found} rows, ${Math.min(...times).toFixed(1)} ms; ${[...new Set(scans)].join('; ')}`,
  );
}
await database.close();
await postgres.stop();
