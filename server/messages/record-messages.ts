import { type ItemResult, RecordedItem } from '../../contract/messages.ts';
import type { MessageStatus, Tx } from '../core/db/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import { compileInput, faultOf, type Origin, refuseUnstorable } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Draft } from './draft.ts';
import { timeOf } from './times.ts';
import { writeMessages } from './write-messages.ts';

export interface ItemsToRecord {
  businessId: number;
  items: unknown[];
  /** Who wrote it, of what an item names; throws where the caller may not say so. */
  authorOf(named: number | undefined): number | null;
  requestId: string;
  by: Origin;
}

const isItem = compileInput(RecordedItem, 'body');
const longestNote = 10_000;

/**
 * Records messages of any channel, together: what is wrong with one, in its form or against what is
 * there, is that one's result, and the others are written.
 */
export async function recordMessages(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  request: ItemsToRecord,
  secrets: Secrets,
): Promise<{ results: ItemResult[]; faults: (Fault | null)[] }> {
  const read = request.items.map((item) => draftOf(request, item));
  const drafts = read.filter((one): one is Draft => !(one instanceof Fault));
  const written = await writeMessages(tx, now, queue, drafts, secrets);
  let next = 0;
  const outcomes = read.map((one) => (one instanceof Fault ? one : written[next++]!));
  const results = outcomes.map((outcome, index): ItemResult => {
    const about = { index, ...itemIdOf(request.items[index]) };
    if (outcome instanceof Fault) {
      const { code, message, errors } = outcome;
      return {
        ...about,
        status: outcome.status,
        error: { code, detail: message, ...(errors && { errors }) },
      };
    }
    return {
      ...about,
      status: 201,
      message_id: outcome.messageId,
      conversation_id: outcome.conversationId,
      client_id: outcome.clientId,
      message_status: outcome.status,
      ...(outcome.duplicate && { duplicate: true }),
    };
  });
  return { results, faults: outcomes.map((outcome) => (outcome instanceof Fault ? outcome : null)) };
}

const isItemId = (id: unknown): id is string =>
  typeof id === 'string' && id.length <= 128 && id.isWellFormed() && !id.includes('\0');

/** Given back where it is one at all, so that a wrong item is found by its name. */
function itemIdOf(item: unknown): { item_id?: string } {
  const id = item && typeof item === 'object' && 'item_id' in item ? item.item_id : undefined;
  return isItemId(id) ? { item_id: id } : {};
}

function draftOf(request: ItemsToRecord, item: unknown): Draft | Fault {
  try {
    refuseUnstorable(item);
    if (!isItem(item)) throw faultOf({ validation: isItem.errors });
    return draftOfItem(request, item as RecordedItem);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function draftOfItem(request: ItemsToRecord, item: RecordedItem): Draft {
  checkForm(item);
  const inbound = item.direction === 'inbound';
  return {
    businessId: request.businessId,
    act: 'record',
    channel: item.channel,
    direction: item.direction,
    clientId: item.client_id,
    clientAddress: inbound ? item.from : item.to,
    clientField: inbound ? 'from' : 'to',
    ownAddress: inbound ? item.to : item.from,
    locationId: item.location_id,
    content: item.content ?? '',
    subject: item.subject,
    mediaUrls: item.media_urls ?? [],
    // A client's message has no author among the staff, whoever hands it in.
    sentBy: (inbound && item.sent_by === undefined ? null : request.authorOf(item.sent_by)) ?? undefined,
    senderType: item.sender_type,
    externalRef: item.external_ref,
    metadata: item.metadata ?? {},
    provider: item.provider,
    providerMessageId: item.provider_message_id,
    status: item.status as MessageStatus | undefined,
    occurredAt: timeOf(item.occurred_at),
    requestId: request.requestId,
    by: request.by,
  };
}

/** What an item's fields must be to each other. @throws 422 with every fault */
function checkForm(item: RecordedItem): void {
  const faults: Fault[] = [];
  const isNote = item.channel === 'note';
  const content = item.content ?? '';
  if (isNote !== (item.direction === 'internal'))
    faults.push(invalid('direction', 'is `internal` for a note, and for nothing else'));
  if (isNote && item.client_id === undefined)
    faults.push(invalid('client_id', 'is required: a note is about a client', 'required'));
  if (isNote && (item.from !== undefined || item.to !== undefined))
    faults.push(invalid(item.to === undefined ? 'from' : 'to', 'is not for a note, which goes to nobody'));
  if (isNote && item.status !== undefined && item.status !== 'received')
    faults.push(invalid('status', 'is `received` for a note; leave it out'));
  if (isNote && content.length > longestNote)
    faults.push(invalid('content', `must have ${longestNote} characters or fewer`, 'too_long'));
  if (content === '' && item.channel !== 'voice' && (isNote || !item.media_urls?.length))
    faults.push(invalid('content', 'must not be empty without media_urls', 'too_short'));
  if (faults.length === 0) return;
  throw new Fault('invalid_parameters', faults[0]!.message, {
    errors: faults.flatMap((fault) => fault.errors ?? []),
  });
}
