import { type ClientErrorCode, OmegaError, unwrap } from './error.ts';
import type { OperationId, Problem } from './operations.ts';
import { requestIdIsFilter, routes, streamed } from './routes.ts';
import type {
  CallId,
  CallOptions,
  DataOf,
  InputFor,
  ListId,
  Methods,
  Result,
  RowOf,
  StreamedEvent,
} from './types.ts';

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
    for (const id of Object.keys(routes) as CallId[]) {
      // What answers otherwise than once has a method below.
      if (id in this) continue;
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
  async request<Id extends CallId>(
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
      const { data, ...more } = page.data as {
        data: RowOf<Id>[];
        next_cursor: string | null;
        has_more: boolean;
      };
      yield* data;
      cursor = more.has_more ? more.next_cursor : null;
    } while (cursor !== null);
  }

  /**
   * What happened since `cursor`, page after page, up to now. Keep the last page's `next_cursor`, and begin with it the
   * next time. @throws {@link OmegaError}
   */
  async *changes(
    input: InputFor<'listChanges'>,
    options: CallOptions = {},
  ): AsyncGenerator<DataOf<'listChanges'>, void> {
    for (let asked = input; ; ) {
      const page = unwrap(await this.request('listChanges', asked, options));
      yield page;
      if (!page.has_more) return;
      asked = { ...asked, cursor: page.next_cursor };
    }
  }

  /**
   * Events as they happen, from now on or after `cursor`: each once, in order, over as many connections as it takes.
   * `break` or `signal` ends it. @throws {@link OmegaError} for what connecting again cannot mend
   */
  async *streamEvents(
    input: InputFor<'streamEvents'>,
    options: Pick<CallOptions, 'signal' | 'headers'> = {},
  ): AsyncGenerator<StreamedEvent, void> {
    let { cursor } = input;
    for (let no = 1; ; no++) {
      let retryAfterMs: number | null = null;
      try {
        for await (const { id, data } of this.#connect({ ...input, cursor }, options)) {
          no = 0;
          cursor = id ?? cursor;
          if (data !== undefined) yield { ...JSON.parse(data), cursor };
        }
      } catch (error) {
        if (!(error instanceof OmegaError) || !isRepeatable(error)) throw error;
        retryAfterMs = error.retryAfterMs;
      }
      await pause(delayBefore(Math.max(no, 1), retryAfterMs), options.signal);
    }
  }

  /** One connection's events: their fields, as text. */
  async *#connect(
    input: InputFor<'streamEvents'>,
    options: CallOptions,
  ): AsyncGenerator<Record<string, string>, void> {
    const call = describe('streamEvents', input);
    const requestId = crypto.randomUUID();
    const silence = new AbortController();
    /** Not while the caller is busy with an event. */
    const heard = async <T>(answer: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => silence.abort(), longestSilenceMs);
      return answer.finally(() => clearTimeout(timer));
    };
    try {
      const response = await heard(
        this.#fetch(call, requestId, 'text/event-stream', options, silence.signal),
      );
      if (!response.ok) throw errorOf(response, await response.text(), requestId);
      const reader = response.body!.getReader();
      const decoder = new TextDecoder();
      let text = '';
      for (;;) {
        const { done, value } = await heard(reader.read());
        if (done) return;
        const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n');
        text = blocks.pop()!;
        for (const block of blocks) {
          const lines = block.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]);
          yield Object.fromEntries(lines);
        }
      }
    } catch (cause) {
      throw cause instanceof OmegaError ? cause : notReached(cause, requestId, options, silence.signal);
    } finally {
      silence.abort();
    }
  }

  #fetch(
    call: Described,
    requestId: string,
    accept: string,
    options: CallOptions,
    timeout: AbortSignal | null,
  ): Promise<Response> {
    const { apiKey, token, baseUrl, fetch = globalThis.fetch } = this.#options;
    return fetch(baseUrl + call.path, {
      method: call.method,
      headers: {
        accept,
        ...(apiKey !== undefined && { 'x-api-key': apiKey }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(call.contentType !== undefined && { 'content-type': call.contentType }),
        ...(call.method !== 'GET' && { 'idempotency-key': requestId }),
        ...options.headers,
      },
      body: call.body,
      // What fetch wants to be told with a body that it must read while it sends.
      ...(call.body instanceof ReadableStream && { duplex: 'half' }),
      signal: AbortSignal.any([options.signal, timeout].filter((signal) => signal != null)),
    });
  }

  async #tryOnce<Id extends CallId>(
    call: Described,
    requestId: string,
    options: CallOptions,
  ): Promise<Result<Id>> {
    const givenMs = options.timeoutMs ?? (call.streams ? null : (this.#options.timeoutMs ?? 30_000));
    const timeout = givenMs === null ? null : AbortSignal.timeout(givenMs);
    try {
      const response = await this.#fetch(call, requestId, 'application/json', options, timeout);
      const id = response.headers.get('x-request-id') ?? requestId;
      if (!response.ok) return failed(errorOf(response, await response.text(), id));
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      const data = (
        isJson ? await response.json() : new Uint8Array(await response.arrayBuffer())
      ) as DataOf<Id>;
      const replayed = response.headers.get('idempotency-replayed') === 'true';
      return { data, error: null, status: response.status, requestId: id, replayed };
    } catch (cause) {
      return failed(notReached(cause, requestId, options, timeout));
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

function notReached(
  cause: unknown,
  requestId: string,
  options: CallOptions,
  timeout: AbortSignal | null,
): OmegaError {
  const [code, message]: [ClientErrorCode, string] = options.signal?.aborted
    ? ['aborted', 'The request was aborted.']
    : timeout?.aborted
      ? ['timeout', 'No answer came in time.']
      : ['network', `The request did not get through: ${(cause as Error).message}`];
  return new OmegaError(code, message, { requestId, cause });
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
/** A stream that lives says so every 15 s. */
const longestSilenceMs = 45_000;

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
