import { createHash } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import type { Db, ReceiptState, Tables, Tx } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import { storable } from '../core/storable.ts';
import type { WebhookSource } from './source.ts';

export type ReceiptRow = Selectable<Tables['webhook_receipts']>;

/** Days that settled receipts are kept: for looking into what a carrier said, and for replays. */
export const receiptRetentionDays = 30;
/** Anyone can post what is doubted: beyond so many the oldest go. */
export const mostQuarantined = 10_000;
/** And beyond so many bytes: a mail may have 50 MB. */
export const mostQuarantinedBytes = 1024 ** 3;
const deletedAtOnce = 1_000;

/**
 * A receipt of the same doubted webhook again is counted, not kept twice. Its bytes cross to the database and back as
 * base64: PGlite's own way with binary values takes 0.3 to 0.8 s a megabyte, in which nothing else of the process
 * runs, and anyone can post 45.
 */
export async function keepReceipt(
  db: Db,
  secrets: Secrets,
  now: Date,
  source: WebhookSource,
  webhook: RawWebhook,
  is: { state: ReceiptState; businessId: number | null; note: string | null },
): Promise<string> {
  const receiptId = newId();
  const { rows } = await sql<{ receipt_id: string }>`
    insert into webhook_receipts
      (receipt_id, source, provider, business_id, method, url, sealed_headers, body, digest, state, note, received_at, settled_at)
    values (${receiptId}, ${source.name}, ${source.provider}, ${is.businessId}, ${webhook.method}, ${storable(webhook.url)},
      ${secrets.seal(JSON.stringify(webhook.headers), `webhook ${receiptId}`)},
      decode(${webhook.body.toString('base64')}, 'base64'),
      ${digestOf(source, webhook)}, ${is.state}, ${is.note && storable(is.note)}, ${now},
      ${is.state === 'kept' ? null : now})
    on conflict (source, digest) where state = 'quarantined'
    do update set times = webhook_receipts.times + 1, note = excluded.note, settled_at = excluded.settled_at
    returning receipt_id`.execute(db);
  return rows[0]!.receipt_id;
}

export async function settleReceipt(
  db: Db,
  now: Date,
  receiptId: string,
  is: { state: ReceiptState; businessId?: number | null; note?: string | null },
): Promise<void> {
  await db
    .updateTable('webhook_receipts')
    .set({
      state: is.state,
      note: is.note ? storable(is.note) : null,
      settled_at: is.state === 'kept' ? null : now,
      ...(is.businessId !== undefined && { business_id: is.businessId }),
    })
    .where('receipt_id', '=', receiptId)
    .execute();
}

/** @returns how often it has failed by now */
export async function countFailure(db: Db, receiptId: string, note: string): Promise<number> {
  const row = await db
    .updateTable('webhook_receipts')
    .set((eb) => ({ tries: eb('tries', '+', 1), note: storable(note) }))
    .where('receipt_id', '=', receiptId)
    .returning('tries')
    .executeTakeFirst();
  return row?.tries ?? 0;
}

export async function readReceipt(db: Db, receiptId: string): Promise<ReceiptRow | undefined> {
  const { rows } = await sql<Omit<ReceiptRow, 'body'> & { base64: string }>`
    select receipt_id, source, provider, business_id, method, url, sealed_headers, digest, state, note, tries, times,
      received_at, settled_at, encode(body, 'base64') as base64
    from webhook_receipts where receipt_id = ${receiptId}`.execute(db);
  if (!rows[0]) return undefined;
  const { base64, ...row } = rows[0];
  return { ...row, body: Buffer.from(base64, 'base64') };
}

/** A receipt without its headers and bytes. */
export type ReceiptHead = Omit<ReceiptRow, 'sealed_headers' | 'body' | 'digest'> & { size: number };

/** Newest first. @param before the last receipt of the page before */
export async function listReceipts(
  db: Db,
  filters: { state?: ReceiptState; provider?: string; business_id?: number },
  limit: number,
  before: string | null,
): Promise<ReceiptHead[]> {
  const { rows } = await sql<ReceiptHead>`
    select receipt_id, source, provider, business_id, method, url, state, note, tries, times, received_at, settled_at,
      octet_length(body) as size
    from webhook_receipts
    where true ${filters.state ? sql`and state = ${filters.state}` : sql``}
      ${filters.provider ? sql`and provider = ${filters.provider}` : sql``}
      ${filters.business_id ? sql`and business_id = ${filters.business_id}` : sql``}
      ${before ? sql`and receipt_id < ${before}::uuid` : sql``}
    order by receipt_id desc limit ${limit}`.execute(db);
  return rows;
}

