import { sql } from 'kysely';
import type { AddressKind, Tx } from '../core/db/index.ts';
import { eraseCarrierEvents, forgetBeside, forgetTold, onlyHarmless } from '../messages/index.ts';
import { forgetReceiptsNaming } from '../receipts/index.ts';

/** The operations whose answers tell of nobody, as the index `requests_that_show` has them. */
export const showNobody = [
  'queueSms',
  'recordSms',
  'updateSmsStatus',
  'queueEmail',
  'recordEmail',
  'updateEmailStatus',
  'recordMessages',
  'addNote',
  'markMessagesRead',
  'simulateInbound',
];

/**
 * Erases what was kept beside a client's messages: what happened to them, what carriers posted and
 * answered, answers that are kept for repetitions, and those few events that hold names or addresses.
 * Before the messages themselves: their carriers' ids lead to the rest.
 */
export async function eraseTraces(
  tx: Tx,
  now: Date,
  businessId: number,
  clientId: number,
  conversations: string[],
  addresses: Record<'all' | 'onlyTheirs', { kind: AddressKind; address: string }[]>,
): Promise<void> {
  const theirs = sql`(select message_id from messages where business_id = ${businessId} and conversation_id = any(${conversations}::uuid[]))`;
  const named = addresses.all.map(({ address }) => address);
  const onlyTheirs = addresses.onlyTheirs.map(({ address }) => address);
  await forgetTold(tx, now, businessId, theirs);
  // What was never applied belongs to no message, and is found by who sent it; there is little of it.
  await eraseCarrierEvents(
    tx,
    now,
    businessId,
    sql`state <> 'applied' and payload ->> 'from' = any(${named}::text[])`,
  );
  await forgetReceiptsNaming(tx, businessId, onlyTheirs);
  await forgetBeside(tx, businessId, theirs);
  // Those who were merged into them are the same person, under the ids that they had.
  const { rows } = await sql<{ client_id: string }>`
    select client_id::text from clients
    where business_id = ${businessId} and (client_id = ${clientId} or merged_into = ${clientId})`.execute(tx);
  const ids = rows.map((row) => row.client_id);
  // Those whom they were merged into by mistake: events and answers of that time tell of both.
  const hosts = await sql<{ client_id: string }>`
    select distinct into_client_id::text as client_id from client_merges
    where business_id = ${businessId} and merged_client_id::text = any(${ids}::text[])`.execute(tx);
  const hostIds = hosts.rows.map((row) => row.client_id);
  await sql`
    update events set changed = null, data = ${onlyHarmless('data')}
    where business_id = ${businessId} and data ->> 'client_id' = any(${[...ids, ...hostIds]}::text[])
      and (data ->> 'client_id' = any(${ids}::text[]) or data ->> 'merged_client_id' = any(${ids}::text[]))
      and type in ('client.created', 'client.updated', 'client.merged', 'client.unmerged', 'consent.granted', 'consent.revoked', 'message.failed', 'message.undelivered', 'appointment.possible_cancellation')`.execute(
    tx,
  );
  // Consent that was recorded for an address, without saying whose it is.
  await sql`
    update events set changed = null, data = ${onlyHarmless('data')}
    where business_id = ${businessId} and data ->> 'client_id' is null and data ->> 'address' = any(${onlyTheirs}::text[])
      and type in ('consent.granted', 'consent.revoked')`.execute(tx);
  // Answers that show a client. Repeating their requests is answered anew: 409.
  await sql`
    delete from requests where business_id = ${businessId} and operation not in (${sql.join(showNobody.map((id) => sql.lit(id)))})
      and (((coalesce(answer #>> '{client,client_id}', answer ->> 'client_id') = any(${ids}::text[])
            or exists (select 1 from client_merges g
              where g.business_id = requests.business_id and g.merged_client_id::text = any(${ids}::text[])
                and g.into_client_id::text = coalesce(answer #>> '{client,client_id}', answer ->> 'client_id')
                and requests.created_at between g.merged_at and coalesce(g.undone_at, 'infinity')))
          and jsonb_exists_any(answer, array['client', 'address', 'addresses', 'name']))
        or (operation = 'recordConsent' and answer ->> 'address' = any(${onlyTheirs}::text[]))
        or exists (select 1 from jsonb_array_elements(case when jsonb_typeof(answer -> 'candidates') = 'array' then answer -> 'candidates' else '[]' end) c
          where c ->> 'client_id' = any(${ids}::text[])))`.execute(tx);
}
