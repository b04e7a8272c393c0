import { type ClientErrorCode, OmegaError } from './error.ts';
import type { OperationId, Problem } from './operations.ts';
import { requestIdIsFilter, routes, streamed } from './routes.ts';
import type { CallOptions, DataOf, InputFor, ListId, Methods, Result, RowOf } from './types.ts';

export interface OmegaOptions {
  /** With the base path: `https://messages.example/omega`. */
  baseUrl: string;
  /** A key (`omk_…`, `omp_…`). */
  apiKey?: string;
  /** A staff session's token (`oms_…`), in place of a key; in a browser the cookie does without either. */
  token?: string;
  /** Tries beside the first, of what is safe to repeat; 3 unless told. */
  retries?: number;
  /** Milliseconds for one try; 30,000 unless told. */
  timeoutMs?: number;
  fetch?: typeof globalThis.fetch;
}

/**
 * The API, typed from its contract: a method for every operation. Works in Node and in browsers.
 *
 * ```ts
 * const omega = new Omega({ baseUrl: 'http://127.0.0.1:8080/omega', apiKey });
 * const { data, error } = await omega.queueSms({ client_id: 501, content: 'See you at 9!' });
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor defines a method for every row of `routes`, which its type makes complete.
export class Omega {
  readonly #options: OmegaOptions;

  constructor(options: OmegaOptions) {
    this.#options = { ...options, baseUrl: options.baseUrl.replace(/\/+$/, '') };
    for (const id of Object.keys(routes) as OperationId[]) {
      Object.defineProperty(this, id, {
        enumerable: true,
        value: (input: object = {}, callOptions: CallOptions = {}) =>
          this.request(id, input as never, callOptions),
      });
    }
  }

  /**
   * Calls an operation by its name. A write carries one request id through all its tries (yours, or
   * one made here), so a repetition after a lost answer changes nothing and gives the first answer.
   */
  async request<Id extends OperationId>(
    id: Id,
    input: InputFor<Id>,
    options: CallOptions = {},
  ): Promise<Result<Id>> {
    const call = describe(id, input as Record<string, unknown>);
    const requestId = options.requestId ?? call.requestId ?? crypto.randomUUID();
    // A stream that was read cannot be read again.
    const tries = call.once ? 1 : 1 + (this.#options.retries ?? 3);
    for (let no = 1; ; no++) {
      const result = await this.#tryOnce<Id>(call, requestId, options);
      if (!result.error || no >= tries || !isRepeatable(result.error) || options.signal?.aborted)
        return result;
      await pause(delayBefore(no, result.error.retryAfterMs), options.signal);
    }
  }

  /** Every row of a list, page after page, as they are asked for. @throws {@link OmegaError} */
  async *all<Id extends ListId>(
    id: Id,
    input: Omit<InputFor<Id>, 'cursor'>,
    options: CallOptions = {},
  ): AsyncGenerator<RowOf<Id>, void> {
    let cursor: string | null = null;
    do {
      const asked = { ...input, ...(cursor !== null && { cursor }) } as InputFor<Id>;
      const page: Result<Id> = await this.request(id, asked, options);
      if (page.error) throw page.error;
      const { data, next_cursor } = page.data as { data: RowOf<Id>[]; next_cursor: string | null };
      yield* data;
      cursor = next_cursor;
    } while (cursor !== null);
  }

  async #tryOnce<Id extends OperationId>(
    call: Described,
    requestId: string,
    options: CallOptions,
  ): Promise<Result<Id>> {
    const { apiKey, token, baseUrl, fetch = globalThis.fetch, timeoutMs = 30_000 } = this.#options;
    const givenMs = options.timeoutMs ?? (call.streams ? null : timeoutMs);
    const timeout = givenMs === null ? null : AbortSignal.timeout(givenMs);
    const signals = [options.signal, timeout].filter((signal) => signal != null);
    try {
      const response = await fetch(baseUrl + call.path, {
        method: call.method,
        headers: {
          accept: 'application/json',
          ...(apiKey !== undefined && { 'x-api-key': apiKey }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(call.contentType !== undefined && { 'content-type': call.contentType }),
          ...(call.method !== 'GET' && { 'idempotency-key': requestId }),
          ...options.headers,
        },
        body: call.body,
        // What fetch wants to be told with a body that it must read while it sends.
        ...(call.body instanceof ReadableStream && { duplex: 'half' }),
        signal: AbortSignal.any(signals),
      });
      const id = response.headers.get('x-request-id') ?? requestId;
      if (!response.ok) return failed(errorOf(response, await response.text(), id));
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      const data = (
        isJson ? await response.json() : new Uint8Array(await response.arrayBuffer())
      ) as DataOf<Id>;
      const replayed = response.headers.get('idempotency-replayed') === 'true';
      return { data, error: null, status: response.status, requestId: id, replayed };
    } catch (cause) {
      const [code, message]: [ClientErrorCode, string] = options.signal?.aborted
        ? ['aborted', 'The request was aborted.']
        : timeout?.aborted
          ? ['timeout', 'No answer came in time.']
          : ['network', `The request did not get through: ${(cause as Error).message}`];
      return failed(new OmegaError(code, message, { requestId, cause }));
    }
  }
}

