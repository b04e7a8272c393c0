import { sql } from 'kysely';
import { readMailId } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';

/**
 * The client whose thread a mail answers: of the conversation that its reply address names, else of the nearest
 * mail that it refers to. Null where it answers nothing that the business has, or that client was erased; then
 * the sender's address decides. Never by the subject: two clients' mails are both called "Your class".
 */
export async function clientAnswered(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  mail: { conversationId: string | null; references: readonly string[] },
): Promise<number | null> {
  const byAddress =
    mail.conversationId === null ? null : await clientOfConversation(tx, businessId, mail.conversationId);
  const clientId = byAddress ?? (await clientOfMail(tx, secrets, businessId, mail.references));
  if (clientId === null) return null;
  // A client merged into another is that other.
  const { rows } = await sql<{ client_id: number }>`
    select s.client_id from clients p
    join clients s on s.business_id = p.business_id and s.client_id = coalesce(p.merged_into, p.client_id)
    where p.business_id = ${businessId} and p.client_id = ${clientId} and s.erased_at is null`.execute(tx);
  return rows[0]?.client_id ?? null;
}

/** A conversation that was folded into another is that other. */
async function clientOfConversation(
  tx: Tx,
  businessId: number,
  conversationId: string,
): Promise<number | null> {
  const { rows } = await sql<{ client_id: number }>`
    select client_id from conversations where business_id = ${businessId} and conversation_id = coalesce(
      (select merged_into from conversation_redirects
        where business_id = ${businessId} and conversation_id = ${conversationId}::uuid),
      ${conversationId}::uuid)`.execute(tx);
  return rows[0]?.client_id ?? null;
}

/** `References` grow without end; a thread is known by its last ones. */
const mostReferences = 50;

/** By our own signed id, or by the id that was written down with it: an inbound mail's own, or a provider's in place of ours. */
async function clientOfMail(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  references: readonly string[],
): Promise<number | null> {
  if (references.length === 0) return null;
  const asked = references.slice(0, mostReferences).map((id, i) => ({
    i,
    id,
    m: readMailId(id, secrets)?.messageId ?? null,
  }));
  const { rows } = await sql<{ client_id: number }>`
    select m.client_id from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, id text, m uuid)
    cross join lateral (
      select client_id from messages where business_id = ${businessId} and message_id = w.m and channel = 'email'
      union all
      select client_id from messages where business_id = ${businessId} and mail_id = w.id and channel = 'email'
      limit 1
    ) m
    order by w.i limit 1`.execute(tx);
  return rows[0]?.client_id ?? null;
}
