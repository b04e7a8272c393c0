/**
 * What each operation takes and answers, as types of the contract's own schemas. The one file of the
 * client that needs the schemas' library: the package has it written out (`scripts/sdk-types.ts`).
 */
import type { CallableId, Contract, ErrorCode, Event, Problem, Static, TSchema } from '../contract/index.ts';

export type { ErrorCode, Event, Problem };
/** What carriers post is not for callers. */
export type OperationId = CallableId;

type Fields<S> = S extends TSchema ? Static<S> : unknown;
type Part<Id extends OperationId, Name extends string> = Name extends keyof Contract[Id]['input']
  ? Fields<Contract[Id]['input'][Name]>
  : unknown;

/** The content types that an operation's streamed body may have; `never` where its body is JSON. */
type StreamTypes<Id extends OperationId> = NonNullable<Contract[Id]['bodyStream']>[number];

/** A streamed body goes out as it is. A text is tried again like any write; of a stream there is one try. */
type StreamFields<Id extends OperationId> = [StreamTypes<Id>] extends [never]
  ? unknown
  : { body: string | ReadableStream | Blob; content_type: StreamTypes<Id>; request_id?: string };

/** An event of an operation that streams them; `never` of another. */
type EventOf<Id extends OperationId> = NonNullable<Contract[Id]['eventStream']>;

/** What an operation answers; of a stream of events, each of them. */
type Data<Id extends OperationId> = Id extends EventStreamId
  ? Fields<EventOf<Id>>
  : { [S in keyof Contract[Id]['output']]: Fields<Contract[Id]['output'][S]> }[keyof Contract[Id]['output']];

export type Operations = {
  [Id in OperationId]: {
    input: Part<Id, 'params'> & Part<Id, 'query'> & Part<Id, 'body'> & StreamFields<Id>;
    data: Data<Id>;
  };
};

/** The operations whose body is a stream. */
export type StreamId = {
  [Id in OperationId]: [StreamTypes<Id>] extends [never] ? never : Id;
}[OperationId];

/** The operations whose answer is a stream of events. */
export type EventStreamId = {
  [Id in OperationId]: [EventOf<Id>] extends [never] ? never : Id;
}[OperationId];
