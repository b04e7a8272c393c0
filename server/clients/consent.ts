import { sql } from 'kysely';
import type { Db, Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';

/** One entry of the ledger: what someone allowed or refused for an address on a channel. */
export interface ConsentEntry {
  businessId: number;
  channel: string;
  address: string;
  category: 'transactional' | 'marketing' | 'all';
  state: 'granted' | 'revoked';
  /** Where it came from: `keyword`, `carrier`, `api`, … */
  source: string;
  evidence: Record<string, unknown>;
  clientId: number | null;
}

export interface ConsentQuestion {
  businessId: number;
  channel: string;
  address: string;
  category: 'transactional' | 'marketing';
}

/** Whether it may be sent, and the ledger's entry that says so (null: nobody ever said anything). */
export interface ConsentVerdict {
  allowed: boolean;
  entry: { consent_id: string; state: 'granted' | 'revoked'; source: string; at: string } | null;
}

/** Appends to the ledger; nothing in it is ever changed. */
export async function writeConsents(tx: Tx, now: Date, entries: ConsentEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx
    .insertInto('consents')
    .values(
      entries.map((entry) => ({
        business_id: entry.businessId,
        consent_id: newId(),
        channel: entry.channel,
        address: entry.address,
        category: entry.category,
        state: entry.state,
        source: entry.source,
        evidence: JSON.stringify(entry.evidence),
        client_id: entry.clientId,
        created_at: now,
      })),
    )
    .execute();
}

/**
 * What stands in the ledger for an address whose client was erased: a keyed hash, by which a later
 * message to the same address still meets the refusal, and which tells nobody the address.
 */
export function consentHash(secrets: Secrets, businessId: number, channel: string, address: string): string {
  return `hmac:${secrets.sign('consent', `${businessId} ${channel} ${address}`)}`;
}

/**
 * The verdict for each question, in one statement. The latest entry about the category, or about
 * all, decides; where there is none, a message may go.
 */
export async function consentVerdicts(
  tx: Tx | Db,
  questions: ConsentQuestion[],
  secrets: Secrets,
): Promise<ConsentVerdict[]> {
  if (questions.length === 0) return [];
  const asked = questions.map((question, i) => ({
    i,
    b: question.businessId,
    ch: question.channel,
    a: question.address,
    h: consentHash(secrets, question.businessId, question.channel, question.address),
    cat: question.category,
  }));
  const { rows } = await sql<{
    i: number;
    consent_id: string;
    state: 'granted' | 'revoked';
    source: string;
    created_at: Date;
  }>`
    select q.i, latest.* from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as q(i int, b bigint, ch text, a text, h text, cat text)
    cross join lateral (
      select consent_id, state, source, created_at from consents
      where business_id = q.b and channel = q.ch and address in (q.a, q.h) and category in ('all', q.cat)
      order by created_at desc, consent_id desc limit 1
    ) latest`.execute(tx);
  const verdicts: ConsentVerdict[] = questions.map(() => ({ allowed: true, entry: null }));
  for (const row of rows) {
    verdicts[row.i] = {
      allowed: row.state === 'granted',
      entry: {
        consent_id: row.consent_id,
        state: row.state,
        source: row.source,
        at: row.created_at.toISOString(),
      },
    };
  }
  return verdicts;
}

/** The channels on which each client's first phone and mail opted out, in one statement for all. */
export async function optedOutChannels(
  db: Db,
  businessId: number,
  clients: { phone: string | null; email: string | null }[],
  secrets: Secrets,
): Promise<string[][]> {
  const asked = clients.flatMap(({ phone, email }, i) => [
    ...(phone === null
      ? []
      : ['sms', 'whatsapp', 'voice'].map((channel) => ({ i, channel, address: phone }))),
    ...(email === null ? [] : [{ i, channel: 'email', address: email }]),
  ]);
  const verdicts = await consentVerdicts(
    db,
    asked.map(({ channel, address }) => ({ businessId, channel, address, category: 'transactional' })),
    secrets,
  );
  const optedOut = clients.map((): string[] => []);
  for (const [at, { i, channel }] of asked.entries()) {
    if (!verdicts[at]!.allowed) optedOut[i]!.push(channel);
  }
  return optedOut;
}
