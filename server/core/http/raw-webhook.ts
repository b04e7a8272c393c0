import { Transform } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ByteBudget } from '../byte-budget.ts';

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
 * Bytes of large webhooks that a process holds at once: two of the largest mails. Anyone can post one, and it is in
 * memory before its signature can be judged. Beyond it carriers are told to come again, which all of them do.
 */
export const usualWebhookBytes = 100 * 1024 * 1024;
/** Up to the size that any operation takes, a body is not counted: nobody's large ones keep callbacks out. */
const notCounted = 1024 * 1024;

/**
 * Draws a request's body from the budget as it comes: who only announces much keeps nobody out. What would not fit is
 * refused before any of it is read.
 */
function drawFrom(scope: FastifyInstance, budget: ByteBudget): void {
  const drawn = new WeakMap<FastifyRequest, number>();
  scope.addHook('onRequest', async (request, reply) => {
    // After the answer, and where the connection broke before it.
    reply.raw.once('close', () => budget.giveBack(drawn.get(request) ?? 0));
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > notCounted) budget.mustHave(Math.min(announced, request.routeOptions.bodyLimit));
  });
  scope.addHook('preParsing', async (request, _reply, payload) => {
    let bytes = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        const more = bytes - Math.max(notCounted, bytes - chunk.length);
        try {
          if (more > 0) {
            budget.take(more);
            drawn.set(request, (drawn.get(request) ?? 0) + more);
          }
          done(null, chunk);
        } catch (refused) {
          done(refused as Error);
        }
      },
    });
    payload.once('error', (error) => counted.destroy(error));
    return payload.pipe(counted);
  });
}

/**
 * Makes a scope take any body as bytes, whatever its content type says, or with none. For a scope of the
 * route's own, since parsers are shared by all routes of a scope.
 */
export function takeRawBytes(scope: FastifyInstance, budget: ByteBudget): void {
  scope.removeAllContentTypeParsers();
  drawFrom(scope, budget);
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
