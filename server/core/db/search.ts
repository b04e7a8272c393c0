import { Fault } from '../fault.ts';
import type { Database, Db } from './database.ts';

/** The server ended the statement at its time limit. */
const statementTimeout = '57014';
const noConnection = /timeout exceeded when trying to connect/;

/**
 * Runs a search on the connections that are there for searches: see {@link Database.searchDb}. What is only looked up
 * (whether the caller may see it) is not for here.
 *
 * @throws 503 `search_too_slow` where it takes too long, or the others before it do
 */
export async function inSearch<T>(searchDb: Database['searchDb'], act: (db: Db) => Promise<T>): Promise<T> {
  try {
    return await act(searchDb);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (code === statementTimeout)
      throw new Fault(
        'search_too_slow',
        'It matches too much to be read in time. Narrow it: a longer word, more words, `since` and `until`, or one conversation.',
        { retryAfterS: 5, cause: error },
      );
    if (noConnection.test(String(message)))
      throw new Fault('search_too_slow', 'Other searches take too long just now. Repeat in a moment.', {
        retryAfterS: 5,
        cause: error,
      });
    throw error;
  }
}
