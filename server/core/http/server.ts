import cookie from '@fastify/cookie';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { contract, isWrite, type Operation, type OperationId } from '../../../contract/index.ts';
import { createByteBudget } from '../byte-budget.ts';
import type { Clock } from '../clock.ts';
import { type Db, inTransaction } from '../db/index.ts';
import { Fault } from '../fault.ts';
import { newId } from '../ids.ts';
import type { Log } from '../log.ts';
import type { Secrets } from '../secrets.ts';
import type { Binding, Call } from './bindings.ts';
import { isStreaming, takeStreams } from './body-stream.ts';
import { businessOf, type Caller, originOf } from './caller.ts';
import { createRateLimits, type Limits } from './limits.ts';
import { registerDocs } from './openapi.ts';
import { faultOf, problemOf } from './problem.ts';
import { takeRawBytes, usualWebhookBytes } from './raw-webhook.ts';
import { answerAgain, claimRequests, fingerprintOf, keepAnswers, keyText } from './requests.ts';
import { compileAnswer, compileInput, compileWriter, refuseUnstorable } from './validation.ts';

export interface HttpOptions {
  bindings: readonly Binding[];
  /** Who calls, by the request's credentials; null where they are missing or wrong. */
  authenticate(request: FastifyRequest): Promise<Caller | null>;
  db: Db;
  clock: Clock;
  secrets: Secrets;
  log: Log;
  limits: Limits;
  /** `/omega` unless configured. */
  basePath: string;
  publicUrl: string;
  version: string;
  /**
   * Whose `X-Forwarded-For` to believe: the number of proxies in front, or their addresses (a CIDR list).
   * Nobody's unless told: anyone could name any address.
   */
  trustProxy?: number | string[];
  /** Refuses to send an answer that its schema does not allow. For tests: it costs a second walk. */
  checkAnswers: boolean;
  /** Bytes of large webhooks that are held at once; 100 MiB unless told. */
  webhookBytes?: number;
  /** Told of every answer; `operation` is null for what is none of the contract's. */
  answered?: (operation: string | null, status: number, seconds: number) => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    /** `request_id` of a write, else one of ours; in every answer and log line. */
    requestId: string;
  }
}

const defaultBodyLimit = 1024 * 1024;
const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/;
/** Of an operation that reads nothing from the query. */
const noQuery = { type: 'object', properties: {}, additionalProperties: false };

