import type { RawWebhook } from '../core/http/index.ts';

/** Whether a webhook comes from whom it says: nothing of a doubted one has any effect. */
export type Belief =
  /** Signed with the account of these businesses; several may share one. */
  | { kind: 'believed'; businessIds: readonly number[] }
  /** `reason` is for whoever runs Omega, never for the caller. `businessId` where the webhook names one. */
  | { kind: 'doubted'; reason: string; businessId: number | null };

/** What the carrier gets for an answer. */
export interface WebhookAnswer {
  status: number;
  /** Media type. */
  type: string;
  body: string;
}

/**
 * What came of a believed webhook. `ignored`: of a kind that we have no use for; `unreadable`: bad bytes.
 * Both are kept and answered 2xx, for the carrier would send the same again.
 */
export interface AppliedWebhook {
  state: 'applied' | 'ignored' | 'unreadable';
  note?: string;
  /** An empty 200 unless told. */
  answer?: WebhookAnswer;
}

/** One kind of webhook: who may have sent it, and what it does. */
export interface WebhookSource {
  /** Unique among all: `twilio.sms.incoming`. */
  name: string;
  provider: string;
  /** Headers, in lower case, that prove the sender: with URL and body they tell one doubted webhook from another. */
  proofHeaders: readonly string[];
  /** Reads only. A throw (the database is away) is answered 5xx, and the carrier comes again. */
  verify(webhook: RawWebhook): Promise<Belief>;
  /** May run again after a crash, and when replayed: what it did already must not happen twice. */
  apply(webhook: RawWebhook, context: AppliedContext): Promise<AppliedWebhook>;
}

export interface AppliedContext {
  businessIds: readonly number[];
  /** Stands in every carrier event that comes of it. */
  receiptId: string;
  now: Date;
}
