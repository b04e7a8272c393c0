import { createHash, randomBytes } from 'node:crypto';
import type { Carrier, OutgoingMail, OutgoingMessage, SendOutcome } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import type { JobQueue, QueueDefinition } from '../core/queue/index.ts';
import { behaviourOf, type PlannedCallback } from './behaviour.ts';

/** A callback that the simulated carrier owes. */
export interface OwedCallback {
  business_id: number;
  message_id: string;
  provider_message_id: string;
  channel: string;
  from: string;
  to: string;
  callbacks: PlannedCallback[];
}

export const simulatorCallbackQueue: QueueDefinition<OwedCallback> = {
  name: 'simulator-callback',
  leaseS: 30,
  retryLimit: 20,
};

/** Seconds that a rate-limited simulator asks to wait. */
const retryAfterS = 2;

/**
 * The carrier that needs no account (contract.md, The simulator). Like a real one it keeps its own
 * books, accepts a message whenever it is asked to, and calls back later: what it owes is in the
 * queue with the message it accepted, so a crash loses neither.
 */
export function createSimulator(options: { db: Db; queue: JobQueue; clock: Clock }): Carrier {
  const { db, queue, clock } = options;

  async function accept(message: OutgoingMessage, callbacks: PlannedCallback[]): Promise<SendOutcome> {
    const providerMessageId = newSid(message.channel);
    const mail = message.mail && JSON.stringify(await witness(message, message.mail));
    await inTransaction(db, async (tx) => {
      await tx
        .insertInto('simulator_messages')
        .values({
          provider_message_id: providerMessageId,
          business_id: message.businessId,
          message_id: message.messageId,
          channel: message.channel,
          from_address: message.from,
          to_address: message.to,
          content: message.content,
          accepted_at: new Date(clock.now()),
          mail,
        })
        .execute();
      await owe(tx, message, providerMessageId, callbacks);
    });
    return { kind: 'accepted', providerMessageId, status: 'sending', providerStatus: 'queued' };
  }

  /** Those of one moment go out in one job, in their order; a later one has its own. */
  async function owe(
    tx: Tx,
    message: OutgoingMessage,
    providerMessageId: string,
    callbacks: PlannedCallback[],
  ): Promise<void> {
    const moments = Map.groupBy(callbacks, (callback) => callback.afterS);
    await queue.insert(
      tx,
      simulatorCallbackQueue,
      [...moments].map(([afterS, together]) => ({
        data: {
          business_id: message.businessId,
          message_id: message.messageId,
          provider_message_id: providerMessageId,
          channel: message.channel,
          from: message.from,
          to: message.to,
          callbacks: together,
        },
        delayS: afterS,
      })),
    );
  }

  /** @returns how often this message was tried before */
  async function countTry(message: OutgoingMessage): Promise<number> {
    const row = await db
      .insertInto('simulator_tries')
      .values({ business_id: message.businessId, message_id: message.messageId, tries: 1 })
      .onConflict((conflict) =>
        conflict
          .columns(['business_id', 'message_id'])
          .doUpdateSet((eb) => ({ tries: eb('simulator_tries.tries', '+', 1) })),
      )
      .returning('tries')
      .executeTakeFirstOrThrow();
    return row.tries - 1;
  }

  return {
    provider: 'simulator',
    channels: ['sms', 'whatsapp', 'email', 'voice'],
    account: null,

    async send(message, _account, signal) {
      const behaviour = behaviourOf(message);
      switch (behaviour.kind) {
        case 'refuse':
          return { kind: 'refused', code: behaviour.code, message: behaviour.message };
        case 'stumble':
          if ((await countTry(message)) >= behaviour.times) return accept(message, behaviour.callbacks);
          return behaviour.with === 'server_error'
            ? { kind: 'unknown', detail: 'The carrier answered 500.' }
            : {
                kind: 'refused',
                code: '20429',
                message: 'Too Many Requests',
                retryAfterMs: retryAfterS * 1000,
              };
        case 'accept': {
          const accepted = await accept(message, behaviour.callbacks);
          return behaviour.answer === 'never' ? neverAnswer(signal) : accepted;
        }
      }
    },

    async find(message, since) {
      const row = await db
        .selectFrom('simulator_messages')
        .select('provider_message_id')
        .where('business_id', '=', message.businessId)
        .where('to_address', '=', message.to)
        .where('accepted_at', '>=', since)
        .where('message_id', '=', message.messageId)
        .executeTakeFirst();
      return row
        ? {
            kind: 'found',
            providerMessageId: row.provider_message_id,
            status: 'sending',
            providerStatus: 'queued',
          }
        : { kind: 'absent' };
    },

    check: () => Promise.resolve([]),
  };
}

/** All that it was handed of a mail: who would get it, under which headers, with which files. */
async function witness(message: OutgoingMessage, mail: OutgoingMail): Promise<Record<string, unknown>> {
  const attachments = [];
  for (const { read, ...file } of mail.attachments) {
    const content = await read();
    attachments.push({ ...file, sha256: createHash('sha256').update(content).digest('hex') });
  }
  return { ...mail, subject: message.subject, attachments };
}

/** The request hangs until the caller gives up. */
function neverAnswer(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener(
      'abort',
      () => reject(new Error('The carrier accepted, but its answer never came.')),
      { once: true },
    );
  });
}

/** An id as a carrier gives: `SM…` for texts, `CA…` for calls, `EM…` for mail. */
export function newSid(channel: string): string {
  const prefix = channel === 'voice' ? 'CA' : channel === 'email' ? 'EM' : 'SM';
  return prefix + randomBytes(16).toString('hex');
}
