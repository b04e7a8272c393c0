import type { SenderAuthentication } from '../channels/index.ts';
import type { MessageStatus } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import type { CarrierEvent } from '../messages/index.ts';
import type { Belief } from '../receipts/index.ts';
import type { Dsn } from './dsn.ts';
import type { HeaderList } from './inbound/headers.ts';

/** By what an event names its mail: all that the provider says, the surest first. */
export interface MailNames {
  /** Our `omega_message_id`, as the provider brings it back. Whose it is must be looked up: anybody may write one. */
  metadata: string | null;
  /** The mail's Message-ID. */
  mailId: string | null;
  /** The provider's own ids of the mail. */
  providerIds: readonly string[];
}

export type Fact = (CarrierEvent & { kind: 'fact' })['fact'];

/** What a provider tells of a mail that we sent, in our words. */
export interface MailEvent {
  /** Unique among all that the provider ever tells. Holds no address. */
  eventKey: string;
  names: MailNames;
  /** Whom it is about; null where it does not say. */
  recipient: string | null;
  /** RFC 3339. */
  occurredAt: string | null;
  what:
    | {
        kind: 'status';
        status: MessageStatus;
        /** The provider's own word. */
        providerStatus: string;
        errorCode: string | null;
        errorMessage: string | null;
      }
    | { kind: 'fact'; fact: Fact; byMachine?: boolean };
}

/** A file of a received mail. */
export interface IncomingFile {
  filename: string | null;
  contentType: string;
  content: Buffer;
  /** Without angle brackets. */
  contentId: string | null;
}

/** A mail that somebody sent us, whichever form it came in. */
export interface IncomingMail {
  /** The provider's own id of it; null where it has none. */
  providerMailId: string | null;
  /** Whom the envelope names; empty where it is not known. */
  recipients: readonly string[];
  /** MAIL FROM: empty for a bounce, null where it is not known. */
  envelopeFrom: string | null;
  headers: HeaderList;
  subject: string | null;
  text: string;
  html: string | null;
  files: readonly IncomingFile[];
  authentication: SenderAuthentication | null;
  /** What it reports of a mail that we sent, where it is a delivery status notification. */
  dsn: Dsn | null;
}

/** One thing that a webhook tells. */
export type MailNews =
  | { kind: 'event'; event: MailEvent }
  | { kind: 'mail'; mail: IncomingMail }
  /** Of a kind that does nothing here. */
  | { kind: 'ignored'; why: string }
  | { kind: 'unreadable'; why: string };

/** A mail provider's webhooks: how they are proved, and what they say. */
export interface MailWebhooks {
  provider: string;
  /** Headers, in lower case, that prove the sender. */
  proofHeaders: readonly string[];
  verify(webhook: RawWebhook): Promise<Belief>;
  /** @param businessIds for whom it is believed. A throw is tried again later. */
  read(webhook: RawWebhook, businessIds: readonly number[]): Promise<MailNews[]>;
}

export const ignored = (why: string): MailNews => ({ kind: 'ignored', why });
export const unreadable = (why: string): MailNews => ({ kind: 'unreadable', why });
