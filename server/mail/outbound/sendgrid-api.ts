import { withoutSecrets } from '../../core/secrets.ts';
import { oneLine } from './smtp-outcome.ts';

export interface SendGridAccess {
  apiKey: string;
  /** `https://api.eu.sendgrid.com` for EU data residency, or a mock. */
  baseUrl?: string;
}

/** What came of a request. */
export type SendGridAnswer =
  /** `json`: null where the text is none. */
  | { kind: 'answer'; status: number; headers: Headers; text: string; json: unknown }
  /** It never reached the other side. */
  | { kind: 'not_sent'; reason: 'timeout' | 'account_config'; detail: string }
  /** It may have: no answer came, or a cut one. */
  | { kind: 'lost'; detail: string };

const defaultBaseUrl = 'https://api.sendgrid.com';
/** Answers have some hundred bytes, lists of domains some kilobytes. */
const mostAnswerBytes = 1024 * 1024;

/** Failures before a byte of the request left: nobody was there, or nobody to be trusted. */
const notReached = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * Calls SendGrid's API once. Follows no redirect, for the key would go along; reads no answer without end;
 * `signal` ends it all, however slowly the bytes drip.
 */
export async function callSendGrid(
  { apiKey, baseUrl = defaultBaseUrl }: SendGridAccess,
  { method, path, body }: { method: 'GET' | 'POST'; path: string; body?: string },
  signal: AbortSignal,
): Promise<SendGridAnswer> {
  try {
    const response = await fetch(baseUrl.replace(/\/$/, '') + path, {
      method,
      headers: {
        Authorization: `Bearer ${apiKey}`,
        Accept: 'application/json',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      body,
      redirect: 'manual',
      signal,
    });
    const { status, headers } = response;
    // The status is the answer. What is said beside it may be cut, late or endless; beside a 202 it is nothing.
    if (status === 202) void response.body?.cancel().catch(() => {});
    const text = status === 202 ? '' : withoutSecrets(await textOf(response).catch(() => ''), [apiKey]);
    return { kind: 'answer', status, headers, text, json: jsonOf(text) };
  } catch (error) {
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    const detail = oneLine(cause?.message ?? (error as Error).message);
    const code = cause?.code ?? '';
    if (notReached.has(code)) return { kind: 'not_sent', reason: 'timeout', detail };
    if (/CERT|ALTNAME|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_SSL/.test(code))
      return { kind: 'not_sent', reason: 'account_config', detail };
    return { kind: 'lost', detail };
  }
}

async function textOf(response: Response): Promise<string> {
  if (!response.body) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    chunks.push(chunk);
    if (size > mostAnswerBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `{errors: [{message, field, help}]}`: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors */
export function errorsOf(json: unknown): { message: string; field: string | null }[] {
  const errors = (json as { errors?: unknown } | null)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors
    .filter((error): error is { message: string; field?: unknown } => typeof error?.message === 'string')
    .map(({ message, field }) => ({ message, field: typeof field === 'string' ? field : null }));
}
