import { countSegments, headerFault, type Keyword, readKeyword } from '../channels/index.ts';
import type { ConsentVerdict } from '../clients/index.ts';
import type { MessageStatus } from '../core/db/index.ts';
import type { FieldFault } from '../core/fault.ts';
import type { Draft } from './draft.ts';
import type { HoursVerdict } from './hours.ts';

/** Longest text that carriers take as one message (Twilio: 1,600 characters, 10 segments advised). */
const mostSegments = 10;
export const furthestSendAtDays = 400;

/** What a message is to be, from the draft alone, and every fault that it has. */
export function checkDraft(
  draft: Draft,
  now: Date,
): { segments: number; encoding: 'GSM-7' | 'UCS-2'; faults: FieldFault[] } {
  const faults: FieldFault[] = [];
  const fail = (path: string, message: string, code: FieldFault['code'] = 'invalid_value') =>
    faults.push({ path, message, code });
  if (draft.clientId === undefined && draft.clientAddress === undefined)
    fail('client_id', 'is required (or `to`)', 'required');
  // A mail may have a megabyte, and has no segments.
  const counted = countSegments(draft.channel === 'email' ? '' : draft.content);
  if (draft.channel === 'email' && draft.act !== 'receive' && draft.subject !== undefined) {
    const fault = headerFault('subject', draft.subject);
    if (fault) faults.push(fault);
  }
  if (draft.act === 'queue' && draft.channel === 'sms' && counted.segments > mostSegments) {
    const costly = counted.offending
      .slice(0, 5)
      .map(({ character }) => character)
      .join(' ');
    const why = counted.encoding === 'UCS-2' ? ` It needs UCS-2 because of: ${costly}` : '';
    fail('content', `takes ${counted.segments} segments, ${mostSegments} at most.${why}`, 'too_long');
  }
  if (draft.sendAt && draft.sendAt.getTime() > now.getTime() + furthestSendAtDays * 86_400_000)
    fail('send_at', `is more than ${furthestSendAtDays} days ahead`, 'too_large');
  const inboundStatus = draft.status === undefined || draft.status === 'received' || draft.status === 'read';
  if (draft.status === 'scheduled' || draft.status === 'suppressed')
    fail('status', 'is for messages that Omega sends');
  else if (draft.direction === 'inbound' && !inboundStatus)
    fail('status', 'an inbound message is `received`');
  else if (draft.direction === 'outbound' && draft.status === 'received')
    fail('status', 'an outbound message is never `received`');
  if (draft.occurredAt && draft.occurredAt.getTime() > now.getTime() + 300_000)
    fail('occurred_at', 'is in the future');
  if ((draft.provider === undefined) !== (draft.providerMessageId === undefined)) {
    const missing = draft.provider === undefined ? 'provider' : 'provider_message_id';
    fail(missing, 'is required: provider and provider_message_id name a message together', 'required');
  }
  return { segments: counted.segments, encoding: counted.encoding, faults };
}

export interface Decision {
  status: MessageStatus;
  reason: string | null;
  unread: boolean;
  /** Enqueue its sending, so many seconds from now; null: nothing is sent. */
  sendInS: number | null;
  consent: 'granted' | 'revoked' | null;
  /** What a client's message was, word for word, where it was a keyword. */
  keyword: Keyword | null;
  /** When it is due, where that is later than now. */
  sendAt: Date | null;
}

/** Whether a message may be a keyword at all: only then is consent asked for an inbound one. */
export function mayBeKeyword(draft: Draft): boolean {
  if (draft.direction !== 'inbound' || (draft.channel !== 'sms' && draft.channel !== 'whatsapp'))
    return false;
  return draft.keyword !== undefined || readKeyword(draft.content, { yesOptsIn: true }) !== null;
}

const nothing = { reason: null, unread: false, sendInS: null, consent: null, keyword: null, sendAt: null };

/**
 * The rules of a new message: what its status is, whether it is sent, and what it says of consent.
 *
 * @param hours the verdict on quiet hours at the moment that it would go; null where it has none
 */
export function decide(
  draft: Draft,
  verdict: ConsentVerdict | null,
  hours: HoursVerdict | null,
  now: Date,
): Decision {
  if (draft.direction === 'inbound') {
    // YES opts in again (Twilio's default), but answers "Shall we book it?" for everyone else.
    const keyword = mayBeKeyword(draft)
      ? (draft.keyword ?? readKeyword(draft.content, { yesOptsIn: verdict?.allowed === false }))
      : null;
    const consent = keyword === 'opt_out' ? 'revoked' : keyword === 'opt_in' ? 'granted' : null;
    return { ...nothing, status: 'received', unread: draft.status !== 'read', consent, keyword };
  }
  if (draft.direction === 'internal') return { ...nothing, status: 'received' };
  if (draft.act !== 'queue') return { ...nothing, status: draft.status ?? 'sent' };
  if (verdict && !verdict.allowed) return { ...nothing, status: 'suppressed', reason: 'opted_out' };
  const due = hours && !hours.allowed ? hours.nextAllowedAt : (draft.sendAt ?? now);
  const sendInS = Math.ceil(Math.max(0, (due.getTime() - now.getTime()) / 1000));
  return {
    ...nothing,
    status: sendInS > 0 ? 'scheduled' : 'queued',
    sendInS,
    sendAt: due > now ? due : (draft.sendAt ?? null),
    reason: hours && !hours.allowed ? 'window' : null,
  };
}
