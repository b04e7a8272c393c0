/**
 * What staff read all day, over HTTP on a real Postgres, in a business of 100,000 clients and a million
 * messages beside one of a thousand clients: `node bench/inbox.ts [clients]`. A page's cost should be the
 * page's: prints the median of each request in both, in milliseconds, and the ratio between them.
 */
import { sql } from 'kysely';
import { lexemesOf, sortNameOf } from '../server/clients/search-words.ts';
import { defaultLimits } from '../server/core/http/index.ts';
import { lotus } from '../test/support/lotus.ts';
import { startOmega } from '../test/support/omega.ts';
import { startPostgres } from '../test/support/postgres.ts';

const large = { id: 1001, clients: Number(process.argv[2] ?? 100_000) };
const small = { id: 1002, clients: 1_000 };
const messagesEach = 10;
/** The first client of each has written for years. */
const longThread = 20_000;
const rounds = 9;

const given = ['Ana', 'José', 'Mia', 'Łukasz', 'Siobhán', 'Noah', 'Zoë', 'Wei', 'Amara', 'Olga'];
const family = ['Lima', 'Núñez', 'Chen', "O'Brien", 'Okafor', 'Groß', 'Smith', 'Ivanova', 'Sato', 'Diaz'];

const postgres = await startPostgres(['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB']);
const url = await postgres.createDatabase('bench');
const unlimited = Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, 1_000_000]));
const omega = await startOmega({
  database: { kind: 'postgres', url, poolSize: 4 },
  realTime: true,
  limits: unlimited as unknown as typeof defaultLimits,
});
const { db } = omega.omega.database;
try {
  const keys = new Map<number, string>();
  for (const business of [large, small]) {
    const started = performance.now();
    const { key } = await omega.business({
      business_id: business.id,
      locations: Array.from({ length: 20 }, (_, i) => ({ location_id: i + 1, name: `Studio ${i + 1}` })),
      staffs: Array.from({ length: 50 }, (_, i) => ({ staff_id: i + 1, name: `${given[i % 10]} ${i}` })),
      senders: [{ ...lotus.senders![0]!, address: `+1500555${business.id}` }],
    });
    keys.set(business.id, key);
    await fill(business.id, business.clients);
    console.log(`${business.clients} clients made in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
  await sql`vacuum analyze`.execute(db);
  await measure(keys);
} finally {
  await omega.close();
  await postgres.stop();
}

async function fill(businessId: number, clients: number): Promise<void> {
  for (let from = 0; from < clients; from += 10_000) {
    const rows = Array.from({ length: Math.min(10_000, clients - from) }, (_, i) => {
      const id = from + i + 1;
      const name = `${given[Math.floor(id / 100) % 10]} ${family[Math.floor(id / 1_000) % 10]} ${id.toString(36)}`;
      const phone = `+1${2_020_000_000 + id}`;
      const email = `client${id}@example.com`;
      const addresses = [
        { kind: 'phone' as const, address: phone },
        { kind: 'email' as const, address: email },
      ];
      return {
        id,
        name,
        sort: sortNameOf(name),
        words: lexemesOf(businessId, { name, addresses }),
        phone,
        email,
      };
    });
    const told = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as w(id bigint, name text, sort text, words jsonb, phone text, email text)`;
    await sql`insert into clients (business_id, client_id, name, sort_name, search_words, location_id, created_at, updated_at, last_seen_at)
      select ${businessId}::bigint, id, name, sort, array_to_tsvector(array(select jsonb_array_elements_text(words))), 1 + id % 20,
        now() - id * interval '1 second', now(), case when id % 3 = 0 then now() - id * interval '1 minute' end from ${told}`.execute(
      db,
    );
    for (const kind of ['phone', 'email']) {
      await sql`insert into addresses select ${businessId}::bigint, ${kind}, ${sql.ref(kind)}, now() from ${told}`.execute(
        db,
      );
      await sql`insert into client_addresses select ${businessId}::bigint, ${kind}, ${sql.ref(kind)}, id, true, now() from ${told}`.execute(
        db,
      );
    }
    await sql`
      insert into conversations (business_id, conversation_id, client_id, status, assignee_staff_id, location_id,
        last_activity_at, last_message_at, channels, unread_count, waiting_since, created_at, updated_at)
      select ${businessId}::bigint, uuidv7(), id,
        case when id % 100 = 1 then 'pending' when id % 100 = 2 then 'snoozed' when id % 100 < 40 then 'closed' else 'open' end,
        case when id % 10 > 2 then 1 + id % 50 end, 1 + id % 20,
        now() - id * interval '1 minute', now() - id * interval '1 minute',
        case when id = ${sql.lit(clients)} then '{webchat}'::text[] when id % 3 = 0 then '{sms,email}'::text[] else '{sms}'::text[] end,
        case when id % 50 = 41 then 1 else 0 end, case when id % 50 = 41 then now() - id * interval '1 minute' end, now(), now()
      from ${told}`.execute(db);
  }
  for (let from = 0; from < clients; from += 5_000) {
    const some = sql`c.business_id = ${businessId} and c.client_id > ${from} and c.client_id <= ${from + 5_000}`;
    await sql`
      with m as (
        insert into messages (business_id, message_id, conversation_id, client_id, channel, direction, status, content,
          sender_type, from_address, to_address, unread, occurred_at, created_at)
        select c.business_id, uuidv7(), c.conversation_id, c.client_id, 'sms', case when n % 3 = 0 then 'inbound' else 'outbound' end,
          case when n % 3 = 0 then 'received' else 'delivered' end, 'See you at 9 tomorrow, number ' || n, 'system',
          '+15005550006', '+12025550123', n = 0 and c.unread_count > 0, c.last_activity_at - n * interval '1 hour', now()
        from conversations c,
          generate_series(0, case when c.client_id = 1 then ${sql.lit(longThread)} else ${sql.lit(messagesEach)} end - 1) n
        where ${some} returning message_id, conversation_id, occurred_at
      )
      update conversations c set last_message_id = m.message_id from m
      where ${some} and m.conversation_id = c.conversation_id and m.occurred_at = c.last_activity_at`.execute(
      db,
    );
  }
  await sql`
    insert into consents (business_id, consent_id, channel, address, category, state, source, evidence, client_id, created_at)
    select ${businessId}::bigint, uuidv7(), 'sms', '+1' || (2020000000 + id), case when id % 2 = 0 then 'all' else 'marketing' end,
      case when id % 20 = 0 then 'revoked' else 'granted' end, 'api', '{}', id, now()
    from generate_series(2, ${sql.lit(clients)}, 2) id`.execute(db);
}

async function measure(keys: Map<number, string>): Promise<void> {
  const conversationOf = async (businessId: number, clientId: number) => {
    const { rows } = await sql<{ conversation_id: string }>`
      select conversation_id from conversations where business_id = ${businessId} and client_id = ${clientId}`.execute(
      db,
    );
    return rows[0]!.conversation_id;
  };
  const conversations = 'conversations?limit=25';
  const clients = 'clients?limit=25';
  const cases: [string, string | ((businessId: number) => Promise<string>)][] = [
    ['conversations', conversations],
    ...[
      ...[
        'status=open',
        'status=pending',
        'status=closed',
        'assignee=unassigned',
        'assignee=7',
        'location_id=3',
      ],
      ...['unread=true', 'unread=false', 'waiting=true', 'waiting=false', 'sort=longest_waiting'],
      ...[
        'channel=sms',
        'channel=webchat',
        'channel=fax',
        'client=ana',
        'client=4f',
        'client=(202)%20000-0123',
      ],
      ...[
        'client=client123@',
        'status=pending&assignee=7',
        'status=snoozed&location_id=3',
        'unread=true&assignee=8',
      ],
      ...['since=2999-01-01T00:00:00Z'],
    ].map((query): [string, string] => [
      `conversations, ${decodeURIComponent(query)}`,
      `${conversations}&${query}`,
    ]),
    ['filters', 'conversations/filters'],
    ['clients', clients],
    ...[
      ...[
        'sort=last_seen',
        'sort=newest',
        'q=ana',
        'q=jose%20nun',
        'q=4f',
        'q=(202)%20000-0123',
        'q=client123@',
      ],
      ...['location_id=3', 'provisional=true', 'provisional=false', 'has_unread=true', 'has_unread=false'],
      ...[
        'opted_out=sms',
        'opted_out=email',
        'q=ana&opted_out=sms',
        'q=ana&has_unread=true',
        'sort=newest&opted_out=sms',
      ],
    ].map((query): [string, string] => [`clients, ${decodeURIComponent(query)}`, `${clients}&${query}`]),
    ...[
      '',
      '?status=scheduled',
      '?status=failed',
      '?direction=inbound',
      '?channel=email',
      '?order=oldest',
    ].map((query): [string, string] => [`messages of the business ${query}`, `messages${query}`]),
    ['profile', 'clients/500'],
    ['profile of a long thread', 'clients/1'],
    ['messages', async (b) => `clients/500/conversations/${await conversationOf(b, 500)}/messages`],
    ...[
      ...[
        '',
        '?channel=email',
        '?direction=inbound',
        '?unread=true',
        '?status=failed',
        '?text=number%2019999',
      ],
      ...['?sent_by=7', '?order=oldest'],
    ].map((query): [string, (b: number) => Promise<string>] => [
      `messages of a long thread ${decodeURIComponent(query)}`,
      async (b) => `clients/1/conversations/${await conversationOf(b, 1)}/messages${query}`,
    ]),
    ['staffs', 'staffs?q=ana'],
    ['staff', 'staffs/7'],
    ['consents', 'consents?limit=25'],
    ['export, a page', 'clients/500/export'],
  ];
  const medianOf = async (businessId: number, path: (typeof cases)[number][1]) => {
    const api = omega.as(keys.get(businessId)!);
    const at = `/businesses/${businessId}/${typeof path === 'string' ? path : await path(businessId)}`;
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const from = performance.now();
      const { status, body } = await api.get(at);
      times.push(performance.now() - from);
      if (status !== 200) throw new Error(`${at}: ${status} ${JSON.stringify(body)}`);
    }
    return times.sort((a, b) => a - b)[Math.floor(rounds / 2)]!;
  };
  for (const [name, path] of cases) {
    const [of, ofSmall] = [await medianOf(large.id, path), await medianOf(small.id, path)];
    console.log(
      `${name.padEnd(48)} ${of.toFixed(1).padStart(7)} ${ofSmall.toFixed(1).padStart(7)} ${(of / ofSmall).toFixed(1).padStart(6)}`,
    );
  }
}
