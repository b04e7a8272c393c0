import { headerFault } from '../channels/index.ts';
import { readEmail, readSenderAddress } from '../core/addresses.ts';
import type { FieldFault } from '../core/fault.ts';

/** What is told of a sender, at onboarding or by itself. */
export interface GivenSender {
  channel: string;
  address: string;
  name?: string | null;
  provider: string;
  location_id?: number | null;
  reply_domain?: string | null;
}

/** A sender as it is kept. */
export interface SenderFields {
  channel: string;
  address: string;
  name: string | null;
  provider: string;
  location_id: number | null;
  reply_domain: string | null;
}

/**
 * What the schema cannot say of a sender, every fault at once. Its location and its carrier are looked
 * for by whoever asks.
 *
 * @param at where it stands in the request, with a dot at its end: `senders.0.`
 */
export function readSender(
  given: GivenSender,
  country: string,
  at: string,
): { sender: SenderFields; faults: FieldFault[] } {
  const { channel } = given;
  const faults: FieldFault[] = [];
  const address = readSenderAddress(channel, given.address, country);
  if (!address.ok) faults.push({ path: `${at}address`, message: address.message, code: 'invalid_format' });
  // It stands in the From header of every mail.
  const header = channel === 'email' && headerFault(`${at}name`, given.name ?? '');
  if (header) faults.push(header);
  const reply = readReplyDomain(given.reply_domain, `${at}reply_domain`);
  faults.push(...reply.faults);
  if (reply.domain !== null && channel !== 'email')
    faults.push({
      path: `${at}reply_domain`,
      message: 'is for mail senders alone',
      code: 'invalid_value',
    });
  const sender = {
    channel,
    address: address.ok ? address.address : '',
    name: given.name ?? null,
    provider: given.provider,
    location_id: given.location_id ?? null,
    reply_domain: reply.domain,
  };
  return { sender, faults };
}

export function readReplyDomain(
  domain: string | null | undefined,
  path: string,
): { domain: string | null; faults: FieldFault[] } {
  if (domain === undefined || domain === null) return { domain: null, faults: [] };
  const email = readEmail(`reply@${domain}`);
  if (email.ok) return { domain: email.email.slice('reply@'.length), faults: [] };
  const message = 'must be a domain such as reply.example.com';
  return { domain: null, faults: [{ path, message, code: 'invalid_format' }] };
}
