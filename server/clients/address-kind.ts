import type { AddressKind } from '../core/db/index.ts';

/** Which kind of address a channel's client is known by. */
export function addressKindOf(channel: string): AddressKind {
  if (channel === 'sms' || channel === 'voice' || channel === 'whatsapp') return 'phone';
  return channel === 'email' ? 'email' : 'other';
}
