import { sql } from 'kysely';
import { isConsentHash } from '../clients/index.ts';
import type { Db } from '../core/db/index.ts';
import type { MessageRow } from '../messages/index.ts';

/** Every entry of the ledger about a client, or about an address that is theirs; oldest first. */
export async function consentsOfClient(db: Db, businessId: number, clientId: number) {
  const { rows } = await sql<{
    consent_id: string;
    channel: string;
    address: string;
    category: string;
    state: 'granted' | 'revoked';
    source: string;
    evidence: Record<string, unknown>;
    created_at: Date;
  }>`
    select c.consent_id, c.channel, c.address, c.category, c.state, c.source, c.evidence, c.created_at from consents c
    where c.business_id = ${businessId} and c.consent_id in (
      select consent_id from consents where business_id = ${businessId} and client_id = ${clientId}
      union
      select e.consent_id from client_addresses l
      cross join unnest(case l.kind when 'phone' then array['sms', 'whatsapp', 'voice'] when 'email' then array['email'] else '{}' end) as of(channel)
      join consents e on e.business_id = l.business_id and e.channel = of.channel and e.address = l.address
      where l.business_id = ${businessId} and l.client_id = ${clientId})
    order by c.created_at, c.consent_id limit 10000`.execute(db);
  return rows.map(({ created_at, address, ...row }) => ({
    ...row,
    address: isConsentHash(address) ? null : address,
    at: created_at.toISOString(),
  }));
}

/** Where a page of the export ended. */
export interface ExportPlace {
  conversationId: string;
  at: string;
  messageId: string;
}

/** A page of a client's messages and one more: conversation by conversation, oldest first. */
export async function messagesOfClient(
  db: Db,
  businessId: number,
  clientId: number,
  limit: number,
  after: ExportPlace | null,
): Promise<MessageRow[]> {
  const place = after
    ? sql`and (conversation_id, occurred_at, message_id) > (${after.conversationId}::uuid, ${after.at}::timestamptz, ${after.messageId}::uuid)`
    : sql``;
  const { rows } = await sql<MessageRow>`
    select * from messages where business_id = ${businessId}
      and conversation_id in (select conversation_id from conversations where business_id = ${businessId} and client_id = ${clientId})
      ${place}
    order by conversation_id, occurred_at, message_id limit ${limit + 1}`.execute(db);
  return rows;
}
