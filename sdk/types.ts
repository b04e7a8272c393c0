import type { CallableId, Contract, Static, TSchema } from '../contract/index.ts';
import type { OmegaError } from './error.ts';

type Fields<S> = S extends TSchema ? Static<S> : unknown;
type InputSchemas<Id extends CallableId> = Contract[Id]['input'];
type Schema<Id extends CallableId, Part extends string> = Part extends keyof InputSchemas<Id>
  ? InputSchemas<Id>[Part]
  : undefined;

/** The content types that an operation's streamed body may have; `never` where its body is JSON. */
type StreamTypes<Id extends CallableId> = NonNullable<Contract[Id]['bodyStream']>[number];

/** The operations whose body is a stream. */
export type StreamId = {
  [Id in CallableId]: [StreamTypes<Id>] extends [never] ? never : Id;
}[CallableId];

/** A streamed body goes out as it is. A text is tried again like any write; of a stream there is one try. */
type StreamFields<Id extends CallableId> = [StreamTypes<Id>] extends [never]
  ? unknown
  : { body: string | ReadableStream | Blob; content_type: StreamTypes<Id>; request_id?: string };

/** What an operation takes, in one object: the path's parameters, the query and the body's fields. */
export type InputFor<Id extends CallableId> = Fields<Schema<Id, 'params'>> &
  Fields<Schema<Id, 'query'>> &
  Fields<Schema<Id, 'body'>> &
  StreamFields<Id>;

/** What it answers when all is well. */
export type DataOf<Id extends CallableId> = {
  [S in keyof Contract[Id]['output']]: Fields<Contract[Id]['output'][S]>;
}[keyof Contract[Id]['output']];

/** A row of what a list answers page by page. */
export type RowOf<Id extends CallableId> =
  DataOf<Id> extends { data: readonly (infer Row)[]; next_cursor: string | null } ? Row : never;

/** The operations that answer page by page. */
export type ListId = { [Id in CallableId]: [RowOf<Id>] extends [never] ? never : Id }[CallableId];

/**
 * An answer as a value: `data` or `error`, never both. Nothing is thrown for what a server answers
 * or a network does; {@link unwrap} turns it into a throw where that reads better.
 */
export type Result<Id extends CallableId> =
  | { data: DataOf<Id>; error: null; status: number; requestId: string; replayed: boolean }
  | { data: null; error: OmegaError; status: number | null; requestId: string; replayed: false };

export interface CallOptions {
  signal?: AbortSignal;
  /** Milliseconds for one try. A streamed body has all the time that it takes, unless told. */
  timeoutMs?: number;
  headers?: Record<string, string>;
}

type IsOptional<T> = Record<never, never> extends T ? true : false;

/** A method for every operation of the contract. */
export type Methods = {
  [Id in CallableId]: IsOptional<InputFor<Id>> extends true
    ? (input?: InputFor<Id>, options?: CallOptions) => Promise<Result<Id>>
    : (input: InputFor<Id>, options?: CallOptions) => Promise<Result<Id>>;
};