export interface Omega extends Methods {}

interface Described {
  method: string;
  path: string;
  body: string | ReadableStream | Blob | undefined;
  contentType: string | undefined;
  requestId: string | undefined;
  /** The body is no JSON, and takes its time. */
  streams: boolean;
  /** It can be sent but once. */
  once: boolean;
}

/** Puts the fields where they belong: those the path names into it, the rest into query or body. */
function describe(id: OperationId, input: Record<string, unknown>): Described {
  const [method = '', template = ''] = routes[id].split(' ');
  const rest = { ...input };
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(String(value));
  });
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  const isOwn = typeof rest.request_id === 'string' && !(id in requestIdIsFilter);
  const requestId = isOwn ? (rest.request_id as string) : undefined;
  const common = { method, requestId, streams: false, once: false };
  if (id in streamed) {
    const { body, content_type: contentType } = rest as { body: Described['body']; content_type: string };
    return { ...common, path, body, contentType, streams: true, once: typeof body !== 'string' };
  }
  if (method !== 'GET')
    return { ...common, path, body: JSON.stringify(rest), contentType: 'application/json' };
  const query = new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
  return {
    ...common,
    path: query.size > 0 ? `${path}?${query}` : path,
    body: undefined,
    contentType: undefined,
  };
}

function failed(error: OmegaError) {
  return { data: null, error, status: error.status, requestId: error.requestId, replayed: false as const };
}

function errorOf(response: Response, text: string, requestId: string): OmegaError {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
  const more = { status: response.status, requestId, retryAfterMs };
  try {
    const problem = JSON.parse(text) as Problem;
    return new OmegaError(problem.code as ClientErrorCode, problem.detail ?? problem.title, {
      ...more,
      problem,
    });
  } catch {
    // A proxy's page in between, not ours.
    const code = response.status >= 500 ? 'unavailable' : 'network';
    return new OmegaError(code, `The answer was ${response.status}, and not one of Omega's.`, more);
  }
}

/**
 * Repeating is safe for a read, and for a write by its request id. It helps where the server was
 * away or busy; what is wrong with the request stays wrong.
 */
function isRepeatable(error: OmegaError): boolean {
  return ['network', 'timeout', 'rate_limited', 'unavailable', 'internal', 'request_in_progress'].includes(
    error.code,
  );
}

const longestPauseMs = 30_000;

/** Doubling from a quarter of a second, with jitter so that many clients do not come back together. */
function delayBefore(tryNo: number, retryAfterMs: number | null): number {
  const backoffMs = 250 * 2 ** (tryNo - 1) * (0.5 + Math.random());
  return Math.min(longestPauseMs, Math.max(backoffMs, retryAfterMs ?? 0));
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
