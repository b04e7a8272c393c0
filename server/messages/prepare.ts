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
import { Fault, invalidFields, notFound } from '../core/fault.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import { checkDraft, type Decision, decide, mayBeKeyword } from './decide.ts';
import type { Draft, Written } from './draft.ts';
import { nothingWasMissed } from './expected-last-message.ts';
import {
  checkReferences,
  chooseSenders,
  findKnown,
  noSender,
  readBusinesses,
  readCarrierSender,
  readClientAddress,
} from './facts.ts';
import { clientTimeZones, type HoursVerdict, hasQuietHours, hoursVerdict } from './hours.ts';

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

/** A draft of a message that is there already. */
export interface Known {
  known: Written;
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
  known?: Written;
  hours?: HoursVerdict;
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
): Promise<(Prepared | Known | Fault)[]> {
  const works: Work[] = drafts.map((draft) => ({ draft }));
  for (const stage of [
    readDrafts,
    findDuplicates,
    referencesExist,
    findSenders,
    findClients,
    findVerdicts,
    findConversations,
    findHours,
  ]) {
    const alive = works.filter((work) => !work.fault && !work.known);
    if (alive.length > 0) await stage(tx, alive, now, secrets);
  }
  return works.map((work) => work.fault ?? (work.known ? { known: work.known } : finish(work, now)));
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
      const { faults, ...counted } = checkDraft(draft, now);
      work.counted = counted;
      // `to` names the client on whatever the API takes; a carrier's inbound message has them as `from`.
      const clientIsFrom = draft.clientField ? draft.clientField === 'from' : draft.act === 'receive';
      const [clientField, ownField] = clientIsFrom ? ['from', 'to'] : ['to', 'from'];
      if (draft.clientAddress !== undefined) {
        const readAddress = draft.act === 'receive' ? readCarrierSender : readClientAddress;
        const client = readAddress(draft.channel, draft.clientAddress, business.country);
        if (client.ok) work.clientAddress = client.address;
        else faults.push({ path: clientField, message: client.message, code: 'invalid_format' });
      }
      if (draft.ownAddress !== undefined && addressKindOf(draft.channel) === 'other') {
        work.ownAddress = draft.ownAddress.trim();
      } else if (draft.ownAddress !== undefined) {
        const own = readSenderAddress(draft.channel, draft.ownAddress, business.country);
        if (own.ok) work.ownAddress = own.address;
        else faults.push({ path: ownField, message: own.message, code: 'invalid_format' });
      }
      if (faults.length > 0) throw invalidFields(faults);
      work.provider = draft.provider;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      work.fault = error;
    }
  }
}

async function findDuplicates(tx: Tx, works: Work[]): Promise<void> {
  const found = await findKnown(
    tx,
    works.map(({ draft }) => draft),
  );
  for (const [at, row] of found) {
    const work = works[at]!;
    work.known = {
      messageId: row.message_id,
      conversationId: row.conversation_id,
      clientId: row.client_id,
      status: row.status,
      reason: null,
      ...work.counted!,
      duplicate: true,
    };
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
    if (!sender && work.draft.anyOwnAddress && work.ownAddress !== undefined) continue;
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
      address: draft.fromGuest ? undefined : clientAddress,
      name: draft.clientName,
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
      if (!work.draft.fromGuest) work.clientAddress = client.address ?? undefined;
      work.shared = work.draft.direction === 'inbound' ? client.shared : null;
    }
  }
}

async function findVerdicts(tx: Tx, works: Work[], _now: Date, secrets: Secrets): Promise<void> {
  const sending = works.filter(({ draft }) => draft.act === 'queue' || mayBeKeyword(draft));
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

/** Asked of what quiet hours are for, at the moment that it would go. */
async function findHours(tx: Tx, works: Work[], now: Date): Promise<void> {
  const asked = works.filter(({ draft }) => draft.act === 'queue' && hasQuietHours(draft));
  const zones = await clientTimeZones(
    tx,
    asked.map(({ draft, clientId, conversation }) => ({
      businessId: draft.businessId,
      clientId: clientId!,
      // The message's own: it is asked for again when it is due, and when it is moved.
      locationId: draft.locationId ?? conversation!.location_id,
    })),
  );
  for (const [at, work] of asked.entries()) {
    const { sendAt } = work.draft;
    const due = sendAt && sendAt > now ? sendAt : now;
    work.hours = hoursVerdict({ category: 'marketing', timeZone: zones[at]!, at: due });
  }
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
  await nothingWasMissed(tx, works);
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
    decision: decide(work.draft, work.verdict ?? null, work.hours ?? null, now),
    shared: work.shared ?? null,
  };
}
