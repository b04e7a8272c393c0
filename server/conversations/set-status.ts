import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { lockConversationFor } from './access.ts';
import { type LockedConversation, lockConversations, saveConversations } from './open.ts';
import { wakeConversationQueue } from './queues.ts';

export interface StatusChange {
  businessId: number;
  clientId: number;
  conversationId: string;
  status: LockedConversation['status'];
  snoozedUntil: Date | null;
  by: Origin;
}

const longestSnoozeMs = 366 * 86_400_000;

/**
 * Changes a conversation's status; a snoozed one gets a job that wakes it.
 *
 * @returns the conversation, which a merge may have taken elsewhere than the path says
 */
export async function setConversationStatus(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  want: StatusChange,
): Promise<string> {
  checkSnooze(want, now);
  const conversation = await lockConversationFor(tx, want.businessId, want.clientId, want.conversationId);
  const { conversation_id: conversationId, client_id: clientId } = conversation;
  const from = {
    status: conversation.status,
    snoozed_until: conversation.snoozed_until?.toISOString() ?? null,
  };
  const to = { status: want.status, snoozed_until: want.snoozedUntil?.toISOString() ?? null };
  if (from.status === to.status && from.snoozed_until === to.snoozed_until) return conversationId;
  if (from.status === 'closed') await noOtherOpen(tx, { ...want, clientId });

  conversation.status = want.status;
  conversation.snoozed_until = want.snoozedUntil;
  // Closed is answered: the list of those who wait must not hold it.
  if (want.status === 'closed') conversation.waiting_since = null;
  await saveConversations(tx, now, [conversation]);
  if (want.snoozedUntil) {
    await queue.insert(tx, wakeConversationQueue, [
      {
        data: { business_id: want.businessId, conversation_id: conversationId },
        delayS: Math.ceil((want.snoozedUntil.getTime() - now.getTime()) / 1000),
      },
    ]);
  }
  await recordEvents(tx, now, [
    {
      businessId: want.businessId,
      type: 'conversation.status_changed',
      by: want.by,
      changed: {
        status: { from: from.status, to: to.status },
        ...(from.snoozed_until !== to.snoozed_until && {
          snoozed_until: { from: from.snoozed_until, to: to.snoozed_until },
        }),
      },
      data: { conversation_id: conversationId, client_id: clientId },
    },
  ]);
  return conversationId;
}

function checkSnooze({ status, snoozedUntil }: StatusChange, now: Date): void {
  if (status !== 'snoozed') {
    if (snoozedUntil) throw invalid('snoozed_until', 'goes with the status `snoozed` alone');
    return;
  }
  if (!snoozedUntil) throw invalid('snoozed_until', 'is required with the status `snoozed`', 'required');
  if (snoozedUntil <= now) throw invalid('snoozed_until', 'is not in the future', 'too_small');
  if (snoozedUntil.getTime() - now.getTime() > longestSnoozeMs)
    throw invalid('snoozed_until', 'is more than a year ahead', 'too_large');
}

/** At most one conversation of a client is not closed. */
async function noOtherOpen(tx: Tx, want: StatusChange): Promise<void> {
  if (want.status === 'closed') return;
  const other = await tx
    .selectFrom('conversations')
    .select('conversation_id')
    .where('business_id', '=', want.businessId)
    .where('client_id', '=', want.clientId)
    .where('status', '<>', 'closed')
    .executeTakeFirst();
  if (other) {
    throw new Fault(
      'conflict',
      `The client has another conversation that is not closed: ${other.conversation_id}. Go on in that one, or close it first.`,
    );
  }
}

/** Clocks of machines differ: a job that comes by so much before its time is early, and not of an older snooze. */
const earlyMs = 3_600_000;

/** Opens the conversations whose snooze is over. One snoozed again meanwhile has another job, for then. */
export async function wakeConversations(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  ids: { businessId: number; conversationId: string }[],
): Promise<void> {
  const snoozed = [...(await lockConversations(tx, ids)).values()].flatMap((row) =>
    row.status === 'snoozed' && row.snoozed_until !== null
      ? [{ row, inMs: row.snoozed_until.getTime() - now.getTime() }]
      : [],
  );
  const early = snoozed.filter(({ inMs }) => inMs > 2_000 && inMs <= earlyMs);
  await queue.insert(
    tx,
    wakeConversationQueue,
    early.map(({ row, inMs }) => ({
      data: { business_id: row.business_id, conversation_id: row.conversation_id },
      delayS: Math.ceil(inMs / 1000),
    })),
  );
  const due = snoozed.flatMap(({ row, inMs }) => (inMs <= 2_000 ? [row] : []));
  for (const row of due) {
    row.status = 'open';
    row.snoozed_until = null;
  }
  await saveConversations(tx, now, due);
  await recordEvents(
    tx,
    now,
    due.map((row) => ({
      businessId: row.business_id,
      type: 'conversation.status_changed' as const,
      by: { actor: { type: 'system' as const, id: null }, origin: {} },
      changed: { status: { from: 'snoozed', to: 'open' } },
      data: { conversation_id: row.conversation_id, client_id: row.client_id, because: 'snooze.ended' },
    })),
  );
}
