import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Contract, InputOf, OperationId, OutputOf } from '../../../contract/index.ts';
import type { Db, Tx } from '../db/index.ts';
import type { Log } from '../log.ts';
import type { Caller, Origin } from './caller.ts';

/** One request on its way to its function: who calls, about which business, when. */
export interface Call<Id extends OperationId> extends InputOf<Contract[Id]> {
  /** Null on a public operation. */
  caller: Caller;
  /** The business that it is about; 0 on an operation that is about none. */
  businessId: number;
  origin: Origin;
  requestId: string;
  now: Date;
  log: Log;
}

/** What a function that manages its own request needs beside the call. */
export interface OwnCall<Id extends OperationId> extends Call<Id> {
  /** Of the operation and everything in the request that matters: equal ones are the same request. */
  fingerprint: string;
  http: FastifyRequest;
  reply: FastifyReply;
}

type Answer<Id extends OperationId> = Promise<OutputOf<Contract[Id]>>;

/** A function bound to a row of the contract. */
export type Binding = { id: OperationId } & (
  | { kind: 'read'; run(db: Db, call: Call<OperationId>): Promise<{ status: number; body: unknown }> }
  | {
      kind: 'write';
      run(tx: Tx, call: Call<OperationId>): Promise<{ status: number; body: unknown }>;
      after?(answer: unknown, http: FastifyRequest, reply: FastifyReply): void;
    }
  | {
      kind: 'own';
      run(call: OwnCall<OperationId>): Promise<{ status: number; body: unknown; replayed?: boolean }>;
    }
);

/** A read: no transaction, nothing written. */
export function read<Id extends OperationId>(id: Id, run: (db: Db, call: Call<Id>) => Answer<Id>): Binding {
  return { id, kind: 'read', run } as unknown as Binding;
}

/**
 * A write: one transaction in which the request's id, the change and the answer are written
 * together, so repeating it gives the first answer again. `after` sees each answer, replayed or not.
 */
export function write<Id extends OperationId>(
  id: Id,
  run: (tx: Tx, call: Call<Id>) => Answer<Id>,
  after?: (
    answer: Extract<OutputOf<Contract[Id]>, { body: unknown }>['body'],
    http: FastifyRequest,
    reply: FastifyReply,
  ) => void,
): Binding {
  return { id, kind: 'write', run, after } as unknown as Binding;
}

/** A function that sees to its transaction and its request's id itself (intake does, for many at once). */
export function own<Id extends OperationId>(
  id: Id,
  run: (call: OwnCall<Id>) => Promise<OutputOf<Contract[Id]> & { replayed?: boolean }>,
): Binding {
  return { id, kind: 'own', run } as unknown as Binding;
}

/** An operation's answer, its status kept as the literal that it is. */
export function answer<const S extends number, B>(status: S, body: B): { status: S; body: B } {
  return { status, body };
}
