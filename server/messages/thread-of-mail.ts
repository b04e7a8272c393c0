import { sql } from 'kysely';
import { readMailId } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';

/** More of them a mail may name; the thread is in the nearest. */
const mostReferences = 50;

/**
 * The client whose thread a mail answers: of the conversation that its reply address names, else of the nearest
 * message that it refers to (by our signed Message-ID, or that of a mail we received). Null where it answers
 * nothing that the business has, or its client was erased; then the sender's address decides.
 */
export async function clientAnswered(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  mail: { conversationId: string | null; references: readonly string[] },
): Promise<number | null> {
  const references = mail.references.slice(0, mostReferences);
  if (mail.conversationId === null && references.length === 0) return null;
  const asked = references.map((mailId, i) => ({
    i,
    id: mailId,
    m: readMailId(mailId, secrets)?.messageId ?? null,
  }));
  // A conversation that was folded into another, and a client merged into another, are those others.
  const { rows } = await sql<{ client_id: number }>`
    with named as (
      select -1 as i, c.client_id from conversations c
      where c.business_id = ${businessId} and c.conversation_id = coalesce(
        (select merged_into from conversation_redirects where business_id = ${businessId} and conversation_id = ${mail.conversationId}::uuid),
        ${mail.conversationId}::uuid)
      union all
      select w.i, m.client_id from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, id text, m uuid)
      join messages m on m.business_id = ${businessId} and m.channel = 'email' and m.message_id = w.m
      union all
      select w.i, m.client_id from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, id text, m uuid)
      join messages m on m.business_id = ${businessId} and m.mail_id = w.id
      where w.m is null
    )
    select coalesce(p.merged_into, p.client_id) as client_id from named
    join clients p on p.business_id = ${businessId} and p.client_id = named.client_id
    where not exists (select 1 from clients g where g.business_id = ${businessId}
      and g.client_id = coalesce(p.merged_into, p.client_id) and g.erased_at is not null)
    order by named.i limit 1`.execute(tx);
  return rows[0]?.client_id ?? null;
}