/** Builds the HTTP server out of the contract's rows and the functions bound to them; does not listen. */
export async function buildHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { log, basePath } = options;
  const bound = bindAll(options.bindings);
  const limits = createRateLimits(options.limits);
  const webhookBytes = createByteBudget(options.webhookBytes ?? usualWebhookBytes);

  const http = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => newId(),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256 },
    bodyLimit: defaultBodyLimit,
    // A whole request within this, headers included: nobody holds a socket by dripping bytes.
    requestTimeout: 30_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    // Ours answers as the contract says (problem+json, Retry-After).
    return503OnClosing: false,
    trustProxy: trustedProxies(options.trustProxy),
    // A path that cannot be decoded, or with an endless part, never comes to the hooks.
    frameworkErrors(error, request, reply) {
      reply.header('X-Request-Id', String(request.id));
      sendFault(faultOf(error), request, reply, log);
    },
    // Half-read requests and the like have no answer to give but this.
    clientErrorHandler(error: NodeJS.ErrnoException, socket) {
      if (error.code === 'ECONNRESET' || socket.destroyed || isStreaming(error, socket)) return;
      const status =
        error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'invalid_json';
      const body = JSON.stringify(problemOf(new Fault(code, 'The request could not be read.'), newId()));
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  });

  // Fastify reads plain text of itself; here it would be a body that no schema knows.
  http.removeContentTypeParser('text/plain');
  addJsonParser(http);
  http.decorateRequest('caller', null);
  http.decorateRequest('requestId', '');
  await http.register(cookie);
  http.setValidatorCompiler(({ schema, httpPart }) => compileInput(schema as object, httpPart));
  http.setSerializerCompiler(({ schema }) => compileWriter(schema as object));

  let closing = false;
  http.addHook('preClose', async () => {
    closing = true;
  });

  http.addHook('onRequest', async (request, reply) => {
    request.requestId = String(request.id);
    reply.header('X-Request-Id', request.requestId);
    reply.header('X-Content-Type-Options', 'nosniff');
    reply.header('Cache-Control', 'no-store');
    if (closing)
      throw new Fault('unavailable', 'This server is stopping. Repeat in a moment.', { retryAfterS: 2 });
  });

  // Idle connections are closed once, when closing begins. One that is busy then becomes idle after its
  // answer, and would hold the process until the client lets go of it.
  http.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('Connection', 'close');
  });

  http.addHook('onResponse', async (request, reply) => {
    const { url, config } = request.routeOptions;
    options.answered?.(config?.operation?.id ?? null, reply.statusCode, reply.elapsedTime / 1000);
    const line = {
      request_id: request.requestId,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.caller?.keyId && { key_id: request.caller.keyId }),
    };
    const isProbe = url?.includes('/health') || config?.operation?.id === 'getMetrics';
    const level = reply.statusCode >= 500 ? 'warn' : isProbe ? 'debug' : 'info';
    // The path without its query: filters can hold a client's name or number.
    log[level](line, `${request.method} ${request.url.split('?')[0]}`);
  });

  http.setErrorHandler((error, request, reply) => sendFault(faultOf(error), request, reply, log));

  http.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    const others = methodsAt(path, basePath);
    const fault =
      others.length > 0 && !others.includes(request.method)
        ? new Fault('method_not_allowed', `This path takes ${others.join(', ')}.`)
        : new Fault(
            'not_found',
            `There is nothing at this path. The API is described at ${basePath}/openapi.json and /docs.`,
          );
    if (fault.code === 'method_not_allowed') reply.header('Allow', others.join(', '));
    return sendFault(fault, request, reply, log);
  });

  await registerDocs(http, options);

  await http.register(
    async (scope) => {
      for (const [id, row] of Object.entries(contract) as [OperationId, Operation][]) {
        if (row.bodyStream === undefined && !row.webhook) {
          addRoute(scope, row, bound.get(id)!, options, limits);
          continue;
        }
        await scope.register(async (own) => {
          if (row.webhook) takeRawBytes(own, webhookBytes);
          else takeStreams(own, row);
          addRoute(own, row, bound.get(id)!, options, limits);
        });
      }
    },
    { prefix: basePath },
  );

  return http;
}

function trustedProxies(given: HttpOptions['trustProxy']) {
  return typeof given === 'number' ? (_address: string, hop: number) => hop < given : (given ?? false);
}

/** Fastify's own parser reads a string, in which bytes that are no UTF-8 have silently become U+FFFD. */
function addJsonParser(http: FastifyInstance): void {
  const parse = http.getDefaultJsonParser('error', 'error');
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  http.removeContentTypeParser('application/json');
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // Many clients send their usual content type along with nothing.
    if (request.method === 'DELETE' && body.length === 0) {
      done(null, {});
      return;
    }
    let text: string;
    try {
      text = utf8.decode(body as Buffer);
    } catch {
      done(new Fault('invalid_encoding', 'The body is not valid UTF-8. Send JSON in UTF-8.'));
      return;
    }
    void parse(request, text, done);
  });
}

/** Each row has a function and each function a row, or the start stops here. */
function bindAll(bindings: readonly Binding[]): Map<OperationId, Binding> {
  const bound = new Map<OperationId, Binding>();
  for (const binding of bindings) {
    if (!(binding.id in contract))
      throw new Error(`A function is bound to ${binding.id}, which the contract does not have.`);
    if (bound.has(binding.id)) throw new Error(`Two functions are bound to ${binding.id}.`);
    bound.set(binding.id, binding);
  }
  const missing = Object.keys(contract).filter((id) => !bound.has(id as OperationId));
  if (missing.length > 0)
    throw new Error(`The contract has operations without a function: ${missing.join(', ')}.`);
  return bound;
}

