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
  /** When it was said, where that is known and not now: an old START told today lifts no newer STOP. */
  at?: Date;
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

/** Appends to the ledger; nothing in it is ever changed. @returns the entries' ids, in their order */
export async function writeConsents(tx: Tx, now: Date, entries: ConsentEntry[]): Promise<string[]> {
  if (entries.length === 0) return [];
  const ids = entries.map(() => newId());
  await tx
    .insertInto('consents')
    .values(
      entries.map((entry, i) => ({
        business_id: entry.businessId,
        consent_id: ids[i]!,
        channel: entry.channel,
        address: entry.address,
        category: entry.category,
        state: entry.state,
        source: entry.source,
        evidence: JSON.stringify(entry.evidence),
        client_id: entry.clientId,
        created_at: entry.at && entry.at < now ? entry.at : now,
      })),
    )
    .execute();
  return ids;
}

interface LatestEntry {
  i: number;
  consent_id: string;
  category: 'transactional' | 'marketing' | 'all';
  state: 'granted' | 'revoked';
  source: string;
  created_at: Date;
}

/**
 * What stands in the ledger for an address whose client was erased: a keyed hash, by which a later
 * message to the same address still meets the refusal, and which tells nobody the address.
 */
export function consentHash(secrets: Secrets, businessId: number, channel: string, address: string): string {
  return `${hashMark}${secrets.sign('consent', `${businessId} ${channel} ${address}`)}`;
}

const hashMark = 'hmac:';

/** Whether what stands in the ledger is the hash of an address, which is shown to nobody. */
export function isConsentHash(address: string): boolean {
  return address.startsWith(hashMark);
}

/**
 * The verdict for each question, in one statement. A withdrawal of everything (STOP) holds until
 * everything is granted again (START): a newer grant of one category does not lift it, for the
 * carrier's own block would stand. Beside that the latest entry about the category decides. Where
 * nobody ever said anything, a message may go.
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
  const { rows } = await sql<LatestEntry>`
    select q.i, latest.* from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as q(i int, b bigint, ch text, a text, h text, cat text)
    cross join lateral (
      (select consent_id, category, state, source, created_at from consents
        where business_id = q.b and channel = q.ch and address in (q.a, q.h) and category = 'all'
        order by created_at desc, consent_id desc limit 1)
      union all
      (select consent_id, category, state, source, created_at from consents
        where business_id = q.b and channel = q.ch and address in (q.a, q.h) and category = q.cat
        order by created_at desc, consent_id desc limit 1)
    ) latest`.execute(tx);
  return questions.map((_, i) => verdictOf(rows.filter((row) => row.i === i)));
}

/** The rule itself, of the latest entry about everything and the latest about the category. */
export function verdictOf(latest: Omit<LatestEntry, 'i'>[]): ConsentVerdict {
  const ofAll = latest.find((entry) => entry.category === 'all');
  const ofCategory = latest.find((entry) => entry.category !== 'all');
  const newest =
    ofAll && ofCategory
      ? ofCategory.created_at.getTime() > ofAll.created_at.getTime() ||
        (ofCategory.created_at.getTime() === ofAll.created_at.getTime() &&
          ofCategory.consent_id > ofAll.consent_id)
        ? ofCategory
        : ofAll
      : (ofAll ?? ofCategory);
  const decisive = ofAll?.state === 'revoked' ? ofAll : newest;
  if (!decisive) return { allowed: true, entry: null };
  const { consent_id, state, source, created_at } = decisive;
  return { allowed: state === 'granted', entry: { consent_id, state, source, at: created_at.toISOString() } };
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
