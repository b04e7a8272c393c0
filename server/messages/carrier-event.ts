import type { Keyword, SenderAuthentication } from '../channels/index.ts';
import type { CallFacts, MessageStatus } from '../core/db/index.ts';
import type { Fault } from '../core/fault.ts';
import type { Written } from './draft.ts';
import type { CallStart, NotedCall } from './note-call.ts';
import type { Fact } from './note-fact.ts';

/** What a carrier told us, in our words; `raw` is what it posted, as it was. */
export type CarrierEvent = {
  provider: string;
  businessId: number;
  /** What the carrier posted, where it is not kept as a receipt. */
  raw: Record<string, unknown>;
  /** The receipt that it was read from. */
  receiptId?: string;
  /** The carrier's own id of the event, unique for the business and carrier: told again, it is nothing new. */
  eventKey?: string;
} & (
  | {
      kind: 'status';
      /** Ours, where the callback's URL names it; else the message is found by the carrier's id. */
      messageId: string | null;
      /** Which attempt of ours, where the callback's URL names it. */
      attemptNo?: number;
      providerMessageId: string;
      status: MessageStatus;
      providerStatus: string;
      errorCode: string | null;
      errorMessage: string | null;
      occurredAt: string | null;
    }
  | {
      kind: 'inbound';
      providerMessageId: string;
      channel: string;
      from: string;
      to: string;
      /** `to` need not be one of the business's senders: a carrier's pool has numbers that we were not told. */
      anyOwnAddress?: boolean;
      content: string;
      subject: string | null;
      /** A mail's, as it came. */
      html?: string | null;
      /** What the carrier took it for, where it says so; else it is read from the words. */
      keyword?: Keyword;
      /** What else a mail brings. Its files' bytes go beside the event: they stay in the receipt. */
      mail?: InboundMail;
      /** A machine wrote it. */
      autoReply?: boolean;
      mediaUrls: string[];
      occurredAt: string | null;
      requestId: string | null;
    }
  | {
      kind: 'call';
      providerMessageId: string;
      start: CallStart | null;
      told: Partial<CallFacts>;
      providerStatus: string | null;
      occurredAt: string | null;
    }
  /** Something beside the status. */
  | {
      kind: 'fact';
      messageId: string | null;
      providerMessageId: string;
      fact: Fact;
      occurredAt: string | null;
      /** Who did it, where that is not the message's client. */
      address?: string;
      byMachine?: boolean;
    }
);

/** A mail that somebody sent us, beside its words. */
export interface InboundMail {
  /** What the sender calls themselves; null where they do not. */
  fromName: string | null;
  /** Its Message-ID without brackets. */
  mailId: string | null;
  cc: string[];
  replyTo: string | null;
  /** The Message-IDs that it answers, the nearest first. */
  references: string[];
  /** The conversation of the reply address that it was sent to. */
  conversationId: string | null;
  authentication: SenderAuthentication | null;
  files: number;
  /** Beyond what is kept of one mail. */
  filesLeftOut: number;
}

export type Applied =
  | { state: 'applied'; written: Written | null; call?: NotedCall }
  | { state: 'parked' }
  | { state: 'refused'; fault: Fault };
