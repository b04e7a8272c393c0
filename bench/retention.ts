/**
 * What it costs to take the content of old messages away, on a real Postgres: `node bench/retention.ts [messages]`.
 * Prints the plan of the statement that finds them, and how long a batch takes as the run goes on.
 */
import { sql } from 'kysely';
import { type Db, inTransaction, migrate, openDatabase } from '../server/core/db/index.ts';
import { purgeBatch } from '../server/retention/purge.ts';
import { startPostgres } from '../test/support/postgres.ts';

const total = Number(process.argv[2] ?? 300_000);
/** Two businesses of the same size: what is purged of the one, the other's rows stand beside. */
const [purged, other] = [1001, 2002];
/** Old, and still waiting to be sent: each run passes them. */
const waiting = 2_000;
const now = new Date('2026-11-01T00:00:00Z');
const days = 365;

const postgres = await startPostgres(['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB']);
try {
  const url = await postgres.createDatabase('bench');
  const database = await openDatabase(
    { kind: 'postgres', url, poolSize: 4, queryTimeoutMs: 900_000 },
    () => undefined,
  );
  const { db } = database;
  await migrate(db);
  // Filling takes longer than any request may.
  await unhurried(async (slow) => {
    for (const businessId of [purged, other]) await fill(slow, businessId);
    await sql`vacuum analyze`.execute(slow);
  });
  await sql`insert into retention (business_id, message_days, created_at, updated_at) values (${purged}, ${days}, ${now}, ${now})`.execute(
    db,
  );
  await showPlan('before the run', null);

  const times: number[] = [];
  for (let more = true; more; ) {
    const began = performance.now();
    more = await inTransaction(db, (tx) => purgeBatch(tx, now, purged));
    times.push(performance.now() - began);
    if (times.length === Math.floor(total / 800)) {
      const { rows } = await sql<{ at: string }>`select run_at::text as at from retention`.execute(db);
      await showPlan('halfway through', rows[0]!.at);
    }
  }
  const quarter = Math.floor(times.length / 4);
  const parts = [0, 1, 2, 3].map((i) => median(times.slice(i * quarter, (i + 1) * quarter)).toFixed(0));
  const sum = times.reduce((one, next) => one + next, 0);
  console.log(
    `${times.length} batches of ${total} messages, half of them old: ${(sum / 1000).toFixed(0)} s; a batch took ${parts.join(', ')} ms (medians of the quarters), ${Math.max(...times).toFixed(0)} at most`,
  );
  await showPlan('the next run, before any vacuum', null);
  const again = performance.now();
  let batches = 1;
  while (await inTransaction(db, (tx) => purgeBatch(tx, now, purged))) batches++;
  console.log(
    `the next run, past what waits: ${batches} batches, ${(performance.now() - again).toFixed(0)} ms`,
  );
  await unhurried((slow) => sql`vacuum`.execute(slow));
  await showPlan('the next run, after a vacuum', null);
  const { rows } = await sql<{ left: number; words: number; kept: number }>`
    select count(*) filter (where business_id = ${purged} and content <> '[erased]')::int as left,
      (select count(*) from message_words where business_id = ${purged})::int as words,
      count(*) filter (where business_id = ${other} and content <> '[erased]')::int as kept from messages`.execute(
    db,
  );
  console.log(rows[0]);
  await database.close();

  async function unhurried(act: (slow: Db) => Promise<unknown>): Promise<void> {
    await db.connection().execute(async (slow) => {
      await sql`set statement_timeout = 0`.execute(slow);
      await act(slow);
      await sql`reset statement_timeout`.execute(slow);
    });
  }

  /** Half of the messages are older than the policy's days. */
  async function fill(slow: Db, businessId: number): Promise<void> {
    const statements = [
      sql`insert into businesses (business_id, name, country, time_zone, created_at, updated_at)
        values (${businessId}, 'Bench', 'US', 'America/New_York', ${now}, ${now})`,
      sql`insert into clients (business_id, client_id, created_at, updated_at)
        select ${businessId}::bigint, c, ${now}::timestamptz, ${now}::timestamptz from generate_series(1, ${total / 100}) c`,
      sql`insert into conversations (business_id, conversation_id, client_id, status, last_activity_at, created_at, updated_at)
        select ${businessId}::bigint, gen_random_uuid(), client_id, 'open', ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
        from clients where business_id = ${businessId}`,
      sql`insert into messages (business_id, message_id, conversation_id, client_id, channel, direction, status, content,
          from_address, to_address, sender_type, provider, provider_message_id, attempts, occurred_at, created_at, sent_at)
        select ${businessId}::bigint, gen_random_uuid(), v.conversation_id, v.client_id, 'sms', 'outbound',
          case when n <= ${waiting} then 'queued' else 'delivered' end,
          'See you tomorrow at nine in the studio, and please bring your own mat ' || n, '+15005550006', '+1202' || n, 'system',
          'simulator', ${String(businessId)} || '-' || n, 1, at, at, case when n > ${waiting} then at end
        from (select n, ${now}::timestamptz - make_interval(secs => (1 - n::float / ${total}) * 2 * ${days} * 86400) as at,
            n % ${total / 100} + 1 as c from generate_series(1, ${total}) n) m
        join conversations v on v.business_id = ${businessId} and v.client_id = m.c`,
      sql`insert into message_words (business_id, message_id, occurred_at, channel, direction, words)
        select business_id, message_id, occurred_at, channel, direction, to_tsvector('simple', content) from messages where business_id = ${businessId}`,
      sql`insert into attempts (business_id, message_id, attempt_no, state, provider, provider_message_id, claimed_at, settled_at)
        select business_id, message_id, 1, 'accepted', provider, provider_message_id, occurred_at, occurred_at from messages where business_id = ${businessId}`,
      sql`insert into message_timeline (business_id, message_id, entry_id, kind, at, data)
        select business_id, message_id, gen_random_uuid(), kind, occurred_at, '{"status": "sent", "sender": "+15005550006"}'
        from messages, unnest(array['queued', 'attempt.claimed', 'status.delivered']) kind where business_id = ${businessId}`,
      sql`insert into carrier_events (carrier_event_id, provider, kind, business_id, provider_message_id, message_id, payload, state, received_at, settled_at)
        select gen_random_uuid(), provider, 'status', business_id, provider_message_id, message_id, '{"status": "delivered"}', 'applied', occurred_at, occurred_at
        from messages where business_id = ${businessId}`,
    ];
    for (const statement of statements) await statement.execute(slow);
  }

  async function showPlan(when: string, after: string | null): Promise<void> {
    const place =
      after === null
        ? sql``
        : sql`and (occurred_at, message_id) > (${after}::timestamptz, '00000000-0000-0000-0000-000000000000')`;
    const { rows } = await sql<{ 'QUERY PLAN': string }>`
      explain (analyze, buffers, costs off) select message_id, occurred_at::text as at from message_words
      where business_id = ${purged} and occurred_at < ${new Date(now.getTime() - days * 86_400_000)} ${place}
      order by occurred_at, message_id limit 200`.execute(db);
    console.log(`\n${when}:\n${rows.map((row) => `  ${row['QUERY PLAN']}`).join('\n')}\n`);
  }
} finally {
  await postgres.stop();
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