function addRoute(
  scope: FastifyInstance,
  row: Operation,
  binding: Binding,
  options: HttpOptions,
  limits: ReturnType<typeof createRateLimits>,
): void {
  const checks = options.checkAnswers
    ? new Map(Object.entries(row.output).map(([status, schema]) => [Number(status), compileAnswer(schema)]))
    : null;

  scope.route({
    method: row.method,
    url: row.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: row.bodyLimit ?? defaultBodyLimit,
    schema: {
      ...(row.input.params && { params: row.input.params }),
      // Monitors hang what they like on a public URL; elsewhere a misplaced `send_at` must not send now.
      ...((row.input.query || row.auth !== 'public') && { querystring: row.input.query ?? noQuery }),
      ...(row.input.body && { body: row.input.body }),
      response: row.output,
    },
    config: { operation: row },
    // Before the body is read: nobody unknown makes us hold megabytes.
    onRequest: async (request, reply) => {
      if (row.auth !== 'public') {
        request.caller = await options.authenticate(request);
        if (!request.caller) {
          // Guessing is throttled, and nobody else: behind one address can be every tenant (a proxy, an
          // office), so who guesses there must not lock out those whose credentials hold.
          await limits.mayTry(request.ip);
          await limits.countWrong(request.ip);
          throw new Fault(
            'unauthorized',
            'Send a valid key as X-API-KEY, or a session as Authorization: Bearer.',
          );
        }
        mustBeAllowed(row, request.caller);
      }
      if (row.bucket !== 'none') {
        const who = request.caller?.keyId ?? request.caller?.sessionId ?? request.ip;
        await limits.draw(row.bucket, who, reply);
      }
    },
    preValidation: async (request, reply) => {
      // Before anything else in the request is looked at: a stranger learns nothing from a 422.
      const inPath = Number((request.params as { business_id?: string }).business_id);
      if (
        request.caller &&
        request.caller.businessId !== null &&
        Number.isSafeInteger(inPath) &&
        inPath > 0
      ) {
        businessOf(request.caller, inPath);
      }
      if (row.input.body && request.body === undefined) request.body = {};
      if (request.body !== undefined && row.bodyStream === undefined && !row.webhook)
        refuseUnstorable(withoutItems(row, request.body));
      // What a carrier posts may carry anything.
      if (!row.webhook) refuseUnstorable(request.query);
      refuseUnstorable(request.params);
      if (isWrite(row)) {
        request.requestId = requestIdOf(request, row);
        reply.header('X-Request-Id', request.requestId);
      }
    },
    handler: async (request, reply) => {
      const call = callOf(request, row, options);
      const answer = await runBinding(binding, row, call, request, reply, options);
      if (answer.replayed) reply.header('Idempotency-Replayed', 'true');
      const check = checks?.get(answer.status);
      if (checks && !check?.(answer.body)) {
        throw new Error(
          `${row.id} answers ${answer.status} against its schema: ${JSON.stringify(check?.errors ?? 'no such status')}`,
        );
      }
      return reply.code(answer.status).send(answer.body);
    },
  });
}

/** The body without the list whose items answer for themselves. */
function withoutItems(row: Operation, body: unknown): unknown {
  const isObject = body && typeof body === 'object' && !Array.isArray(body);
  return row.itemsOwn && isObject ? { ...body, [row.itemsOwn]: undefined } : body;
}

function mustBeAllowed(row: Operation, caller: Caller): void {
  if (row.auth === 'public') return;
  if (row.auth === 'platform') {
    if (caller.kind !== 'platform') throw new Fault('forbidden', 'This takes a platform key.');
    return;
  }
  if (!caller.scopes.includes(row.auth))
    throw new Fault('forbidden', `These credentials lack the scope ${row.auth}.`);
}

/** The body's `request_id` and the header `Idempotency-Key` are one thing; without them one is made. */
function requestIdOf(request: FastifyRequest, row: Operation): string {
  const body =
    row.bodyStream || row.requestIdIsFilter
      ? undefined
      : (request.body as { request_id?: unknown } | undefined);
  const header = request.headers['idempotency-key'];
  const refuse = (path: string, message: string) =>
    new Fault('invalid_parameters', `${path}: ${message}`, {
      errors: [{ path, message, code: 'invalid_format' }],
    });
  if (header !== undefined && (typeof header !== 'string' || !requestIdPattern.test(header))) {
    throw refuse('Idempotency-Key', 'must be 1-128 of A-Z a-z 0-9 . _ : -');
  }
  const inBody = body && typeof body === 'object' ? body.request_id : undefined;
  // A malformed one in the body is found by the schema, together with every other fault.
  if (typeof inBody !== 'string' || !requestIdPattern.test(inBody)) return header ?? newId();
  if (header !== undefined && header !== inBody)
    throw refuse('request_id', 'differs from the header Idempotency-Key');
  return inBody;
}

