import type { Static, TObject, TSchema } from 'typebox';
import type { ErrorCode } from './errors.ts';

/** For whoever reads the contract's types without the schemas' library. */
export type { Static, TSchema };

export type Scope = 'read' | 'send' | 'manage';

/** Who may call: anyone, a platform key alone, or a caller of the business with this scope. */
export type Auth = 'public' | 'platform' | Scope;

/** Which bucket of the rate limits an operation draws from. */
export type Bucket = 'read' | 'send' | 'search' | 'none';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What the operation reads. A body's unknown fields are refused (`unknown_field`). */
export interface Input {
  params?: TObject;
  query?: TObject;
  body?: TObject;
}

/**
 * One operation of the API as data. The server binds a function to each (a row without a function
 * stops the start), and validation, serialisation, OpenAPI, the reference page, the SDK and the
 * tests that walk the contract read this row.
 */
export interface Operation<
  I extends Input = Input,
  O extends Record<number, TSchema> = Record<number, TSchema>,
  M extends Method = Method,
  P extends string = string,
> {
  /** The operation's name in code: `operationId` in OpenAPI, the method's name in the SDK. */
  id: string;
  method: M;
  /** Below the base path; parameters as `{name}`. */
  path: P;
  tag: string;
  summary: string;
  description: string;
  auth: Auth;
  bucket: Bucket;
  input: I;
  /** Answers that are not errors, by status. */
  output: O;
  /** The codes particular to this operation; those that any operation may answer are not repeated. */
  errors: readonly ErrorCode[];
  /**
   * The body is a stream of one of these content types in place of JSON: it is handed over as it
   * comes, and counts for nothing in the request's fingerprint.
   */
  bodyStream?: readonly string[];
  /**
   * A carrier posts it, as one of these media types: the body comes as bytes, whatever its type says, since
   * signatures are made over those, and what cannot be read is kept all the same. See {@link webhook}.
   */
  webhook?: readonly string[];
  /** Largest body, in bytes; 1 MiB unless told. */
  bodyLimit?: number;
  /** The media type of an answer that is bytes and no JSON. */
  bytes?: string;
  /**
   * The answer goes on until one side ends it: Server-Sent Events, each with JSON of this schema as its `data`.
   * Beside `bytes: 'text/event-stream'`.
   */
  eventStream?: TSchema;
  /** The body's list whose items answer for themselves: what is wrong in one is left to the operation. */
  itemsOwn?: string;
  /** The body's `request_id` is a filter; the request's own stands in the header `Idempotency-Key` alone. */
  requestIdIsFilter?: boolean;
  /** The answer holds a credential: its copy for replays is kept encrypted. */
  secretAnswer?: boolean;
  /** One valid request and what it answers, shown in OpenAPI and validated by a test. */
  example?: {
    params?: Record<string, unknown>;
    query?: Record<string, unknown>;
    body?: unknown;
    status: number;
    answer: unknown;
  };
}

/** Declares an operation, keeping the precise types of its schemas. */
export function operation<
  const I extends Input,
  const O extends Record<number, TSchema>,
  const M extends Method,
  const P extends string,
  const B extends readonly string[] | undefined = undefined,
  const E extends TSchema | undefined = undefined,
>(
  row: Operation<I, O, M, P> & { bodyStream?: B; eventStream?: E },
): Operation<I, O, M, P> & { bodyStream?: B; eventStream?: E } {
  return row;
}

/**
 * Declares what a carrier posts. Its signature stands in place of credentials; without one that fits it
 * is 403 `invalid_signature`, kept in quarantine and without effect. It may carry anything, so no schema reads it.
 */
export function webhook<
  const I extends Input,
  const O extends Record<number, TSchema>,
  const P extends string,
>(
  row: Omit<Operation<I, O, 'POST', P>, 'method' | 'auth' | 'bucket' | 'errors'> & {
    webhook: readonly string[];
  },
): Operation<I, O, 'POST', P> & { webhook: readonly string[] } {
  return { ...row, method: 'POST', auth: 'public', bucket: 'none', errors: ['invalid_signature'] };
}

type Part<S> = S extends TSchema ? Static<S> : Record<string, never>;

/** What a handler gets: the validated parts of the request. */
export interface InputOf<Op extends Operation> {
  params: Part<Op['input']['params']>;
  query: Part<Op['input']['query']>;
  body: Part<Op['input']['body']>;
}

/** What a handler may answer: one of the operation's statuses with its body. */
export type OutputOf<Op extends Operation> = {
  [S in keyof Op['output'] & number]: { status: S; body: Static<Extract<Op['output'][S], TSchema>> };
}[keyof Op['output'] & number];

/** Writes take a request id: everything but GET, save what a carrier posts. */
export function isWrite(row: Operation): boolean {
  return row.method !== 'GET' && row.auth !== 'public';
}
