import type { CallFacts } from '../core/db/index.ts';
import type { TwilioForm } from '../twilio/index.ts';

/**
 * Hexadecimal, as Twilio makes them. Its signature joins names and values without a mark between, so a value
 * could take up the name after it and fit all the same: an id must not be able to.
 */
export function isCallSid(text: string | null | undefined): text is string {
  return /^CA[0-9a-f]{32}$/i.test(text ?? '');
}

/** Statuses after which a leg is over (https://www.twilio.com/docs/voice/api/call-resource#call-status-values). */
const over = new Set(['completed', 'busy', 'failed', 'no-answer', 'canceled']);

export function isOver(status: string | undefined): boolean {
  return over.has(status ?? '');
}

/** How a leg ended that nobody answered, in our words. */
export function endingOf(status: string | undefined): CallFacts['ending'] {
  switch (status) {
    case 'busy':
      return 'busy';
    case 'no-answer':
      return 'no_answer';
    case 'canceled':
      return 'canceled';
    case 'failed':
      return 'failed';
    default:
      return null;
  }
}

/** Whole seconds; null for anything else. */
export function secondsOf(text: string | undefined): number | null {
  return /^[0-9]{1,9}$/.test(text ?? '') ? Number(text) : null;
}

/** When Twilio says that it happened (RFC 2822), else when it came. */
export function happenedAt(form: TwilioForm, receivedAt: Date): Date {
  const told = new Date(form.Timestamp ?? Number.NaN);
  // A clock that is far off must not write history.
  const isNear = Math.abs(told.getTime() - receivedAt.getTime()) < 86_400_000;
  return isNear ? told : receivedAt;
}

/**
 * A recording that is there. Twilio names it by its URL, from which the media is read with the account's
 * credentials (https://www.twilio.com/docs/voice/api/recording).
 */
export function recordingOf(form: TwilioForm, kind: 'conversation' | 'voicemail'): CallFacts['recording'] {
  const { RecordingSid: sid, RecordingUrl: url, RecordingStatus: status } = form;
  if (!/^RE[0-9a-f]{32}$/i.test(sid ?? '') || !url || (status ?? 'completed') !== 'completed') return null;
  const duration_s = secondsOf(form.RecordingDuration);
  // Hung up at the tone.
  if (kind === 'voicemail' && duration_s === 0) return null;
  // Its address alone gives WAV, of eight times the size.
  return { kind, sid: sid!, url: `${url}.mp3`, duration_s };
}

/** What carriers write for a number that is withheld, in words or as the digits of the words (Twilio, support article 223179988). */
const withheld = new Set([
  '',
  'anonymous',
  'restricted',
  'blocked',
  'unknown',
  'unavailable',
  'private',
  '+266696687',
  '+7378742833',
  '+2562533',
  '+8656696',
  '+86282452253',
]);

/** All who withhold their number are one client: nobody can tell them apart. */
export const anonymous = 'anonymous';

/** Who calls: a number, or {@link anonymous} for what is none. */
export function callerOf(from: string | undefined): string {
  const text = (from ?? '').trim();
  if (withheld.has(text.toLowerCase())) return anonymous;
  return /^\+?[0-9]{3,18}$/.test(text) ? text : anonymous;
}
