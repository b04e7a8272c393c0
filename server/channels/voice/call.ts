import type { Call, CallOutcome } from '../../../contract/index.ts';
import type { CallFacts, MessageStatus } from '../../core/db/index.ts';

type Direction = 'inbound' | 'outbound' | 'internal';

export const nothingKnown: Readonly<CallFacts> = Object.freeze({
  answered_at: null,
  answered_by: null,
  ended_at: null,
  ending: null,
  duration_s: null,
  recording: null,
});

/** Of several told endings the strongest counts, so that all orders come to the same. */
const endings = ['canceled', 'no_answer', 'busy', 'failed'] as const;

/**
 * What is known of a call after the carrier told something more. Told twice or in another order it comes to the
 * same: the earliest answer, the latest end, the longest duration count.
 */
export function learn(known: CallFacts, told: Partial<CallFacts>): CallFacts {
  return {
    answered_at: least(known.answered_at, told.answered_at),
    answered_by: least(known.answered_by, told.answered_by),
    ended_at: most(known.ended_at, told.ended_at),
    ending: endings.findLast((one) => one === known.ending || one === told.ending) ?? null,
    duration_s: most(known.duration_s, told.duration_s),
    recording: recordingOf(known.recording, told.recording ?? null),
  };
}

function least<T extends string | number>(one: T | null, other: T | null | undefined): T | null {
  if (one === null || other === null || other === undefined) return one ?? other ?? null;
  return one < other ? one : other;
}

function most<T extends string | number>(one: T | null, other: T | null | undefined): T | null {
  if (one === null || other === null || other === undefined) return one ?? other ?? null;
  return one > other ? one : other;
}

/** Words for a call's progress, from the first to the last. */
const words = [
  'queued',
  'initiated',
  'ringing',
  'in-progress',
  'canceled',
  'no-answer',
  'busy',
  'failed',
  'completed',
];

/** Of two words of the carrier's the one that says more, so that all orders come to the same. */
export function laterWord(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return words.indexOf(other) >= words.indexOf(one) ? other : one;
}

/** A call has one recording; were there two, the longer one is the one to keep. */
function recordingOf(one: CallFacts['recording'], other: CallFacts['recording']): CallFacts['recording'] {
  if (!one || !other) return one ?? other;
  if (one.sid === other.sid) return { ...one, duration_s: most(one.duration_s, other.duration_s) };
  const [first, second] = one.sid < other.sid ? [one, other] : [other, one];
  return (second.duration_s ?? 0) > (first.duration_s ?? 0) ? second : first;
}

/** What became of a call, by what is known. Nothing that is told later takes an answer back. */
export function outcomeOf(direction: Direction, call: CallFacts): CallOutcome {
  if (call.answered_at !== null) return call.ended_at === null ? 'in_progress' : 'completed';
  if (call.recording?.kind === 'voicemail') return 'voicemail';
  if (direction === 'inbound') return call.ended_at === null ? 'ringing' : 'missed';
  return call.ending ?? (call.ended_at === null ? 'ringing' : 'no_answer');
}

/** Our words for a call that staff made; null while nothing is known of it. */
export function statusOfCall(outcome: CallOutcome): { status: MessageStatus; reason?: string } | null {
  switch (outcome) {
    case 'in_progress':
    case 'completed':
    case 'voicemail':
      return { status: 'delivered' };
    case 'busy':
      return { status: 'undelivered', reason: 'busy' };
    case 'no_answer':
    case 'canceled':
    case 'missed':
      return { status: 'undelivered', reason: 'unanswered' };
    case 'failed':
      return { status: 'failed', reason: 'call_failed' };
    case 'ringing':
      return null;
  }
}

export function presentCall(direction: Direction, call: CallFacts): Call {
  const { answered_at, answered_by, ended_at, recording } = call;
  return {
    outcome: outcomeOf(direction, call),
    answered_at,
    answered_by,
    ended_at,
    duration_s: answered_at === null && ended_at !== null ? 0 : call.duration_s,
    recording: recording && { kind: recording.kind, duration_s: recording.duration_s },
  };
}
