import type { Db } from '../core/db/index.ts';
import { invalid } from '../core/fault.ts';
import { answer, type Binding, type Cursors, own, read } from '../core/http/index.ts';
import type { EventStreams } from './event-streams.ts';
import { presentEvents, readSlice, type Start } from './feed.ts';
import { readTypes, type TypesFilter } from './types-filter.ts';

export function realtimeRoutes(options: { db: Db; cursors: Cursors; streams: EventStreams }): Binding[] {
  const { db, cursors, streams } = options;

  /** What a place is good for: the list's and the stream's are the same. */
  const aboutOf = (businessId: number, filter: TypesFilter | null) => [
    'events',
    businessId,
    filter?.names ?? null,
  ];
  const startOf = (about: unknown, cursor: string): Start => Number(cursors.decode(about, cursor)[0]);

  /** The header goes before the query, which a browser that connects again still has from the first time. */
  function placeOf(about: unknown, header: string | string[] | undefined, cursor: string | undefined): Start {
    // Browsers send an empty one where the stream had none.
    if (header === undefined || header === '') return cursor === undefined ? 'now' : startOf(about, cursor);
    try {
      return startOf(about, String(header));
    } catch {
      throw invalid(
        'Last-Event-ID',
        'is no id of a stream of this business and these types; begin without it',
      );
    }
  }

  return [
    read('listChanges', async (reader, { businessId, query }) => {
      const { cursor, limit = 25, from = 'oldest' } = query;
      const filter = readTypes(query.types);
      const about = aboutOf(businessId, filter);
      const start = cursor === undefined ? from : startOf(about, cursor);
      const { rows, next, head } = await readSlice(reader, businessId, start, limit, filter);
      return answer(200, {
        data: await presentEvents(reader, businessId, rows),
        next_cursor: cursors.encode(about, [next]),
        has_more: next < head,
      });
    }),

    own('streamEvents', async ({ businessId, query, caller, http, reply, log }) => {
      // A session's holder has tabs of their own, whoever made the session.
      const who = caller.sessionId ?? caller.keyId ?? '';
      streams.mustHaveRoom(businessId, who);
      const filter = readTypes(query.types);
      const about = aboutOf(businessId, filter);
      const start = placeOf(about, http.headers['last-event-id'], query.cursor);
      const { after } = await readSlice(db, businessId, start, 0, null);
      reply.headers({
        'Content-Type': 'text/event-stream',
        // Who compresses it on the way would hold it back.
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
        // It serves for nothing else afterwards, and must not hold up a server that stops.
        Connection: 'close',
      });
      if (http.method === 'HEAD') return answer(200, '');
      const stream = streams.open({
        businessId,
        caller: who,
        filter,
        after,
        idOf: (sequence) => cursors.encode(about, [sequence]),
        log,
      });
      return answer(200, stream);
    }),
  ];
}