/** The webhook as it came; `ip` is not kept. */
export function webhookOf(row: ReceiptRow, secrets: Secrets): RawWebhook {
  return {
    method: row.method,
    url: row.url,
    headers: JSON.parse(secrets.open(row.sealed_headers, `webhook ${row.receipt_id}`)),
    body: Buffer.from(row.body),
    ip: '',
    receivedAt: row.received_at,
  };
}

/** Believed, and by a crash or a fault never applied. */
export async function receiptsLeftBehind(db: Db, before: Date): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_receipts')
    .select('receipt_id')
    .where('state', '=', 'kept')
    .where('received_at', '<', before)
    .orderBy('tries')
    .orderBy('received_at')
    .limit(100)
    .execute();
  return rows.map((row) => row.receipt_id);
}

/** Throws away what is old, and the oldest of too much quarantine; a part of it in each call. */
export async function forgetReceipts(db: Db, now: Date): Promise<number> {
  const old = new Date(now.getTime() - receiptRetentionDays * 86_400_000);
  const { numAffectedRows } = await sql`
    delete from webhook_receipts where receipt_id in (
      (select receipt_id from webhook_receipts where received_at < ${old} and state <> 'kept' limit ${deletedAtOnce})
      union
      (select receipt_id from webhook_receipts where state = 'quarantined'
        order by receipt_id desc offset ${mostQuarantined} limit ${deletedAtOnce})
      union
      (select receipt_id from (
          select receipt_id, sum(octet_length(body)) over (order by receipt_id desc) as bytes
          from webhook_receipts where state = 'quarantined'
        ) q where bytes > ${mostQuarantinedBytes} limit ${deletedAtOnce}))`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/**
 * Throws away the oldest receipts of a business that came before then, some at a time. Ids are in the
 * order of their coming: only the first few are looked at.
 *
 * @returns how many
 */
export async function forgetReceiptsOf(
  tx: Tx,
  businessId: number,
  before: Date,
  atOnce: number,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from webhook_receipts where receipt_id in (
      select receipt_id from (
        select receipt_id, received_at, state from webhook_receipts
        where business_id = ${businessId} order by receipt_id limit ${atOnce}) oldest
      where received_at < ${before} and state <> 'kept')`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** A form has some kilobytes, and a mail's addresses stand above its words. */
const mostLookedThrough = 64 * 1024;

/**
 * Throws away what became of nothing and names one of these addresses: doubted, ignored and unreadable receipts of
 * the business. No message leads to those, so their bytes are looked through, for the address as it is and as forms
 * escape it. What is of no business known yet may be another's, which will mend its account and have it replayed: it
 * goes by its age.
 */
export async function forgetReceiptsNaming(
  tx: Tx,
  businessId: number,
  addresses: readonly string[],
): Promise<void> {
  if (addresses.length === 0) return;
  const forms = addresses.flatMap((address) => {
    const plain = address.toLowerCase().replace(/^\+/, '');
    return [...new Set([plain, encodeURIComponent(plain).toLowerCase()])];
  });
  await sql`
    delete from webhook_receipts where receipt_id in (
      select r.receipt_id from webhook_receipts r
      cross join lateral (select lower(encode(substring(r.body for ${mostLookedThrough}), 'escape')) as told) b
      where r.business_id = ${businessId} and r.state in ('quarantined', 'ignored', 'unreadable', 'failed')
        and exists (select 1 from unnest(${forms}::text[]) as f(form) where strpos(b.told, f.form) > 0))`.execute(
    tx,
  );
}

function digestOf(source: WebhookSource, webhook: RawWebhook): string {
  const hash = createHash('sha256');
  const parts = [webhook.url, ...source.proofHeaders.map((name) => webhook.headers[name] ?? '')];
  hash.update(JSON.stringify(parts)).update(webhook.body);
  return hash.digest('base64url');
}