function callOf(request: FastifyRequest, row: Operation, options: HttpOptions): Call<OperationId> {
  const params = (request.params ?? {}) as { business_id?: number };
  const query = (request.query ?? {}) as { business_id?: number };
  const body = (row.bodyStream || row.webhook ? {} : (request.body ?? {})) as { business_id?: number };
  // A public operation has no caller, and reads none.
  const caller = request.caller as Caller;
  const named = params.business_id ?? query.business_id ?? body.business_id;
  // What a platform key alone may do can be about no business, or about several.
  const isAboutNone = !request.caller || (row.auth === 'platform' && named === undefined);
  const businessId = isAboutNone ? 0 : businessOf(caller, named);
  return {
    params,
    query,
    body,
    caller,
    businessId,
    origin: request.caller
      ? originOf(caller, request.requestId)
      : { actor: { type: 'system', id: null }, origin: {} },
    requestId: request.requestId,
    now: new Date(options.clock.now()),
    log: options.log.child({ request_id: request.requestId, operation: row.id }),
  } as unknown as Call<OperationId>;
}

async function runBinding(
  binding: Binding,
  row: Operation,
  call: Call<OperationId>,
  request: FastifyRequest,
  reply: FastifyReply,
  options: HttpOptions,
): Promise<{ status: number; body: unknown; replayed?: boolean }> {
  const { db, secrets } = options;
  if (binding.kind === 'read') return binding.run(db, call);

  const { request_id, ...asked } = call.body as unknown as Record<string, unknown>;
  if (row.requestIdIsFilter) asked.request_id = request_id;
  const fingerprint = fingerprintOf(row.id, {
    // What a session asks for can be about itself (signing out): another one's same words are another request.
    session: call.caller?.sessionId ?? null,
    params: call.params,
    ...(row.bodyStream && { type: request.headers['content-type'] }),
    body: { ...asked, business_id: call.businessId },
  });
  if (binding.kind === 'own') {
    return binding.run({ ...call, fingerprint, http: request, reply } as never);
  }

  const key = { businessId: call.businessId, requestId: call.requestId, operation: row.id, fingerprint };
  const answer = await inTransaction(db, async (tx) => {
    const claim = (await claimRequests(tx, [key], call.now, secrets)).get(keyText(key))!;
    if (claim.kind === 'kept') return { ...answerAgain(claim, key), replayed: true };
    const first = await binding.run(tx, call);
    await keepAnswers(tx, [{ key, answer: first, sealed: row.secretAnswer ?? false }], secrets);
    return { ...first, replayed: false };
  });
  binding.after?.(answer.body, request, reply);
  return answer;
}

function sendFault(fault: Fault, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  if (fault.status >= 500)
    log.error({ request_id: request.requestId, err: fault.cause ?? fault }, fault.message);
  if (fault.retryAfterS !== undefined) reply.header('Retry-After', fault.retryAfterS);
  if (fault.status === 401) reply.header('WWW-Authenticate', 'Bearer realm="omega"');
  return reply
    .code(fault.status)
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problemOf(fault, request.requestId || String(request.id)));
}

/** The methods that the contract has at a path: tells 405 from 404. */
function methodsAt(path: string, basePath: string): string[] {
  if (!path.startsWith(basePath)) return [];
  const rest = path.slice(basePath.length).replace(/\/$/, '');
  const rows = (Object.values(contract) as Operation[]).filter((row) =>
    new RegExp(`^${row.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(rest),
  );
  // `/clients/import` is no client: a path that says it in words goes before one with a parameter in that place.
  const parameters = (row: Operation) => row.path.split('{').length;
  const fewest = Math.min(...rows.map(parameters));
  return rows.filter((row) => parameters(row) === fewest).map((row) => row.method);
}
