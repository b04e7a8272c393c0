import { sql } from 'kysely';
import { readMailId } from '../channels/index.ts';
import type { Db, Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';

/** The mail that a Message-ID names. */
export interface NamedMail {
  messageId: string;
  conversationId: string;
  clientId: number;
  direction: 'inbound' | 'outbound';
  fromAddress: string | null;
  toAddress: string | null;
}

/** `References` grow without end; a thread is known by its last ones. */
const mostMailIds = 50;

/**
 * The mail of the business that one of these Message-IDs names: by our own signed id, or by the id that was
 * written down with it (an inbound mail's own, or the one that a provider put in place of ours).
 *
 * @param mailIds in the order in which they count: `In-Reply-To`, then `References` from the last to the first;
 *   brackets may be there or not
 */
export async function findByMailId(
  db: Db | Tx,
  secrets: Secrets,
  businessId: number,
  mailIds: readonly string[],
): Promise<NamedMail | null> {
  const asked = mailIds.slice(0, mostMailIds).map((mailId, i) => ({
    i,
    id: mailId.trim().replace(/^<(.*)>$/, '$1'),
    m: readMailId(mailId, secrets)?.messageId ?? null,
  }));
  if (asked.length === 0) return null;
  const { rows } = await sql<NamedMail>`
    select m.message_id as "messageId", m.conversation_id as "conversationId", m.client_id as "clientId",
      m.direction, m.from_address as "fromAddress", m.to_address as "toAddress"
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, id text, m uuid)
    cross join lateral (
      select * from messages where business_id = ${businessId} and message_id = w.m and channel = 'email'
      union all
      select * from messages where business_id = ${businessId} and mail_id = w.id and channel = 'email'
      limit 1
    ) m
    order by w.i limit 1`.execute(db);
  return rows[0] ?? null;
}
