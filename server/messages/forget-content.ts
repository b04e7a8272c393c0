import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';
import { forgetFiles } from './mail-content.ts';
import { forgetWords } from './words.ts';

/**
 * What it means that a message's content is gone: for whoever erases a client, and for retention. The
 * message itself stays, with its status, dates and counts. Column by column it is judged in
 * identity/personal-data.ts.
 */

/** What is set in a message's row. */
export const contentGone = sql`content = '[erased]', subject = null, html = null, display_html = null, display_version = null,
  cc = '[]', bcc = '[]', reply_to = null, reply_text = null, mail_id = null, sender_authentication = null, call = null, attachments = '[]', media_urls = '[]', metadata = '{}', external_ref = null,
  from_address = case when direction = 'inbound' then null else from_address end,
  to_address = case when direction = 'outbound' then null else to_address end,
  error_message = null`;

/** Whether anything of it is left, and not the text alone: somebody may have written just that word. */
export const hasContent = sql`(content <> '[erased]' or coalesce(subject, html, display_html, reply_to, reply_text, mail_id, error_message) is not null or call is not null or sender_authentication is not null
  or external_ref is not null or media_urls <> '[]' or metadata <> '{}' or cc <> '[]' or bcc <> '[]'
  or attachments <> '[]'
  or (direction = 'inbound' and from_address is not null) or (direction = 'outbound' and to_address is not null))`;

/** What of a timeline entry or an event tells nobody anything: all else in them is taken away. */
const harmless = [
  'source',
  'applied',
  'provider',
  'provider_message_id',
  'provider_status',
  'error_code',
  'reason',
  'status',
  'kind',
  'code',
  'attempt_no',
  'occurred_at',
  'client_id',
  'message_id',
  'about_message_id',
  'conversation_id',
  'merged_client_id',
  'folded_conversation_id',
  'channel',
  'direction',
  'provisional',
  'was_provisional',
  'messages_moved',
  'actor',
  'origin',
  'request_id',
];

/** A JSON object with nothing left in it but what is harmless. */
export const onlyHarmless = (column: string) => sql`(
  select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(${sql.ref(column)}) where key = any(${harmless}::text[]))`;

/** What of a message is found by its content, and its files. */
export async function forgetWordsAndFiles(tx: Tx, businessId: number, messageIds: string[]): Promise<void> {
  await forgetWords(tx, businessId, messageIds);
  await forgetFiles(tx, businessId, messageIds);
}

/**
 * What carriers told of these messages. Before anybody locks the messages: kept carrier events come
 * first; and while the messages still have their carriers' ids.
 *
 * @param theirs a list or subquery of message ids
 */
export async function forgetTold(
  tx: Tx,
  now: Date,
  businessId: number,
  theirs: RawBuilder<unknown>,
): Promise<void> {
  await eraseCarrierEvents(
    tx,
    now,
    businessId,
    sql`provider_message_id in (
      select provider_message_id from messages
      where business_id = ${businessId} and message_id in ${theirs} and provider_message_id is not null
      union
      select provider_message_id from attempts
      where business_id = ${businessId} and message_id in ${theirs} and provider_message_id is not null)`,
  );
  await eraseCarrierEvents(tx, now, businessId, sql`message_id in ${theirs}`);
}

/**
 * Empties carrier events, with the receipts they were read from: all that a carrier posted at once goes
 * together. A receipt that is being applied just now stays, for it may tell of others.
 *
 * @returns how many events
 */
export async function eraseCarrierEvents(
  tx: Tx,
  now: Date,
  businessId: number,
  which: RawBuilder<unknown>,
): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    with erased as (
      update carrier_events set payload = '{"erased": true}', note = null,
        state = case when state = 'applied' then state else 'refused' end, settled_at = coalesce(settled_at, ${now}::timestamptz)
      where business_id = ${businessId} and ${which} returning receipt_id),
    receipts as (
      delete from webhook_receipts where state <> 'kept' and receipt_id in (select receipt_id from erased))
    select count(*)::int as n from erased`.execute(tx);
  return rows[0]!.n;
}

/**
 * What is kept beside messages: what happened to them, and what carriers answered.
 *
 * @param theirs a list or subquery of message ids
 */
export async function forgetBeside(tx: Tx, businessId: number, theirs: RawBuilder<unknown>): Promise<void> {
  await sql`
    update message_timeline set data = ${onlyHarmless('data')}
    where business_id = ${businessId} and message_id in ${theirs}`.execute(tx);
  await sql`
    update attempts set error_message = null
    where business_id = ${businessId} and message_id in ${theirs} and error_message is not null`.execute(tx);
  await sql`
    update simulator_messages set content = '[erased]', to_address = '[erased]', mail = null
    where business_id = ${businessId} and message_id in ${theirs}`.execute(tx);
}
