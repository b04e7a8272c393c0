import { explain, type Held, type SendOutcome } from '../channels/index.ts';
import type { MessageStatus } from '../core/db/index.ts';
import type { Exchange } from './client.ts';

/**
 * Twilio's words for a message's status (the OpenAPI's `message_enum_status`) in ours. A message that it has
 * queued or scheduled is no longer ours to send: `sending`.
 */
const statuses: Record<string, MessageStatus> = {
  accepted: 'sending',
  scheduled: 'sending',
  queued: 'sending',
  sending: 'sending',
  sent: 'sent',
  delivered: 'delivered',
  // Some segments came.
  partially_delivered: 'delivered',
  read: 'read',
  undelivered: 'undelivered',
  failed: 'failed',
  canceled: 'failed',
};

/** @returns null for a word that is not known, or is of inbound messages */
export function statusOf(word: string): MessageStatus | null {
  return Object.hasOwn(statuses, word) ? statuses[word]! : null;
}

export const messageSid = /^(SM|MM)[0-9a-zA-Z]{1,64}$/;

/** A message in an answer of Twilio's; of another shape it proves nothing. */
export function heldOf(message: unknown): Held | null {
  if (typeof message !== 'object' || message === null) return null;
  const { sid, status, error_code, error_message } = message as Record<string, unknown>;
  if (typeof sid !== 'string' || !messageSid.test(sid)) return null;
  // Its id is the proof; a new or missing word for a message that it has: it has it.
  const word = typeof status === 'string' ? status : 'accepted';
  return {
    providerMessageId: sid,
    status: statusOf(word) ?? 'sending',
    providerStatus: word.slice(0, 64),
    errorCode: codeOf(error_code),
    errorMessage: typeof error_message === 'string' ? error_message.slice(0, mostMessageChars) : null,
  };
}

const mostMessageChars = 1_000;
/** The request may have been worked on before this was answered (RFC 9110, 15.5.9). */
const requestTimeout = 408;

/**
 * What came of posting a message. Twilio's create call has no idempotency key, so only what proves that the
 * message was not taken counts as refused: an answer of 4xx, or a request that never left. All else that is
 * not a whole and sound acceptance is unknown (docs/adr/0007-outcome-unknown.md).
 */
export function sendOutcome(exchange: Exchange, error: unknown): SendOutcome {
  const { started, status, body } = exchange;
  if (!started)
    return {
      kind: 'refused',
      code: null,
      reason: 'timeout',
      message: `Twilio was not reached: ${textOf(error)}`,
    };
  if (status === null || body === null)
    return { kind: 'unknown', detail: `Twilio's answer did not come whole: ${textOf(error)}` };
  const answer = jsonOf(body);
  if (status >= 200 && status < 300) {
    const held = heldOf(answer);
    return held
      ? { kind: 'accepted', ...held }
      : { kind: 'unknown', detail: `Twilio answered ${status} without a message: ${body.slice(0, 200)}` };
  }
  if (status < 400 || status >= 500 || status === requestTimeout)
    return { kind: 'unknown', detail: `Twilio answered ${status}: ${body.slice(0, 200)}` };
  const { code, message } = (answer ?? {}) as Record<string, unknown>;
  return {
    kind: 'refused',
    message: typeof message === 'string' ? message.slice(0, mostMessageChars) : `Twilio answered ${status}.`,
    ...refusalOf(codeOf(code), status),
    ...(status === 429 && { retryAfterMs: retryAfterMs(exchange.retryAfter) }),
  };
}

/** Its own code tells more than the status; a proxy's refusal has the status alone. */
function refusalOf(code: string | null, status: number) {
  // Whatever its body says: 429 is "not taken, come again" (https://www.twilio.com/docs/api/errors/20429).
  if (status === 429) return { code: code ?? '20429' };
  if (code !== null) return { code };
  const accountRefused = status === 401 || status === 403;
  return { code: null, reason: explain('http', String(status)).reason, accountRefused };
}

function codeOf(code: unknown): string | null {
  if (typeof code === 'number' && Number.isSafeInteger(code) && code > 0) return String(code);
  return typeof code === 'string' && /^\d{1,6}$/.test(code) ? code : null;
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  // With several addresses Node tells all failures in one error that has no text of its own.
  const several = error instanceof AggregateError ? error.errors.map(textOf).join('; ') : '';
  return `${error.message || several || error.name}${cause}`.slice(0, 300);
}
