import pg from 'pg';
import { noteDatabaseError } from './database-errors.ts';

/** Said by `pg` where an answer did not come within `query_timeout`. */
const readTimeout = 'Query read timeout';

/**
 * A connection that ends when an answer is overdue. `statement_timeout` is the server's promise, and a
 * server behind a half-open connection (a pulled cable, a frozen machine) keeps none: without this the
 * statement would wait for as long as TCP repeats, a quarter of an hour. Only giving up the waiting is
 * not enough, for the pool would lend the same dead connection to the next caller.
 */
export class ImpatientClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: `pg` declares ten overloads; each comes and goes as it is.
  override query(...args: any[]): any {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    const result = (super.query as any)(...args);
    result?.catch?.((error: unknown) => {
      noteDatabaseError(error);
      if (error instanceof Error && error.message === readTimeout) this.#destroy();
    });
    return result;
  }

  #destroy(): void {
    // Not in the types. `end()` would say goodbye to a server that does not listen, and wait.
    (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}
