import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Operation } from '../../../contract/index.ts';
import { Fault } from '../fault.ts';

/** A stream may take its time, but not stand still: nobody holds an import open by sending nothing. */
const idleMs = 30_000;
/** What every other connection has (`connectionTimeout` in server.ts). */
const usualIdleMs = 60_000;

/** Sockets whose request is a stream: the deadline of a whole request is not for them. */
const streaming = new WeakSet<object>();

/**
 * Makes a scope take the row's content types as they come and nothing else: the body becomes the
 * stream itself. For a scope of the route's own, since parsers are shared by all routes of a scope.
 */
export function takeStreams(scope: FastifyInstance, row: Operation): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser([...row.bodyStream!], (request, payload, done) => {
    const announced = Number(request.headers['content-length'] ?? 0);
    const limit = row.bodyLimit ?? 0;
    if (announced > limit) {
      done(
        new Fault('body_too_large', `The body is larger than ${limit} bytes. Send it in parts.`),
        undefined,
      );
      return;
    }
    const { socket } = request.raw;
    streaming.add(socket);
    socket.setTimeout(idleMs);
    request.raw.once('close', () => {
      streaming.delete(socket);
      socket.setTimeout(usualIdleMs);
    });
    done(null, payload);
  });
  scope.addContentTypeParser('*', (_request, _payload, done) => {
    const types = row.bodyStream!.join(' or ');
    done(new Fault('unsupported_media_type', `Send the body as ${types}.`), undefined);
  });
}

/** Whether Node's deadline for a whole request met a stream, which has its own. */
export function isStreaming(error: NodeJS.ErrnoException, socket: Socket | object): boolean {
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && streaming.has(socket);
}

/**
 * The stream that a row's request has as its body; an empty one where there is none. Whoever stops
 * reading it early can still answer: it is not torn down with its socket.
 */
export function streamOf(http: FastifyRequest): AsyncIterable<Buffer> {
  const body = http.body as Readable | null | undefined;
  return body ? body.iterator({ destroyOnReturn: false }) : emptyStream();
}

async function* emptyStream(): AsyncIterable<Buffer> {}
