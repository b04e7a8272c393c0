import type { OmegaError } from './error.ts';
import type { EventStreamId, OperationId, Operations } from './operations.ts';

/** What an operation takes, in one object: the path's parameters, the query and the body's fields. */
export type InputFor<Id extends OperationId> = Operations[Id]['input'];

/** What it answers when all is well. */
export type DataOf<Id extends OperationId> = Operations[Id]['data'];

/** The operations that answer once: all but streams of events. */
export type CallId = Exclude<OperationId, EventStreamId>;

/** An event of a stream, and the `cursor` to begin after it with another time. */
export type StreamedEvent = DataOf<'streamEvents'> & { cursor: string };

/** A row of what a list answers page by page. */
export type RowOf<Id extends OperationId> =
  DataOf<Id> extends { data: readonly (infer Row)[]; next_cursor: string | null } ? Row : never;

/** The operations that answer page by page. */
export type ListId = { [Id in CallId]: [RowOf<Id>] extends [never] ? never : Id }[CallId];

/**
 * An answer as a value: `data` or `error`, never both. Nothing is thrown for what a server answers
 * or a network does; {@link unwrap} turns it into a throw where that reads better.
 */
export type Result<Id extends OperationId> =
  | { data: DataOf<Id>; error: null; status: number; requestId: string; replayed: boolean }
  | { data: null; error: OmegaError; status: number | null; requestId: string; replayed: false };

export interface CallOptions {
  signal?: AbortSignal;
  /** A write's own id, where `request_id` is not among its fields or means another's. */
  requestId?: string;
  /** Milliseconds for one try. A streamed body has all the time that it takes, unless told. */
  timeoutMs?: number;
  headers?: Record<string, string>;
}

type IsOptional<T> = Record<never, never> extends T ? true : false;

/** A method for every operation of the contract that answers once. */
export type Methods = {
  [Id in CallId]: IsOptional<InputFor<Id>> extends true
    ? (input?: InputFor<Id>, options?: CallOptions) => Promise<Result<Id>>
    : (input: InputFor<Id>, options?: CallOptions) => Promise<Result<Id>>;
};
