import { businessFor } from '../businesses/index.ts';
import { conversationFor, conversationNow } from '../conversations/index.ts';
import { type Database, inSearch } from '../core/db/index.ts';
import { answer, type Binding, type Cursors, pageOf, read } from '../core/http/index.ts';
import { presentMessage } from './present.ts';
import { highlightsOf, type Place, type Search, searchMessages } from './search-messages.ts';
import { readSearch } from './search-query.ts';
import { timeOf } from './times.ts';

interface SearchQuery {
  q: string;
  channel?: string;
  direction?: 'inbound' | 'outbound' | 'internal';
  since?: string;
  until?: string;
  sort?: 'newest' | 'relevance';
  limit?: number;
  cursor?: string;
}

/** Search in one conversation, by both paths, and over a whole business. */
export function searchRoutes({
  cursors,
  searchDb,
}: {
  cursors: Cursors;
  searchDb: Database['searchDb'];
}): Binding[] {
  async function search(businessId: number, query: SearchQuery, conversationId?: string) {
    const { q, limit = 25, sort = 'newest', cursor } = query;
    const asked: Search = {
      businessId,
      conversationId,
      terms: readSearch(q),
      channel: query.channel,
      direction: query.direction,
      since: timeOf(query.since),
      until: timeOf(query.until),
    };
    const about = ['search', sort, asked];
    const after = cursor === undefined ? null : placeOf(sort, cursors.decode(about, cursor));
    const found = await inSearch(searchDb, (db) => searchMessages(db, asked, sort, limit, after));
    const page = pageOf(
      found,
      limit,
      (at) => cursors.encode(about, at),
      ({ place }) =>
        place.sort === 'newest'
          ? [place.at, place.messageId]
          : [place.rank, place.messageId, place.newestAt, place.newestId],
    );
    return answer(200, {
      data: page.rows.map(({ row }) => ({
        ...presentMessage(row),
        highlights: highlightsOf(row, asked.terms),
      })),
      next_cursor: page.next_cursor,
      has_more: page.has_more,
    });
  }

  return [
    read('searchMessages', async (db, { businessId, query }) => {
      const conversationId = await conversationNow(db, businessId, query.conversation_id);
      return search(businessId, query, conversationId);
    }),

    read('searchConversationMessages', async (db, { businessId, params, query }) => {
      const { conversation_id: conversationId } = await conversationFor(
        db,
        businessId,
        params.client_id,
        params.conversation_id,
      );
      return search(businessId, query, conversationId);
    }),

    read('searchBusiness', async (db, { businessId, query }) => {
      await businessFor(db, businessId);
      return search(businessId, query);
    }),
  ];
}

function placeOf(sort: 'newest' | 'relevance', place: (string | number | null)[]): Place {
  const [first, messageId, newestAt, newestId] = place;
  return sort === 'newest'
    ? { sort, at: String(first), messageId: String(messageId) }
    : {
        sort,
        rank: Number(first),
        messageId: String(messageId),
        newestAt: String(newestAt),
        newestId: String(newestId),
      };
}
