import { countSegments, readKeyword } from '../channels/index.ts';
import type { ConsentVerdict } from '../clients/index.ts';
import type { MessageStatus } from '../core/db/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import type { Draft } from './draft.ts';

/** Longest text that carriers take as one message (Twilio: 1,600 characters, 10 segments advised). */
const mostSegments = 10;
export const furthestSendAtDays = 400;

/** What a message is to be, from the draft alone. @throws 422 naming the field */
export function checkDraft(draft: Draft, now: Date): { segments: number; encoding: 'GSM-7' | 'UCS-2' } {
  if (draft.clientId === undefined && draft.clientAddress === undefined) {
    throw new Fault('invalid_parameters', 'Name the client: client_id or to.', {
      errors: [{ path: 'client_id', message: 'is required (or `to`)', code: 'required' }],
    });
  }
  const counted = countSegments(draft.content);
  if (draft.act === 'queue' && draft.channel === 'sms' && counted.segments > mostSegments) {
    const costly = counted.offending
      .slice(0, 5)
      .map(({ character }) => character)
      .join(' ');
    const why = counted.encoding === 'UCS-2' ? ` It needs UCS-2 because of: ${costly}` : '';
    throw invalid(
      'content',
      `takes ${counted.segments} segments, ${mostSegments} at most.${why}`,
      'too_long',
    );
  }
  if (draft.sendAt && draft.sendAt.getTime() > now.getTime() + furthestSendAtDays * 86_400_000) {
    throw invalid('send_at', `is more than ${furthestSendAtDays} days ahead`, 'too_large');
  }
  const inboundStatus = draft.status === undefined || draft.status === 'received' || draft.status === 'read';
  if (draft.direction === 'inbound' && !inboundStatus)
    throw invalid('status', 'an inbound message is `received`');
  if (draft.direction === 'outbound' && draft.status === 'received')
    throw invalid('status', 'an outbound message is never `received`');
  if (draft.status === 'scheduled' || draft.status === 'suppressed')
    throw invalid('status', 'is for messages that Omega sends');
  if (draft.occurredAt && draft.occurredAt.getTime() > now.getTime() + 300_000)
    throw invalid('occurred_at', 'is in the future');
  if ((draft.provider === undefined) !== (draft.providerMessageId === undefined)) {
    const missing = draft.provider === undefined ? 'provider' : 'provider_message_id';
    throw invalid(
      missing,
      'is required: provider and provider_message_id name a message together',
      'required',
    );
  }
  return { segments: counted.segments, encoding: counted.encoding };
}

export interface Decision {
  status: MessageStatus;
  reason: string | null;
  unread: boolean;
  /** Enqueue its sending, so many seconds from now; null: nothing is sent. */
  sendInS: number | null;
  consent: 'granted' | 'revoked' | null;
}

/** The rules of a new message: what its status is, whether it is sent, and what it says of consent. */
export function decide(draft: Draft, verdict: ConsentVerdict | null, now: Date): Decision {
  if (draft.direction === 'inbound') {
    const keyword =
      draft.channel === 'sms' || draft.channel === 'whatsapp' ? readKeyword(draft.content) : null;
    return {
      status: 'received',
      reason: null,
      unread: draft.status !== 'read',
      sendInS: null,
      consent: keyword === 'opt_out' ? 'revoked' : keyword === 'opt_in' ? 'granted' : null,
    };
  }
  if (draft.direction === 'internal')
    return { status: 'received', reason: null, unread: false, sendInS: null, consent: null };
  if (draft.act !== 'queue') {
    return { status: draft.status ?? 'sent', reason: null, unread: false, sendInS: null, consent: null };
  }
  if (verdict && !verdict.allowed)
    return { status: 'suppressed', reason: 'opted_out', unread: false, sendInS: null, consent: null };
  const delayS = draft.sendAt ? Math.max(0, (draft.sendAt.getTime() - now.getTime()) / 1000) : 0;
  return {
    status: delayS > 0 ? 'scheduled' : 'queued',
    reason: null,
    unread: false,
    sendInS: Math.ceil(delayS),
    consent: null,
  };
}
