import type { Answer, Client } from './omega.ts';

/** The path with these parameters; those that are undefined are left out. */
export function withQuery(path: string, query: Record<string, unknown>): string {
  const text = new URLSearchParams(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string] => [name, String(value)]),
  ).toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Every row of a list, page by page, as a caller walks it.
 *
 * @param between runs after each page but the last: what others do meanwhile
 * @throws where a page is no page: an error, more rows than asked for, a cursor without more rows
 */
export async function walkPages<Row>(
  api: Client,
  path: string,
  query: Record<string, unknown> & { limit: number },
  between: (page: number) => Promise<unknown> = async () => undefined,
): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  for (let page = 1; page < 1000; page++) {
    const answer: Answer = await api.get(withQuery(path, { ...query, cursor }));
    const { data, next_cursor, has_more } = answer.body;
    if (answer.status !== 200) throw new Error(`page ${page}: ${JSON.stringify(answer.body)}`);
    if (data.length > query.limit) throw new Error(`page ${page} has ${data.length} rows`);
    if (has_more !== (next_cursor !== null))
      throw new Error(`page ${page}: has_more is not about next_cursor`);
    if (has_more && data.length < query.limit) throw new Error(`page ${page} is short and not the last`);
    rows.push(...data);
    if (!has_more) return rows;
    cursor = next_cursor;
    await between(page);
  }
  throw new Error('The list has no end.');
}
