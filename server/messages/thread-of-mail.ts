import { sql } from 'kysely';
import { readMailId } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';

/** Whose thread a mail belongs in, and how that was found. */
export interface Answered {
  clientId: number;
  because: 'reply_address' | 'references';
}

/**
 * The client whose thread a mail answers: of the conversation that its reply address names, else of the nearest
 * mail that it refers to; where staff have moved that mail to another client, it comes first, for the reply address
 * in it is that of the thread it was sent from. Null where it answers nothing that the business has, or that client
 * was erased; then the sender's address decides. Never by the subject: two clients' mails are both called "Your class".
 *
 * The client is locked against merging, unmerging and erasing until the transaction ends.
 */
export async function clientAnswered(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  mail: { conversationId: string | null; references: readonly string[] },
): Promise<Answered | null> {
  for (;;) {
    const found = await findAnswered(tx, secrets, businessId, mail);
    if (found === null) return null;
    // A client merged into another is that other.
    const { rows } = await sql<{ client_id: number; erased: boolean }>`
      select s.client_id, s.erased_at is not null as erased from clients p
      join clients s on s.business_id = p.business_id and s.client_id = coalesce(p.merged_into, p.client_id)
      where p.business_id = ${businessId} and p.client_id = ${found.clientId} for key share of s`.execute(tx);
    if (!rows[0] || rows[0].erased) return null;
    // What was moved while we waited for the lock is looked for again; now it stays where it is.
    const still = await findAnswered(tx, secrets, businessId, mail);
    if (still?.clientId === found.clientId) return { ...still, clientId: rows[0].client_id };
  }
}

async function findAnswered(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  mail: { conversationId: string | null; references: readonly string[] },
): Promise<Answered | null> {
  const nearest = await nearestMail(tx, secrets, businessId, mail.references);
  if (nearest?.moved) return { clientId: nearest.client_id, because: 'references' };
  const byAddress =
    mail.conversationId === null ? null : await clientOfConversation(tx, businessId, mail.conversationId);
  if (byAddress !== null) return { clientId: byAddress, because: 'reply_address' };
  return nearest && { clientId: nearest.client_id, because: 'references' };
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
async function nearestMail(
  tx: Tx,
  secrets: Secrets,
  businessId: number,
  references: readonly string[],
): Promise<{ client_id: number; moved: boolean } | null> {
  if (references.length === 0) return null;
  const asked = references.slice(0, mostReferences).map((id, i) => ({
    i,
    id,
    m: readMailId(id, secrets)?.messageId ?? null,
  }));
  const { rows } = await sql<{ client_id: number; moved: boolean }>`
    select m.client_id, coalesce(m.threading_reason = 'moved', false) as moved from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, id text, m uuid)
    cross join lateral (
      select client_id, threading_reason from messages where business_id = ${businessId} and message_id = w.m and channel = 'email'
      union all
      select client_id, threading_reason from messages where business_id = ${businessId} and mail_id = w.id and channel = 'email'
      limit 1
    ) m
    order by w.i limit 1`.execute(tx);
  return rows[0] ?? null;
}
