import { sql } from 'kysely';
import { consentVerdicts, writeConsents } from '../clients/index.ts';
import type { Tx } from '../core/db/index.ts';
import { type NewEvent, recordEvents } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { writeTimeline } from './timeline.ts';

/**
 * A reader of a mail wants no more marketing mail: into the ledger, unless it says so already. Whoever came back
 * after an earlier click and clicks again leaves again. A mail whose client was erased, or that is gone, names
 * its address by the ledger's own hash, under which the next mail to it is refused.
 *
 * @param addressHash of the address that the mail went to (`consentHash`)
 */
export async function unsubscribe(
  tx: Tx,
  now: Date,
  { businessId, messageId, addressHash }: { businessId: number; messageId: string; addressHash: string },
  secrets: Secrets,
): Promise<void> {
  // Locked: the same click comes from a mail program and from its server at once.
  const { rows } = await sql<{
    conversation_id: string;
    client_id: number;
    to_address: string | null;
    unsubscribed_at: Date | null;
  }>`
    select conversation_id, client_id, to_address, unsubscribed_at from messages
    where business_id = ${businessId} and message_id = ${messageId}::uuid and direction = 'outbound' and channel = 'email'
    for update`.execute(tx);
  const message = rows[0];
  const address = message?.to_address ?? addressHash;
  const by: Origin = { actor: { type: 'client', id: message?.client_id ?? null }, origin: {} };
  const events: NewEvent[] = [];

  const [verdict] = await consentVerdicts(
    tx,
    [{ businessId, channel: 'email', address, category: 'marketing' }],
    secrets,
  );
  if (verdict!.allowed) {
    await writeConsents(tx, now, [
      {
        businessId,
        channel: 'email',
        address,
        category: 'marketing',
        state: 'revoked',
        source: 'one_click',
        evidence: { message_id: messageId },
        clientId: message?.client_id ?? null,
      },
    ]);
    events.push({
      businessId,
      type: 'consent.revoked',
      by,
      data: {
        client_id: message?.client_id ?? null,
        channel: 'email',
        address: message?.to_address ?? null,
        category: 'marketing',
        source: 'one_click',
        message_id: messageId,
      },
    });
  }
  if (message && message.unsubscribed_at === null) {
    await sql`update messages set unsubscribed_at = ${now} where business_id = ${businessId} and message_id = ${messageId}::uuid`.execute(
      tx,
    );
    await writeTimeline(tx, [
      { businessId, messageId, kind: 'fact.unsubscribe', at: now, data: { source: 'one_click', ...by } },
    ]);
    events.push({
      businessId,
      type: 'message.unsubscribed',
      by,
      changed: { unsubscribed_at: { from: null, to: now.toISOString() } },
      data: {
        message_id: messageId,
        conversation_id: message.conversation_id,
        client_id: message.client_id,
        channel: 'email',
      },
    });
  }
  await recordEvents(tx, now, events);
}
