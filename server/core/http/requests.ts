import { createHash, hash } from 'node:crypto';
import { sql } from 'kysely';
import type { Db, Tx } from '../db/index.ts';
import { Fault } from '../fault.ts';
import type { Secrets } from '../secrets.ts';

/** A write's identity: the same id with the same fingerprint is the same request. */
export interface RequestKey {
  businessId: number;
  requestId: string;
  operation: string;
  fingerprint: string;
}

export interface KeptAnswer {
  status: number;
  body: unknown;
}

/** What stands behind a request id: nothing until now, or the request that came first and its answer. */
export type Claim = { kind: 'new' } | { kind: 'kept'; fingerprint: string; answer: KeptAnswer };

/** How long a request's answer is kept: longer than any client repeats (contract.md). */
export const requestRetentionDays = 30;

/** Of the operation and what was asked, whatever the order of the fields. */
export function fingerprintOf(operation: string, parts: unknown): string {
  return createHash('sha256').update(operation).update(canonicalJson(parts)).digest('base64url');
}

/**
 * Twice what any schema takes. An item that answers for itself has not been looked at yet, and may nest without end:
 * it is refused for that wherever it comes, and need not be told from another such.
 */
const deepestTold = 64;

/** Longer texts, a mail's files, are told apart by their hash: quoting 33 MB takes a second in which nothing else runs. */
const longText = 64 * 1024;

function canonicalJson(value: unknown, depth = 0): string {
  if (typeof value === 'string' && value.length > longText) return `sha256:${hash('sha256', value)}`;
  if (depth > deepestTold) return 'deeper';
  if (Array.isArray(value)) return `[${value.map((part) => canonicalJson(part, depth + 1)).join(',')}]`;
  if (value && typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field, depth + 1)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

export function keyText(key: { businessId: number; requestId: string }): string {
  return `${key.businessId} ${key.requestId}`;
}

/**
 * Claims the ids of several requests in one statement (and reads the answers of those that were
 * there in another). A twin whose first still runs elsewhere waits here for its commit, until the
 * lock times out. Keys must be distinct.
 */
export async function claimRequests(
  tx: Tx,
  keys: RequestKey[],
  now: Date,
  secrets: Secrets,
): Promise<Map<string, Claim>> {
  const claims = new Map<string, Claim>();
  // In one order everywhere: two batches that share ids must not wait for each other crosswise.
  const ordered = [...keys].sort(
    (a, b) => a.businessId - b.businessId || (a.requestId < b.requestId ? -1 : 1),
  );
  const inserted = await tx
    .insertInto('requests')
    .values(
      ordered.map((key) => ({
        business_id: key.businessId,
        request_id: key.requestId,
        operation: key.operation,
        fingerprint: key.fingerprint,
        created_at: now,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning(['business_id', 'request_id'])
    .execute();
  for (const row of inserted)
    claims.set(keyText({ businessId: row.business_id, requestId: row.request_id }), { kind: 'new' });

  const others = ordered.filter((key) => !claims.has(keyText(key)));
  if (others.length === 0) return claims;
  const rows = await tx
    .selectFrom('requests')
    .selectAll()
    .where(
      sql<boolean>`(business_id, request_id) in (${sql.join(others.map((key) => sql`(${key.businessId}::bigint, ${key.requestId}::text)`))})`,
    )
    .execute();
  const found = new Map(
    rows.map((row) => [keyText({ businessId: row.business_id, requestId: row.request_id }), row]),
  );
  for (const key of others) {
    const row = found.get(keyText(key));
    if (!row || row.status === null) {
      throw new Fault(
        'request_in_progress',
        'The first request with this request_id still runs. Repeat in a moment.',
        { retryAfterS: 1 },
      );
    }
    const body = row.sealed_answer
      ? JSON.parse(secrets.open(row.sealed_answer, `answer ${keyText(key)}`))
      : row.answer;
    claims.set(keyText(key), {
      kind: 'kept',
      fingerprint: row.fingerprint,
      answer: { status: row.status, body },
    });
  }
  return claims;
}

/** Keeps the answers beside their claims, in one statement. `sealed` ones hold a credential. */
export async function keepAnswers(
  tx: Tx,
  answers: { key: RequestKey; answer: KeptAnswer; sealed: boolean }[],
  secrets: Secrets,
): Promise<void> {
  if (answers.length === 0) return;
  const rows = answers.map(({ key, answer, sealed }) => {
    const text = JSON.stringify(answer.body);
    return {
      business_id: key.businessId,
      request_id: key.requestId,
      status: answer.status,
      answer: sealed ? null : text,
      sealed_answer: sealed ? secrets.seal(text, `answer ${keyText(key)}`) : null,
    };
  });
  await sql`
    update requests set status = kept.status, answer = kept.answer, sealed_answer = kept.sealed_answer
    from jsonb_to_recordset(${JSON.stringify(rows.map((row) => ({ ...row, answer: row.answer === null ? null : JSON.parse(row.answer) })))}::jsonb)
      as kept(business_id bigint, request_id text, status integer, answer jsonb, sealed_answer text)
    where requests.business_id = kept.business_id and requests.request_id = kept.request_id`.execute(tx);
}

/** The first answer, for a repetition of the first request. @throws where it is another request under its id */
export function answerAgain(claim: Claim & { kind: 'kept' }, key: RequestKey): KeptAnswer {
  if (claim.fingerprint !== key.fingerprint) throw requestIdReused();
  return claim.answer;
}

export function requestIdReused(): Fault {
  return new Fault(
    'request_id_reused',
    'This request_id was used with another body. Take a new one for a new request.',
    {
      errors: [{ path: 'request_id', message: 'was used with another body', code: 'conflict' }],
    },
  );
}

/** Forgets the answers that nobody repeats any more, a bounded number at a time. @returns how many */
export async function forgetOldRequests(db: Db, now: Date): Promise<number> {
  const before = new Date(now.getTime() - requestRetentionDays * 86_400_000);
  const { numAffectedRows } = await sql`
    delete from requests where (business_id, request_id) in (
      select business_id, request_id from requests where created_at < ${before} order by created_at limit 1000)`.execute(
    db,
  );
  return Number(numAffectedRows ?? 0);
}
