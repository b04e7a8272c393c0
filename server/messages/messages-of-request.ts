import type { Db } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import type { MessageRow } from './queries.ts';

/** A page, and one row more, of what a request wrote. @throws 404 for a request that nobody made */
export async function messagesOfRequest(
  db: Db,
  businessId: number,
  requestId: string,
  limit: number,
  afterMessageId: string | null,
): Promise<MessageRow[]> {
  let query = db
    .selectFrom('messages')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('request_id', '=', requestId);
  if (afterMessageId !== null) query = query.where('message_id', '>', afterMessageId);
  const rows = await query
    .orderBy('message_id')
    .limit(limit + 1)
    .execute();
  if (rows.length > 0 || afterMessageId !== null) return rows;
  const request = await db
    .selectFrom('requests')
    .select('request_id')
    .where('business_id', '=', businessId)
    .where('request_id', '=', requestId)
    .executeTakeFirst();
  if (!request) throw notFound('request');
  return [];
}
