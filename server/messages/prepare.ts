import {
  addressKindOf,
  type ConsentVerdict,
  consentVerdicts,
  resolveClients,
  type SharedAddress,
  unknownClient,
} from '../clients/index.ts';
import { conversationOf, type LockedConversation, openConversations } from '../conversations/index.ts';
import { readSenderAddress } from '../core/addresses.ts';
import type { Tx } from '../core/db/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import { checkDraft, type Decision, decide } from './decide.ts';
import type { Draft } from './draft.ts';
import { checkReferences, chooseSenders, noSender, readBusinesses, readClientAddress } from './facts.ts';

/** A draft with all that its rules need to know, and what they decided. */
export interface Prepared {
  draft: Draft;
  messageId: string;
  occurredAt: Date;
  segments: number;
  encoding: 'GSM-7' | 'UCS-2';
  clientId: number;
  clientCreated: boolean;
  clientAddress: string | null;
  ownAddress: string | null;
  provider: string | null;
  conversation: LockedConversation;
  decision: Decision;
  /** It came from an address of several people, and does not say from whom. */
  shared: SharedAddress | null;
}

/** A draft while its facts are being gathered. */
interface Work {
  draft: Draft;
  fault?: Fault;
  counted?: { segments: number; encoding: 'GSM-7' | 'UCS-2' };
  clientAddress?: string;
  ownAddress?: string;
  provider?: string;
  locationId?: number | null;
  clientId?: number;
  clientCreated?: boolean;
  verdict?: ConsentVerdict;
  shared?: SharedAddress | null;
  conversation?: LockedConversation;
}

/**
 * Gathers the facts for many drafts, each kind with one statement for all, and lets the rules
 * decide. What is wrong with a draft is its own answer and leaves the others alone.
 */
export async function prepare(
  tx: Tx,
  now: Date,
  drafts: Draft[],
  secrets: Secrets,
): Promise<(Prepared | Fault)[]> {
  const works: Work[] = drafts.map((draft) => ({ draft }));
  for (const stage of [
    readDrafts,
    referencesExist,
    findSenders,
    findClients,
    findVerdicts,
    findConversations,
  ]) {
    const alive = works.filter((work) => !work.fault);
    if (alive.length > 0) await stage(tx, alive, now, secrets);
  }
  return works.map((work) => work.fault ?? finish(work, now));
}

async function readDrafts(tx: Tx, works: Work[], now: Date): Promise<void> {
  const businesses = await readBusinesses(
    tx,
    works.map(({ draft }) => draft.businessId),
  );
  for (const work of works) {
    const { draft } = work;
    try {
      const business = businesses.get(draft.businessId);
      if (!business) throw notFound('business', 'Bring it in with POST /business/onboard.');
      work.counted = checkDraft(draft, now);
      // `to` names the client on whatever the API takes; a carrier's inbound message has them as `from`.
      const [clientField, ownField] = draft.act === 'receive' ? ['from', 'to'] : ['to', 'from'];
      if (draft.clientAddress !== undefined) {
        work.clientAddress = readClientAddress(
          draft.channel,
          draft.clientAddress,
          business.country,
          clientField,
        );
      }
      if (draft.ownAddress !== undefined) {
        const own = readSenderAddress(draft.channel, draft.ownAddress, business.country);
        if (!own.ok) throw invalid(ownField, own.message, 'invalid_format');
        work.ownAddress = own.address;
      }
      work.provider = draft.provider;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      work.fault = error;
    }
  }
}

async function referencesExist(tx: Tx, works: Work[]): Promise<void> {
  const faults = await checkReferences(
    tx,
    works.map(({ draft }) => draft),
  );
  for (const [at, fault] of faults) works[at]!.fault = fault;
}

async function findSenders(tx: Tx, works: Work[]): Promise<void> {
  const sending = works.filter(({ draft }) => draft.act !== 'record');
  const senders = await chooseSenders(tx, sending);
  for (const [at, work] of sending.entries()) {
    const sender = senders[at];
    if (!sender) {
      work.fault = noSender(work.draft);
      continue;
    }
    work.ownAddress = sender.address;
    work.provider ??= sender.provider;
    work.locationId = sender.location_id;
  }
}

async function findClients(tx: Tx, works: Work[], now: Date): Promise<void> {
  const clients = await resolveClients(
    tx,
    now,
    works.map(({ draft, clientAddress }) => ({
      businessId: draft.businessId,
      clientId: draft.clientId,
      kind: addressKindOf(draft.channel),
      address: clientAddress,
      locationId: draft.locationId ?? null,
    })),
  );
  for (const [at, work] of works.entries()) {
    const client = clients[at]!;
    if (!client.found) {
      work.fault = unknownClient(client, 'Send `to` as well to make the client, or upsert the client first.');
    } else if (work.draft.act === 'queue' && client.address === null) {
      const detail = `The client has no address for ${work.draft.channel}. Send it as \`to\`.`;
      work.fault = new Fault('no_address', detail, {
        errors: [{ path: 'to', message: detail, code: 'required' }],
      });
    } else {
      work.clientId = client.clientId;
      work.clientCreated = client.created;
      work.clientAddress = client.address ?? undefined;
      work.shared = work.draft.direction === 'inbound' ? client.shared : null;
    }
  }
}

async function findVerdicts(tx: Tx, works: Work[], _now: Date, secrets: Secrets): Promise<void> {
  const sending = works.filter(({ draft }) => draft.act === 'queue');
  const verdicts = await consentVerdicts(
    tx,
    sending.map(({ draft, clientAddress }) => ({
      businessId: draft.businessId,
      channel: draft.channel,
      address: clientAddress!,
      category: draft.category ?? 'transactional',
    })),
    secrets,
  );
  for (const [at, work] of sending.entries()) work.verdict = verdicts[at];
}

async function findConversations(tx: Tx, works: Work[], now: Date): Promise<void> {
  const found = await openConversations(
    tx,
    now,
    works.map(({ draft, clientId, locationId }) => ({
      businessId: draft.businessId,
      clientId: clientId!,
      locationId: draft.locationId ?? locationId ?? null,
    })),
    { orLatestClosed: true },
  );
  for (const work of works) work.conversation = conversationOf(found, work.draft.businessId, work.clientId!);
}

function finish(work: Work, now: Date): Prepared {
  return {
    draft: work.draft,
    messageId: newId(),
    occurredAt: work.draft.occurredAt ?? now,
    ...work.counted!,
    clientId: work.clientId!,
    clientCreated: work.clientCreated!,
    clientAddress: work.clientAddress ?? null,
    ownAddress: work.ownAddress ?? null,
    provider: work.provider ?? null,
    conversation: work.conversation!,
    decision: decide(work.draft, work.verdict ?? null, now),
    shared: work.shared ?? null,
  };
}
