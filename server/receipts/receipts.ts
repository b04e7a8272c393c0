import type { Clock } from '../core/clock.ts';
import { type Db, faultOfDatabaseError, type ReceiptState } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { RawWebhook } from '../core/http/index.ts';
import type { Log } from '../core/log.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Belief, WebhookAnswer, WebhookSource } from './source.ts';
import {
  countFailure,
  forgetReceipts,
  keepReceipt,
  readReceipt,
  receiptsLeftBehind,
  settleReceipt,
  webhookOf,
} from './store.ts';

export interface Received {
  receiptId: string;
  state: ReceiptState;
  note: string | null;
  /** Null where an empty 200 will do, or it has yet to be applied. */
  answer: WebhookAnswer | null;
}

/** Where every webhook of a carrier comes in: kept first, then judged and applied. */
export interface Receipts {
  /**
   * Keeps a webhook as it came and applies it when its sender is believed. What is kept is answered
   * 2xx, whatever comes of it: {@link Receipts.resume} goes on with it.
   *
   * @throws Fault `invalid_signature` for one in quarantine; the caller learns nothing of why
   */
  receive(source: string, webhook: RawWebhook): Promise<Received>;
  /** Judges a receipt anew (a credential may have been mended) and applies it; null where there is none. */
  replay(receiptId: string): Promise<Received | null>;
  /** Applies what was believed and, for a crash, not applied. */
  resume(): Promise<number>;
  /** Throws away what is old. */
  tidy(): Promise<number>;
}

/** What is being applied right now must not be taken for left behind. */
const resumeAfterMs = 30_000;
const mostTries = 5;

/**
 * Carriers wait 10 to 15 s and then post the same again. A batch of a thousand events may take longer: it is kept
 * by then, and a crash in the middle is what {@link Receipts.resume} is for.
 */
const answerWithinMs = 5_000;

const soon = (ms: number) => new Promise<null>((resolve) => setTimeout(resolve, ms, null).unref());

