import type { Event } from './operations.ts';

/** A post that is not to be believed. What is told apart is for logs; the answer to the sender is 400 or 401 for all. */
export class WebhookError extends Error {
  readonly code: 'missing_header' | 'bad_secret' | 'too_old' | 'too_new' | 'wrong_signature' | 'not_json';

  constructor(code: WebhookError['code'], message: string) {
    super(message);
    this.name = 'WebhookError';
    this.code = code;
  }
}

type HeadersLike = { get(name: string): string | null } | Record<string, string | string[] | undefined>;

/**
 * Checks by Standard Webhooks that a post is from Omega, fresh and as it was sent. Works in Node and in browsers.
 *
 * ```ts
 * const event = await verifyWebhook(await request.text(), request.headers, process.env.WEBHOOK_SECRET);
 * ```
 *
 * @param body as it came: parsed and written again it may differ by a space
 * @param headers of `fetch`, or of Node's `IncomingMessage`
 * @param secret `whsec_…`; several while one is being changed for another
 * @throws {@link WebhookError}
 */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: HeadersLike,
  secret: string | readonly string[],
  { now = new Date(), toleranceS = 300 }: { now?: Date; toleranceS?: number } = {},
): Promise<Event> {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) =>
    headerOf(headers, `webhook-${name}`),
  );
  if (!id || !timestamp || !signatures || !/^\d{1,12}$/.test(timestamp))
    throw new WebhookError(
      'missing_header',
      'webhook-id, webhook-timestamp or webhook-signature is missing.',
    );
  const ageS = Math.floor(now.getTime() / 1000) - Number(timestamp);
  if (ageS > toleranceS) throw new WebhookError('too_old', `It was signed ${ageS} s ago.`);
  if (ageS < -toleranceS) throw new WebhookError('too_new', `It was signed ${-ageS} s ahead of this clock.`);

  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  const signed = concat(
    new TextEncoder().encode(`${id}.${timestamp}.`),
    typeof body === 'string' ? new TextEncoder().encode(body) : body,
  );
  for (const one of typeof secret === 'string' ? [secret] : secret) {
    const key = await keyOf(one);
    for (const signature of signatures.split(' ')) {
      const bytes = signature.startsWith('v1,') ? decoded(signature.slice(3)) : null;
      // The platform compares, in a time that does not depend on where they differ.
      if (bytes && (await crypto.subtle.verify('HMAC', key, bytes, signed))) return parsed(text);
    }
  }
  throw new WebhookError('wrong_signature', 'No signature fits the body and the secret.');
}

function headerOf(headers: HeadersLike, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined;
  const [, value] = Object.entries(headers).find(([one]) => one.toLowerCase() === name) ?? [];
  return Array.isArray(value) ? value[0] : (value as string | undefined);
}

async function keyOf(secret: string) {
  const bytes = decoded(secret.replace(/^whsec_/, ''));
  if (!bytes?.length) throw new WebhookError('bad_secret', 'The secret is whsec_ and base64.');
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
}

function decoded(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function parsed(text: string): Event {
  try {
    return JSON.parse(text) as Event;
  } catch {
    throw new WebhookError('not_json', 'The body is not JSON.');
  }
}
