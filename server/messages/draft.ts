import type { Keyword, MailContent } from '../channels/index.ts';
import type { CallFacts, MessageStatus } from '../core/db/index.ts';
import type { Origin } from '../core/http/index.ts';

/**
 * A message on its way in, whichever way it came: queued, recorded, or received from a carrier.
 * All of them pass {@link writeMessages}, so the rules stand in one place.
 */
export interface Draft {
  businessId: number;
  /** queue: to be sent. record: another system sent or received it. receive: a carrier hands it to us. */
  act: 'queue' | 'record' | 'receive';
  channel: string;
  /** internal: a note. */
  direction: 'inbound' | 'outbound' | 'internal';
  clientId?: number;
  /** The client's address, as the caller wrote it. */
  clientAddress?: string;
  /** What they call themselves: the name of a client who is new. */
  clientName?: string;
  /** Whoever answers in a thread may be anybody: the address is kept with the message, and not taken for the client's. */
  fromGuest?: boolean;
  /** Of a received mail: how its client was found. */
  threadingReason?: 'reply_address' | 'references' | 'sender_address';
  /** What the caller named it by, where that is not what `act` says: faults name this field. */
  clientField?: 'from' | 'to';
  /** The business's own address: chosen when left out on a queued message. */
  ownAddress?: string;
  /** It need not be a sender of the business's: the carrier that hands the message over knows better. */
  anyOwnAddress?: boolean;
  locationId?: number;
  content: string;
  subject?: string;
  /** What a mail has besides; read by the channel's own rules before it comes here. */
  mail?: MailContent;
  /** What is known of a call when it is written down. */
  call?: CallFacts;
  /** A machine's answer (out of office): nobody waits for a reply to it. */
  autoReply?: boolean;
  /** What the carrier took the text for; read from its words when left out. */
  keyword?: Keyword;
  mediaUrls: string[];
  sentBy?: number;
  senderType?: 'staff' | 'client' | 'system' | 'automation';
  category?: 'transactional' | 'marketing';
  sendAt?: Date;
  /** While it is scheduled, a message from the client cancels it. */
  cancelOnReply?: boolean;
  externalRef?: { type: string; id: string; starts_at?: string };
  metadata: Record<string, unknown>;
  provider?: string;
  providerMessageId?: string;
  status?: MessageStatus;
  occurredAt?: Date;
  /** The conversation's last message as the writer saw it: any other stops the draft. */
  expectedLastMessageId?: string;
  requestId: string | null;
  by: Origin;
}

/** What became of a draft. */
export interface Written {
  messageId: string;
  conversationId: string;
  clientId: number;
  status: MessageStatus;
  reason: string | null;
  segments: number;
  encoding: 'GSM-7' | 'UCS-2';
  /** The carrier's message was known already: this is the one that is there. */
  duplicate: boolean;
}
