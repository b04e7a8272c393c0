/**
 * Search in a business of a million messages, on a real Postgres: `node bench/search.ts [messages]`.
 * Prints the median and the slowest of each kind of query, in milliseconds.
 */
import { sql } from 'kysely';
import { migrate, openDatabase } from '../server/core/db/index.ts';
import { newId } from '../server/core/ids.ts';
import { readSearch, searchMessages, tsvectorOf } from '../server/messages/index.ts';
import { startPostgres } from '../test/support/postgres.ts';

const total = Number(process.argv[2] ?? 1_000_000);
const businessId = 1001;
const perConversation = 200;
const rounds = 15;

const common = [
  'appointment',
  'tomorrow',
  'please',
  'thanks',
  'class',
  'time',
  'confirm',
  'see',
  'you',
  'the',
];
const wordAt = (rank: number) => common[rank] ?? `word${rank.toString(36)}`;

/** Words as in speech: the n-th most frequent comes about 1/n times as often (Zipf). */
function text(): string {
  const length = 6 + Math.floor(Math.random() * 18);
  return Array.from({ length }, () => wordAt(Math.floor(20_000 ** Math.random()) - 1)).join(' ');
}

const postgres = await startPostgres(['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB']);
try {
  const url = await postgres.createDatabase('bench');
  const database = await openDatabase(
    // Making the index takes longer than any request may.
    { kind: 'postgres', url, poolSize: 4, queryTimeoutMs: 900_000 },
    () => undefined,
  );
  const { db } = database;
  await migrate(db);
  await fill();
  await measure();
  await database.close();

  async function fill(): Promise<void> {
    const started = performance.now();
    const now = new Date('2026-01-01T00:00:00Z');
    await sql`insert into businesses (business_id, name, country, time_zone, created_at, updated_at)
      values (${businessId}, 'Bench', 'US', 'America/New_York', ${now}, ${now})`.execute(db);
    await sql`drop index message_words_found`.execute(db);
    const conversations: string[] = [];
    for (let at = 0; at < total; at += 5_000) {
      const rows = Array.from({ length: Math.min(5_000, total - at) }, (_, i) => {
        const n = at + i;
        const client = 1 + (n % Math.ceil(total / perConversation));
        conversations[client] ??= newId();
        const content = text();
        return {
          m: newId(),
          v: conversations[client],
          c: client,
          t: content,
          w: tsvectorOf(businessId, null, content),
          at: new Date(now.getTime() + n * 1000),
        };
      });
      const given = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(m uuid, v uuid, c bigint, t text, w text, at timestamptz)`;
      await sql`insert into clients (business_id, client_id, created_at, updated_at)
        select distinct ${businessId}::bigint, c, ${now}::timestamptz, ${now}::timestamptz from ${given} on conflict do nothing`.execute(
        db,
      );
      await sql`insert into conversations (business_id, conversation_id, client_id, status, last_activity_at, created_at, updated_at)
        select distinct ${businessId}::bigint, v, c, 'open', ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz from ${given} on conflict do nothing`.execute(
        db,
      );
      await sql`insert into messages (business_id, message_id, conversation_id, client_id, channel, direction, status, content, sender_type, occurred_at, created_at)
        select ${businessId}, m, v, c, 'sms', 'inbound', 'received', t, 'client', at, at from ${given}`.execute(
        db,
      );
      await sql`insert into message_words (business_id, message_id, occurred_at, channel, direction, words)
        select ${businessId}, m, at, 'sms', 'inbound', w::tsvector from ${given}`.execute(db);
    }
    await db.connection().execute(async (one) => {
      await sql`set statement_timeout = 0`.execute(one);
      await sql`create index message_words_found on message_words using gin (words)`.execute(one);
      await sql`vacuum analyze`.execute(one);
      await sql`set statement_timeout = 15000`.execute(one);
    });
    console.log(`${total} messages written in ${Math.round((performance.now() - started) / 1000)} s`);
  }

  async function measure(): Promise<void> {
    const conversation = await db.selectFrom('conversations').select('conversation_id').executeTakeFirst();
    const queries: [string, string][] = [
      ['a word of every third message', 'appointment '],
      ['one of 1 in 60', `${wordAt(60)} `],
      ['one of 1 in 1,500', `${wordAt(1500)} `],
      ['one of 1 in 15,000', `${wordAt(15_000)} `],
      ['a word that is not there', 'absent '],
      ['two common words', 'appointment confirm '],
      ['a common and a rare word', `appointment ${wordAt(9000)} `],
      ['a phrase of common words', '"see you tomorrow"'],
      ['a short prefix', 'wo'],
      ['a prefix', 'appoi'],
      ['a rare prefix', wordAt(9000).slice(0, -1)],
      ['a common word without another', 'appointment -tomorrow '],
      ['two common words that seldom meet', `${wordAt(20)} ${wordAt(40)} ${wordAt(70)} `],
    ];
    for (const sort of ['newest', 'relevance'] as const) {
      console.log(`\n${sort}${' '.repeat(34 - sort.length)}found  median  slowest`);
      for (const [what, q] of queries) report(what, await time(q, sort));
      report('in one conversation', await time('appoi', sort, conversation?.conversation_id));
    }
  }

  async function time(q: string, sort: 'newest' | 'relevance', conversationId?: string) {
    const times: number[] = [];
    let found = 0;
    for (let i = 0; i < rounds; i++) {
      const started = performance.now();
      const search = { businessId, conversationId, terms: readSearch(q) };
      found = (await searchMessages(db, search, sort, 25, null)).length;
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    return { found, median: times[rounds >> 1]!, slowest: times.at(-1)! };
  }
} finally {
  await postgres.stop();
}

function report(
  what: string,
  { found, median, slowest }: { found: number; median: number; slowest: number },
) {
  console.log(
    `${what.padEnd(34)}${String(found).padStart(5)}${median.toFixed(1).padStart(8)}${slowest.toFixed(1).padStart(9)}`,
  );
}
