import { sql } from 'kysely';
import { countSegments } from '../channels/index.ts';
import { consentVerdicts } from '../clients/index.ts';
import { type Db, inTransaction, type MessageStatus, type Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Draft } from './draft.ts';
import { clientTimeZones, type HoursVerdict, hoursVerdict } from './hours.ts';
import { type Prepared, prepare } from './prepare.ts';

export interface Preflight {
  prepared: Prepared;
  dueAt: Date | null;
  counted: ReturnType<typeof countSegments>;
  consent: {
    allowed: boolean;
    entry: {
      consent_id: string;
      state: 'granted' | 'revoked';
      source: string;
      at: string;
      evidence: Record<string, unknown>;
    } | null;
  };
  hours: HoursVerdict;
  duplicates: { message_id: string; status: MessageStatus; created_at: Date }[];
}

/** Carries the findings out of a transaction that must not commit. */
class Undone extends Error {
  readonly findings: Preflight;

  constructor(findings: Preflight) {
    super('A preflight leaves nothing behind.');
    this.findings = findings;
  }
}

/**
 * Decides a message as its send would, with the same code on the same locked rows, and undoes it all.
 *
 * @throws what the send would be refused with
 */
export async function preflight(db: Db, now: Date, draft: Draft, secrets: Secrets): Promise<Preflight> {
  try {
    return await inTransaction(db, async (tx) => {
      const [prepared] = await prepare(tx, now, [draft], secrets);
      if (prepared instanceof Fault) throw prepared;
      // A draft without a carrier's id is never one that is there already.
      if (!prepared || 'known' in prepared) throw new Error('A preflight found its message there already.');
      throw new Undone(await findingsOf(tx, now, prepared, secrets));
    });
  } catch (error) {
    if (error instanceof Undone) return error.findings;
    throw error;
  }
}

async function findingsOf(tx: Tx, now: Date, prepared: Prepared, secrets: Secrets): Promise<Preflight> {
  const { draft, clientId, clientAddress, conversation, decision } = prepared;
  const category = draft.category ?? 'transactional';
  const { businessId, channel } = draft;
  const [verdict] = await consentVerdicts(
    tx,
    [{ businessId, channel, address: clientAddress!, category }],
    secrets,
  );
  const [timeZone] = await clientTimeZones(tx, [
    { businessId, clientId, locationId: draft.locationId ?? conversation.location_id },
  ]);
  const at = new Date(Math.max(now.getTime(), draft.sendAt?.getTime() ?? 0));
  const entry = verdict!.entry;
  return {
    prepared,
    dueAt: decision.sendInS === null ? null : decision.sendInS > 0 ? decision.sendAt : now,
    counted: countSegments(draft.content),
    consent: {
      allowed: verdict!.allowed,
      entry: entry && { ...entry, evidence: await evidenceOf(tx, businessId, entry.consent_id) },
    },
    hours: hoursVerdict({ category, timeZone: timeZone!, at }),
    duplicates: await duplicatesOf(tx, now, prepared),
  };
}

async function evidenceOf(tx: Tx, businessId: number, consentId: string): Promise<Record<string, unknown>> {
  const row = await tx
    .selectFrom('consents')
    .select('evidence')
    .where('business_id', '=', businessId)
    .where('consent_id', '=', consentId)
    .executeTakeFirst();
  return row?.evidence ?? {};
}

const duplicateWithinMs = 600_000;

/** The same words to the same client shortly before, in whichever conversation state; not what was never sent. */
async function duplicatesOf(tx: Tx, now: Date, { draft, conversation }: Prepared) {
  const since = new Date(now.getTime() - duplicateWithinMs);
  const { rows } = await sql<{ message_id: string; status: MessageStatus; created_at: Date }>`
    select message_id, status, created_at from messages
    where business_id = ${draft.businessId} and conversation_id = ${conversation.conversation_id}
      and occurred_at >= ${since} and direction = 'outbound' and channel = ${draft.channel}
      and status not in ('canceled', 'suppressed', 'failed', 'undelivered') and content = ${draft.content}
    order by occurred_at desc, message_id desc limit 10`.execute(tx);
  return rows;
}