export function createReceipts(options: {
  db: Db;
  clock: Clock;
  log: Log;
  secrets: Secrets;
  sources: readonly WebhookSource[];
  /** Told of every webhook that came, and what became of it by its answer. */
  received?: (source: string, state: ReceiptState) => void;
}): Receipts {
  const { db, clock, log, secrets } = options;
  const now = () => new Date(clock.now());
  const sources = new Map(options.sources.map((source) => [source.name, source]));
  if (sources.size < options.sources.length) throw new Error('Two sources of webhooks have one name.');

  /** After a few tries it is for people to see; a database or carrier that is away does not count. */
  async function countOrGiveUp(receiptId: string, error: unknown): Promise<Received> {
    const isAway =
      faultOfDatabaseError(error) !== null || (error instanceof Fault && error.code === 'unavailable');
    const note = error instanceof Error ? error.message : String(error);
    if (isAway) {
      log.warn({ err: error, receipt_id: receiptId }, 'a kept webhook waits');
      return { receiptId, state: 'kept', note, answer: null };
    }
    const gaveUp = (await countFailure(db, receiptId, note)) >= mostTries;
    if (gaveUp) await settleReceipt(db, now(), receiptId, { state: 'failed', note });
    return { receiptId, state: gaveUp ? 'failed' : 'kept', note, answer: null };
  }

  /** Nothing that is posted may look like a fault of ours: the carrier would send it for ever. */
  async function judge(source: WebhookSource, webhook: RawWebhook): Promise<Belief> {
    try {
      return await source.verify(webhook);
    } catch (error) {
      // What we cannot judge now for a trouble of ours, the carrier sends again.
      if (faultOfDatabaseError(error) || (error instanceof Fault && error.status >= 500)) throw error;
      log.error({ err: error, source: source.name }, 'a webhook could not be judged');
      const why = error instanceof Error ? error.message : String(error);
      return { kind: 'doubted', reason: `It could not be judged: ${why}`, businessId: null };
    }
  }

  async function apply(
    source: WebhookSource,
    webhook: RawWebhook,
    receiptId: string,
    businessIds: readonly number[],
  ): Promise<Received> {
    try {
      const {
        state,
        note = null,
        answer = null,
      } = await source.apply(webhook, {
        businessIds,
        receiptId,
        now: now(),
      });
      await settleReceipt(db, now(), receiptId, { state, note, businessId: oneOf(businessIds) });
      if (state === 'unreadable')
        log.warn({ receipt_id: receiptId, source: source.name }, `webhook could not be read: ${note}`);
      return { receiptId, state, note, answer };
    } catch (error) {
      log.error(
        { err: error, receipt_id: receiptId, source: source.name },
        'a kept webhook could not be applied',
      );
      // The database is away: it is no fault of the webhook's, and does not count.
      if (faultOfDatabaseError(error)) return { receiptId, state: 'kept', note: null, answer: null };
      return countOrGiveUp(receiptId, error);
    }
  }

  async function again(receiptId: string): Promise<Received | null> {
    const row = await readReceipt(db, receiptId);
    if (!row) return null;
    const source = sources.get(row.source);
    if (!source) {
      const note = `This version of Omega takes no webhook ${row.source}.`;
      if (row.state === 'kept') await settleReceipt(db, now(), receiptId, { state: 'failed', note });
      return { receiptId, state: row.state === 'kept' ? 'failed' : row.state, note, answer: null };
    }
    const webhook = webhookOf(row, secrets);
    const belief = await judge(source, webhook);
    if (belief.kind === 'believed') return apply(source, webhook, receiptId, belief.businessIds);
    // What was applied once stays so, whatever became of the credential since.
    const state = row.state === 'kept' ? 'failed' : row.state;
    if (row.state === 'kept' || row.state === 'quarantined')
      await settleReceipt(db, now(), receiptId, { state, note: belief.reason });
    return { receiptId, state, note: belief.reason, answer: null };
  }

  return {
    async receive(name, webhook) {
      const source = sources.get(name);
      if (!source) throw new Error(`No source of webhooks is named ${name}.`);
      const belief = await judge(source, webhook);
      if (belief.kind === 'doubted') {
        const { reason, businessId } = belief;
        const receiptId = await keepReceipt(db, secrets, now(), source, webhook, {
          state: 'quarantined',
          businessId,
          note: reason,
        });
        log.warn(
          { receipt_id: receiptId, source: name, business_id: businessId, ip: webhook.ip },
          `webhook in quarantine: ${reason}`,
        );
        options.received?.(name, 'quarantined');
        throw new Fault('invalid_signature', 'The signature does not fit this request.');
      }
      const receiptId = await keepReceipt(db, secrets, now(), source, webhook, {
        state: 'kept',
        businessId: oneOf(belief.businessIds),
        note: null,
      });
      const applying = apply(source, webhook, receiptId, belief.businessIds);
      const received = await Promise.race([applying, soon(answerWithinMs)]);
      options.received?.(name, received?.state ?? 'kept');
      if (received) return received;
      log.info(
        { receipt_id: receiptId, source: name },
        'a webhook takes long: it is answered before it is applied',
      );
      applying.catch((error) =>
        log.error({ err: error, receipt_id: receiptId }, 'a kept webhook could not be applied'),
      );
      return { receiptId, state: 'kept', note: null, answer: null };
    },

    replay: again,

    async resume() {
      const left = await receiptsLeftBehind(db, new Date(clock.now() - resumeAfterMs));
      // One that cannot be judged just now, or opened at all, holds up no other.
      for (const receiptId of left) await again(receiptId).catch((error) => countOrGiveUp(receiptId, error));
      return left.length;
    },

    tidy: () => forgetReceipts(db, now()),
  };
}

function oneOf(businessIds: readonly number[]): number | null {
  return businessIds.length === 1 ? businessIds[0]! : null;
}
