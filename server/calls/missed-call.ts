import { sql } from 'kysely';
import { outcomeOf } from '../channels/index.ts';
import { lockConversations } from '../conversations/index.ts';
import type { Clock } from '../core/clock.ts';
import { type CallFacts, type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import type { JobHandler, JobQueue, QueueDefinition } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { writeMessages } from '../messages/index.ts';
import type { CallParts } from './parts.ts';
import { readSettings } from './settings.ts';

interface MissedCall {
  business_id: number;
  message_id: string;
}

export const missedCallQueue: QueueDefinition<MissedCall> = {
  name: 'missed-call-text',
  leaseS: 30,
  retryLimit: 5,
};

/** Callbacks come in any order: one that tells of an answer after all gets this long. */
const soonS = 15;
/** While a caller leaves a message, which takes three minutes at most, their phone need not buzz. */
const afterVoicemailS = 210;
/** Who calls five times gets one text. */
const againAfterH = 1;

export function textWhenMissed(db: Db, queue: JobQueue): CallParts['textWhenMissed'] {
  return async (call, business_id, when) => {
    if (call.direction !== 'inbound' || (call.outcome !== 'missed' && call.outcome !== 'voicemail')) return;
    const delayS = when === 'soon' ? soonS : afterVoicemailS;
    const data = { business_id, message_id: call.messageId };
    await inTransaction(db, (tx) => queue.insert(tx, missedCallQueue, [{ data, delayS }]));
  };
}

export function callJobs(options: {
  db: Db;
  clock: Clock;
  queue: JobQueue;
  secrets: Secrets;
  log: Log;
}): JobHandler<never>[] {
  const { db, clock } = options;
  const handler: JobHandler<MissedCall> = {
    queue: missedCallQueue,
    batchSize: 10,
    concurrency: 1,
    async run(jobs) {
      const failed = new Map<string, Error>();
      for (const job of jobs) {
        try {
          await inTransaction(db, (tx) => answerMissedCall(tx, new Date(clock.now()), options, job.data));
        } catch (error) {
          failed.set(job.id, error as Error);
        }
      }
      return failed;
    },
  };
  return [handler as unknown as JobHandler<never>];
}

/** Texts a caller whom nobody answered, if the location says so and it was not done within the hour. */
async function answerMissedCall(
  tx: Tx,
  now: Date,
  { queue, secrets, log }: { queue: JobQueue; secrets: Secrets; log: Log },
  { business_id: businessId, message_id: messageId }: MissedCall,
): Promise<void> {
  const call = await tx
    .selectFrom('messages')
    .select([
      'conversation_id',
      'client_id',
      'direction',
      'from_address',
      'to_address',
      'location_id',
      'call',
    ])
    .where('business_id', '=', businessId)
    .where('message_id', '=', messageId)
    .executeTakeFirst();
  if (!call?.call || !/^\+[1-9][0-9]{1,14}$/.test(call.from_address ?? '')) return;
  const { missed_call_text: text } = await readSettings(tx, businessId, call.location_id);
  if (text === null || !isMissed(call.direction, call.call)) return;
  // Two jobs of one call, or two calls of one client, meet here.
  await lockConversations(tx, [{ businessId, conversationId: call.conversation_id }]);
  const since = new Date(now.getTime() - againAfterH * 3_600_000);
  const { rows } = await sql`
    select 1 from messages where business_id = ${businessId} and conversation_id = ${call.conversation_id}
      and metadata ? 'missed_call' and (occurred_at >= ${since} or metadata ->> 'missed_call' = ${messageId}) limit 1`.execute(
    tx,
  );
  if (rows.length > 0) return;
  const [written] = await writeMessages(
    tx,
    now,
    queue,
    [
      {
        businessId,
        act: 'queue',
        channel: 'sms',
        direction: 'outbound',
        clientId: call.client_id,
        clientAddress: call.from_address!,
        ownAddress: await textSender(tx, businessId, call.to_address),
        locationId: call.location_id ?? undefined,
        content: text,
        mediaUrls: [],
        senderType: 'automation',
        metadata: { missed_call: messageId },
        requestId: null,
        by: { actor: { type: 'system', id: null }, origin: {} },
      },
    ],
    secrets,
  );
  if (written instanceof Fault)
    log.warn({ message_id: messageId }, `a missed call was not answered by a text: ${written.message}`);
}

function isMissed(direction: 'inbound' | 'outbound' | 'internal', call: CallFacts): boolean {
  const outcome = outcomeOf(direction, call);
  return direction === 'inbound' && (outcome === 'missed' || outcome === 'voicemail');
}

/** The number that was called, where it texts too; else the location's, by the rule of every text. */
async function textSender(tx: Tx, businessId: number, called: string | null): Promise<string | undefined> {
  const row = await tx
    .selectFrom('senders')
    .select('address')
    .where('business_id', '=', businessId)
    .where('channel', '=', 'sms')
    .where('active', '=', true)
    .where('address', '=', called)
    .executeTakeFirst();
  return row?.address;
}
