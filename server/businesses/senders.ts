import { type Selectable, sql } from 'kysely';
import type { Db, Tables, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { accountOf } from './provider-accounts.ts';

export type SenderRow = Selectable<Tables['senders']>;

/** A sender with what its channel and its account make of it. */
export type SenderState = SenderRow & {
  is_default: boolean;
  paused_at: Date | null;
  paused_reason: string | null;
};

export interface SenderFilters {
  channel?: string;
  locationId?: number;
  active: boolean;
}

/** By `chooseSenders` in messages/facts.ts, where neither a sender nor a location is named; the index `senders_default` has this order. */
const isDefault = sql<boolean>`s.active and s.sender_id = (
  select d.sender_id from senders d where d.business_id = s.business_id and d.channel = s.channel and d.active
  order by (d.location_id is not null), d.created_at, d.sender_id limit 1)`;

/** A page of the senders in the order they were brought in, and one row more. @param after the last of the page before */
export async function listSenders(
  db: Db,
  businessId: number,
  filters: SenderFilters,
  limit: number,
  after: string | null,
): Promise<SenderState[]> {
  const { rows } = await sql<SenderRow & { is_default: boolean }>`
    select s.*, ${isDefault} as is_default from senders s
    where s.business_id = ${businessId} and s.active = ${filters.active}
      ${filters.channel === undefined ? sql`` : sql`and s.channel = ${filters.channel}`}
      ${filters.locationId === undefined ? sql`` : sql`and s.location_id = ${filters.locationId}`}
      ${after === null ? sql`` : sql`and s.sender_id > ${after}::uuid`}
    order by s.sender_id limit ${limit + 1}`.execute(db);
  return withPauses(db, businessId, rows);
}

/** One sender of the business, removed or not. */
export async function senderFor(db: Db | Tx, businessId: number, senderId: string): Promise<SenderState> {
  const { rows } = await sql<SenderRow & { is_default: boolean }>`
    select s.*, ${isDefault} as is_default from senders s
    where s.business_id = ${businessId} and s.sender_id = ${senderId}::uuid`.execute(db);
  if (!rows[0]) throw notFound('sender');
  const [sender] = await withPauses(db, businessId, rows);
  return sender!;
}

/** The account of each: a business has a handful, however many senders use them. */
async function withPauses(
  db: Db | Tx,
  businessId: number,
  rows: (SenderRow & { is_default: boolean })[],
): Promise<SenderState[]> {
  const accounts = [...new Set(rows.map((row) => accountOf(row.provider)))];
  const paused =
    accounts.length === 0
      ? []
      : await db
          .selectFrom('provider_accounts')
          .select(['provider', 'paused_at', 'paused_reason'])
          .where('business_id', '=', businessId)
          .where('provider', 'in', accounts)
          .where('paused_at', 'is not', null)
          .execute();
  const byAccount = new Map(paused.map((account) => [account.provider, account]));
  return rows.map((row) => {
    const account = byAccount.get(accountOf(row.provider));
    return { ...row, paused_at: account?.paused_at ?? null, paused_reason: account?.paused_reason ?? null };
  });
}

/** A sender as the API shows it. */
export function presentSender(row: SenderState) {
  return {
    sender_id: row.sender_id,
    business_id: row.business_id,
    channel: row.channel as 'sms' | 'whatsapp' | 'email' | 'voice',
    address: row.address,
    name: row.name,
    provider: row.provider,
    location_id: row.location_id,
    reply_domain: row.reply_domain,
    is_default: row.is_default,
    active: row.active,
    paused_at: row.paused_at?.toISOString() ?? null,
    paused_reason: row.paused_reason,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
