import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import { type Fragment, highlight } from './highlight.ts';
import { messagesById, type ShownMessage } from './queries.ts';
import { type SearchTerm, tsqueryOf } from './search-query.ts';

export interface Search {
  businessId: number;
  /** Only this conversation; the whole business when left out. */
  conversationId?: string;
  terms: SearchTerm[];
  channel?: string;
  direction?: 'inbound' | 'outbound' | 'internal';
  since?: Date;
  until?: Date;
}

/** Where a page ended: its last message's time, and with relevance its rank and where the ranked ones begin. */
export type Place =
  | { sort: 'newest'; at: string; messageId: string }
  | { sort: 'relevance'; rank: number; messageId: string; newestAt: string; newestId: string };

export interface Found {
  row: ShownMessage;
  place: Place;
}

type MessagePlace = { at: string; messageId: string };

interface Hit {
  message_id: string;
  occurred_at: Date;
  rank: number;
}

/** Messages of one conversation that are looked through. */
const mostOfConversation = 20_000;
/** Newest messages that are looked through before the index is asked. */
const walkForPage = 2_000;
const walkForRanking = 10_000;
/** Matches that are ranked against each other; so many found in the walk are enough. */
const mostRanked = 1_000;
const enoughRanked = 50;

/**
 * A page of what matches, and one more. Words that are everywhere are found among the newest messages
 * within a short walk; words that are not there are rare enough for the index to list. Either alone
 * would read a great part of a large business: the index for "appointment", the walk for a surname.
 *
 * @param db the one for searches, whose statements are ended when they take too long
 */
export async function searchMessages(
  db: Db,
  search: Search,
  sort: 'newest' | 'relevance',
  limit: number,
  after: Place | null,
): Promise<Found[]> {
  const hits =
    sort === 'newest'
      ? await newest(db, search, limit + 1, after?.sort === 'newest' ? after : null, walkForPage)
      : await ranked(db, search, limit + 1, after?.sort === 'relevance' ? after : null);
  const rows = await messagesById(
    db,
    search.businessId,
    hits.map((hit) => hit.message_id),
  );
  return hits.flatMap(({ place, message_id }) => {
    const row = rows.get(message_id);
    return row ? [{ row, place }] : [];
  });
}

type HitWithPlace = Hit & { place: Place };

async function newest(
  db: Db,
  search: Search,
  most: number,
  before: MessagePlace | null,
  walk: number,
): Promise<HitWithPlace[]> {
  const hits = await matches(db, search, { most, enough: most, walk, before });
  return hits.map((hit) => ({
    ...hit,
    place: { sort: 'newest', at: hit.occurred_at.toISOString(), messageId: hit.message_id },
  }));
}

/** Ranks the newest matches. Later pages rank the same ones: what arrives meanwhile is left out. */
async function ranked(
  db: Db,
  search: Search,
  most: number,
  after: Extract<Place, { sort: 'relevance' }> | null,
): Promise<HitWithPlace[]> {
  const begin = after
    ? { at: after.newestAt, messageId: after.newestId }
    : await newestMessage(db, search.businessId);
  if (!begin) return [];
  const hits = await matches(db, search, {
    most: mostRanked,
    enough: enoughRanked,
    walk: walkForRanking,
    from: begin,
  });
  const isAfter = (hit: Hit) =>
    !after || hit.rank < after.rank || (hit.rank === after.rank && hit.message_id < after.messageId);
  return hits
    .sort((a, b) => b.rank - a.rank || (a.message_id < b.message_id ? 1 : -1))
    .filter(isAfter)
    .slice(0, most)
    .map((hit) => ({
      ...hit,
      place: {
        sort: 'relevance',
        rank: hit.rank,
        messageId: hit.message_id,
        newestAt: begin.at,
        newestId: begin.messageId,
      },
    }));
}

