import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What a carrier posted, byte for byte: signatures are made over exactly this. */
export interface RawWebhook {
  method: string;
  /** What the carrier called: the public URL of the configuration, never a forwarded header's, with the query as it came. */
  url: string;
  /** By lower-case name; of a repeated header every value, joined as Node joins them. */
  headers: Record<string, string>;
  body: Buffer;
  /** The caller's address, for the log. */
  ip: string;
  /** Freshness is judged by this, also when it is looked at again later. */
  receivedAt: Date;
}

/**
 * Makes a scope take any body as bytes, whatever its content type says, or with none. For a scope of the
 * route's own, since parsers are shared by all routes of a scope.
 */
export function takeRawBytes(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  // Not judged by its type: one that is misspelt is a webhook all the same, and is to be kept.
  scope.addHook('onRequest', async (request) => {
    const type = request.headers['content-type'];
    if (type === undefined) return;
    sentTypes.set(request, type);
    request.headers['content-type'] = 'application/octet-stream';
  });
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

const sentTypes = new WeakMap<FastifyRequest, string>();

/** @param publicUrl where carriers reach this server; no slash at the end */
export function rawWebhookOf(request: FastifyRequest, publicUrl: string, now: Date): RawWebhook {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  const type = sentTypes.get(request);
  if (type !== undefined) headers['content-type'] = type;
  return {
    method: request.method,
    url: publicUrl + request.raw.url!,
    headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    ip: request.ip,
    receivedAt: now,
  };
}
