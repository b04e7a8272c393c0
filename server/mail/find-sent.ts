import { sql } from 'kysely';
import type { Db } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { storable } from '../core/storable.ts';
import { readMailId } from './ids.ts';
import type { MailEvent, MailNames } from './provider.ts';

/** The mail of ours that an event is about. */
export interface SentMail {
  businessId: number;
  messageId: string;
  toAddress: string | null;
  /** What its provider is known to call it: its last attempt first, then those before. */
  providerIds: string[];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The mails that events name, of these businesses alone: by our id in the provider's metadata, by our signed
 * Message-ID or the one that a provider put in its place, or by the provider's own id.
 *
 * @returns in the order of the events; null for a mail that we did not send
 */
export async function findSent(
  db: Db,
  secrets: Secrets,
  provider: string,
  businessIds: readonly number[],
  events: readonly MailEvent[],
): Promise<(SentMail | null)[]> {
  if (events.length === 0 || businessIds.length === 0) return events.map(() => null);
  // Ids are the provider's text: one with a NUL is none of ours, and must not stop the others.
  const asked = storable(
    events.flatMap(({ names }, i) => asksOf(names, secrets).map((ask) => ({ i, ...ask }))),
  );
  const { rows } = await sql<SentMail & { i: number }>`
    select distinct on (w.i) w.i, m.business_id as "businessId", m.message_id as "messageId", m.to_address as "toAddress",
      array_remove(m.provider_message_id || array(select a.provider_message_id from attempts a
        where a.business_id = m.business_id and a.message_id = m.message_id order by a.attempt_no desc), null) as "providerIds"
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, rank int, m uuid, mid text, pid text)
    cross join unnest(${[...businessIds]}::bigint[]) as b(id)
    cross join lateral (
      select * from messages where business_id = b.id and message_id = w.m
      union all
      select * from messages where business_id = b.id and mail_id = w.mid
      union all
      select m.* from attempts a join messages m using (business_id, message_id)
        where a.business_id = b.id and a.provider in (${provider}, 'smtp') and a.provider_message_id = w.pid
      union all
      select * from messages where business_id = b.id and provider = ${provider} and provider_message_id = w.pid
      limit 1
    ) m
    where m.channel = 'email' and m.direction = 'outbound'
    order by w.i, w.rank, m.business_id`.execute(db);
  const found = new Map(rows.map(({ i, ...mail }) => [i, mail]));
  return events.map((_, i) => found.get(i) ?? null);
}

interface Ask {
  rank: number;
  m?: string;
  mid?: string;
  pid?: string;
}

function asksOf({ metadata, mailId, providerIds }: MailNames, secrets: Secrets): Ask[] {
  const asks: Ask[] = [];
  const ask = (one: Omit<Ask, 'rank'>) => asks.push({ rank: asks.length, ...one });
  if (metadata !== null && uuid.test(metadata)) ask({ m: metadata.toLowerCase() });
  if (mailId !== null) {
    const named = readMailId(mailId, secrets);
    if (named) ask({ m: named.messageId });
    ask({ mid: mailId.replace(/^<(.*)>$/, '$1') });
  }
  for (const id of providerIds) ask({ pid: id });
  return asks;
}