/** Where the messages of a business end now. */
async function newestMessage(db: Db, businessId: number): Promise<MessagePlace | null> {
  const row = await db
    .selectFrom('message_words')
    .select(['occurred_at', 'message_id'])
    .where('business_id', '=', businessId)
    .orderBy('occurred_at', 'desc')
    .orderBy('message_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ? { at: row.occurred_at.toISOString(), messageId: row.message_id } : null;
}

interface Reach {
  most: number;
  /** Where the walk finds so many, the index is not asked. */
  enough: number;
  walk: number;
  /** Only what is older than this. */
  before?: MessagePlace | null;
  /** Only this and what is older. */
  from?: MessagePlace;
}

/** The newest matches, at most so many. */
async function matches(db: Db, search: Search, reach: Reach): Promise<Hit[]> {
  const { most, enough, walk, before, from } = reach;
  const query = sql`${tsqueryOf(search.businessId, search.terms)}::tsquery`;
  const until = before
    ? sql`and (w.occurred_at, w.message_id) < (${before.at}::timestamptz, ${before.messageId}::uuid)`
    : from
      ? sql`and (w.occurred_at, w.message_id) <= (${from.at}::timestamptz, ${from.messageId}::uuid)`
      : sql``;
  const narrowed = sql`${search.since ? sql`and w.occurred_at >= ${search.since}` : sql``}
    ${search.until ? sql`and w.occurred_at < ${search.until}` : sql``} ${until}`;
  const kinds = sql`${search.channel ? sql`and w.channel = ${search.channel}` : sql``}
    ${search.direction ? sql`and w.direction = ${search.direction}` : sql``}`;
  if (search.conversationId !== undefined)
    return inConversation(db, search.businessId, search.conversationId, query, narrowed, kinds, most);

  const recent = await sql<Hit>`
    select w.message_id, w.occurred_at, ts_rank(w.words, ${query})::float8 as rank
    from (
      select w.* from message_words w where w.business_id = ${search.businessId} ${narrowed}
      order by w.business_id, w.occurred_at desc, w.message_id desc limit ${walk}
    ) w where w.words @@ ${query} ${kinds}
    order by w.occurred_at desc, w.message_id desc limit ${most}`.execute(db);
  if (recent.rows.length >= enough) return recent.rows;

  // Listed apart from its order, or the planner may walk by time after all.
  const listed = await sql<Hit>`
    with w as materialized (
      select w.message_id, w.occurred_at, w.words from message_words w
      where w.business_id = ${search.businessId} and w.words @@ ${query} ${narrowed} ${kinds}
    )
    select message_id, occurred_at, ts_rank(words, ${query})::float8 as rank from w
    order by occurred_at desc, message_id desc limit ${most}`.execute(db);
  return listed.rows;
}

/** Through the conversation's own messages. `ts_match_vq` is `@@` as a function: it leaves the index of all words alone. */
async function inConversation(
  db: Db,
  businessId: number,
  conversationId: string,
  query: RawBuilder<unknown>,
  narrowed: RawBuilder<unknown>,
  kinds: RawBuilder<unknown>,
  most: number,
): Promise<Hit[]> {
  const { rows } = await sql<Hit>`
    select w.message_id, w.occurred_at, ts_rank(w.words, ${query})::float8 as rank
    from (
      select message_id from messages where business_id = ${businessId} and conversation_id = ${conversationId}
      order by occurred_at desc, message_id desc limit ${mostOfConversation}
    ) m
    join message_words w on w.business_id = ${businessId} and w.message_id = m.message_id
    where ts_match_vq(w.words, ${query}) ${narrowed} ${kinds}
    order by w.occurred_at desc, w.message_id desc limit ${most}`.execute(db);
  return rows;
}

/** What was found where, for each field that has it. */
export function highlightsOf(
  row: ShownMessage,
  terms: SearchTerm[],
): { field: 'subject' | 'content'; fragments: Fragment[] }[] {
  return (['subject', 'content'] as const)
    .map((field) => ({ field, fragments: highlight(row[field] ?? '', terms) }))
    .filter(({ fragments }) => fragments.length > 0);
}
