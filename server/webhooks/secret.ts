import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { invalid } from '../core/fault.ts';

const prefix = 'whsec_';
/** Standard Webhooks, "Signature scheme": 24 to 64 bytes. */
const [shortest, longest] = [24, 64];

export const newSecret = () => prefix + randomBytes(32).toString('base64');

/** @throws 422 for what is no secret of the specification */
export function readSecret(text: string): string {
  const encoded = text.slice(prefix.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded || bytes.length < shortest || bytes.length > longest)
    throw invalid(
      'secret',
      'must be whsec_ and 24 to 64 bytes in base64, with its padding',
      'invalid_format',
    );
  return text;
}

/** The headers of one attempt: a signature for each secret that counts now. */
export function signedHeaders(
  secrets: readonly string[],
  eventId: string,
  at: Date,
  body: string,
): Record<string, string> {
  return {
    'webhook-id': eventId,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(eventId, at, body)).join(' '),
  };
}
