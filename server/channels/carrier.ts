import type { MessageStatus } from '../core/db/index.ts';

/** A file as it is handed to a carrier: its bytes are read when they are needed, and not before. */
export interface OutgoingAttachment {
  filename: string;
  contentType: string;
  /** Bytes. */
  size: number;
  read(): Promise<Buffer>;
}

/** What a mail has beside the words, subject and two addresses of every message. */
export interface OutgoingMail {
  /** The sender's display name. */
  fromName: string | null;
  html: string | null;
  cc: string[];
  bcc: string[];
  /** Where the caller wants answers; else the address that finds the conversation, where the sender has one. */
  replyTo: string | null;
  attachments: OutgoingAttachment[];
  /** Its Message-ID, without brackets: of every attempt the same. */
  mailId: string;
  /** The Message-ID of the client's mail that it answers, and those of the thread before it, the oldest first. */
  inReplyTo: string | null;
  references: string[];
  /** The conversation's own address at a domain: where bounces of this mail can go too. */
  conversationId: string;
  category: 'transactional' | 'marketing';
}

/** One message as it is handed to a carrier. */
export interface OutgoingMessage {
  businessId: number;
  messageId: string;
  attemptNo: number;
  /** The attempts before somebody last had it sent again (`retry`), which this is not one of; 0 where nobody did. */
  supersededAttempts: number;
  channel: string;
  from: string;
  to: string;
  content: string;
  subject: string | null;
  mediaUrls: string[];
  /** Null for what is no mail. */
  mail: OutgoingMail | null;
}

/** What came of handing it over. */
export type SendOutcome =
  /** The carrier has it, under its own id; it must never be sent again. */
  | ({
      kind: 'accepted';
      /** A mail's Message-ID as its readers see it, where the provider has put its own in place of ours. */
      mailId?: string;
      /** Who of `cc` and `bcc` does not get it, and what was said about them. */
      refusedCopies?: { address: string; code: string | null; message: string }[];
    } & Held)
  /** The carrier said no: it does not have it. `reason` where the carrier gave no code. */
  | {
      kind: 'refused';
      code: string | null;
      message: string;
      reason?: string;
      retryAfterMs?: number;
      /** It is the account that it refuses, whatever the message. Known of codes by their table. */
      accountRefused?: boolean;
    }
  /** Nobody knows: a time-out, a reset, a 5xx. Settled by a callback or by {@link Carrier.find}. */
  | { kind: 'unknown'; detail: string };

/** What a carrier says of a message that it has. */
export interface Held {
  providerMessageId: string;
  status: MessageStatus;
  providerStatus: string;
  /** Where it failed there already. */
  errorCode?: string | null;
  errorMessage?: string | null;
}

export type FindOutcome =
  | ({ kind: 'found' } & Held)
  | { kind: 'absent' }
  | { kind: 'unknown'; detail: string };

/** A business's account with the carrier, decrypted; null where it needs none. */
export type CarrierAccount = Record<string, unknown> | null;

/** One of a business's own addresses. */
export interface CarrierSender {
  channel: string;
  address: string;
  /** Of a mail sender: where answers go. */
  replyDomain?: string | null;
}

/** What is wrong with an account or a sender, in words for whoever can mend it. */
export interface Problem {
  /** The sender's address; null where it is about the account. */
  about: string | null;
  error: string;
  remedy: string;
  /** It sends all the same, but this should be mended. */
  hint?: boolean;
}

/**
 * What every carrier is to Omega. `send` is called with an attempt written down and no transaction
 * open; it may take until `signal` aborts, and a throw counts as `unknown`.
 */
export interface Carrier {
  provider: string;
  channels: readonly string[];
  /** Which of the business's accounts (`providers` of its onboarding) it sends with; null where it needs none. */
  account: string | null;
  send(message: OutgoingMessage, account: CarrierAccount, signal: AbortSignal): Promise<SendOutcome>;
  /** Asks the carrier whether it has a message whose outcome is not known. `since`: when it was handed over. */
  find(
    message: OutgoingMessage,
    since: Date,
    account: CarrierAccount,
    signal: AbortSignal,
  ): Promise<FindOutcome>;
  /**
   * Checks the account and its senders against the carrier, sending nothing to anybody: at onboarding,
   * and whenever `omega doctor` asks.
   *
   * @returns every problem with its remedy; none where all is well
   */
  check(account: CarrierAccount, senders: readonly CarrierSender[], signal: AbortSignal): Promise<Problem[]>;
  /** Ends the connections that it keeps, where it keeps any. */
  close?(): void;
  /** Tells the carrier where to call us back, where its API can be told. Safe to repeat. */
  connect?(
    account: CarrierAccount,
    senders: readonly CarrierSender[],
    /** Where carriers reach the API: the public URL with the base path, no slash at the end. */
    apiUrl: string,
    signal: AbortSignal,
  ): Promise<Problem[]>;
  /** Brings a picture or file of an inbound message, where the carrier keeps those for us. */
  fetchMedia?(url: string, account: CarrierAccount, signal: AbortSignal): Promise<MediaOutcome>;
}

export type MediaOutcome =
  /** `contentType` and the name's ending by what the bytes are, not by what anybody calls them. */
  | { kind: 'fetched'; content: Buffer; contentType: string; extension: string }
  /** It will never come: gone, too large, not the carrier's, or nothing that is kept. */
  | { kind: 'refused'; detail: string }
  | { kind: 'later'; detail: string };

/** The carriers that this process can speak with, by name. */
export type Carriers = ReadonlyMap<string, Carrier>;
