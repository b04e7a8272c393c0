import type { MessageStatus } from '../core/db/index.ts';

/** What the simulated carrier tells later, after it accepted. */
export interface PlannedCallback {
  afterS: number;
  status: MessageStatus;
  providerStatus: string;
  errorCode?: string;
  errorMessage?: string;
  /** Something beside the status. */
  fact?: 'complaint';
  /** A reply that comes by itself. */
  autoReply?: { subject: string; content: string };
}

/** How the simulated carrier treats an address. */
export type Behaviour =
  | { kind: 'refuse'; code: string; message: string }
  | { kind: 'accept'; callbacks: PlannedCallback[]; answer: 'now' | 'never' }
  /** Fails this many times before it accepts. */
  | { kind: 'stumble'; times: number; with: 'server_error' | 'rate_limit'; callbacks: PlannedCallback[] };

const sent: PlannedCallback = { afterS: 0, status: 'sent', providerStatus: 'sent' };
const delivered: PlannedCallback = { afterS: 0, status: 'delivered', providerStatus: 'delivered' };
const undelivered = (errorCode: string, errorMessage: string): PlannedCallback => ({
  afterS: 0,
  status: 'undelivered',
  providerStatus: 'undelivered',
  errorCode,
  errorMessage,
});

const refuse = (code: string, message: string): Behaviour => ({ kind: 'refuse', code, message });
const accept = (...callbacks: PlannedCallback[]): Behaviour => ({ kind: 'accept', callbacks, answer: 'now' });

const usual = accept(sent, delivered);

/** Twilio's magic numbers mean what they mean at Twilio (https://www.twilio.com/docs/iam/test-credentials); 0010 and up are ours. */
const numbers: Record<string, Behaviour> = {
  '+15005550001': refuse('21211', "The 'To' number is not a valid phone number."),
  '+15005550002': refuse('21612', "The 'To' phone number is not currently reachable from this sender."),
  '+15005550003': refuse('21408', 'Permission to send to the region of this number has not been enabled.'),
  '+15005550004': refuse('21610', 'Attempt to send to unsubscribed recipient.'),
  '+15005550009': refuse('21614', "The 'To' number is not a valid mobile number."),
  '+15005550010': accept(sent, { ...delivered, afterS: 60 }),
  '+15005550011': accept(sent, undelivered('30003', 'Unreachable destination handset')),
  '+15005550012': accept(sent, undelivered('30006', 'Landline or unreachable carrier')),
  '+15005550013': accept(sent, undelivered('30007', 'Message filtered')),
  '+15005550014': accept(sent, sent, delivered, delivered),
  '+15005550015': accept(delivered, sent),
  '+15005550016': {
    kind: 'accept',
    callbacks: [
      { ...sent, afterS: 1 },
      { ...delivered, afterS: 1 },
    ],
    answer: 'never',
  },
  '+15005550017': { kind: 'stumble', times: 2, with: 'server_error', callbacks: [sent, delivered] },
  '+15005550018': { kind: 'stumble', times: 1, with: 'rate_limit', callbacks: [sent, delivered] },
};

/** Magic sender numbers of Twilio: sending from them fails. */
const senders: Record<string, Behaviour> = {
  '+15005550001': refuse('21212', "The 'From' number is not a valid phone number."),
  '+15005550007': refuse('21606', "The 'From' phone number is not owned by your account or cannot send SMS."),
  '+15005550008': refuse('21611', "The 'From' number has exceeded the maximum number of queued messages."),
};

const mailboxes: Record<string, Behaviour> = {
  success: usual,
  bounce: accept(sent, undelivered('5.1.1', 'The mailbox does not exist.')),
  softbounce: accept(sent, undelivered('4.2.2', 'The mailbox is full.')),
  complaint: accept(sent, delivered, { ...delivered, fact: 'complaint' }),
  suppressed: refuse('suppressed', 'The address is on the suppression list.'),
  ooto: accept(sent, {
    ...delivered,
    autoReply: { subject: 'Out of office', content: 'I am away and will answer when I am back.' },
  }),
};

/** What happens to a message between these addresses; all that is not magic is delivered at once. */
export function behaviourOf(message: { channel: string; from: string; to: string }): Behaviour {
  if (message.channel === 'email') {
    const [mailbox, host] = message.to.split('@');
    return (host === 'simulator.test' && mailbox !== undefined && mailboxes[mailbox]) || usual;
  }
  return senders[message.from] ?? numbers[message.to] ?? usual;
}
