import { sql } from 'kysely';
import pg from 'pg';
import type { Database } from '../db/index.ts';
import type { Log } from '../log.ts';
import { onEvents } from './record.ts';

/** Wakes readers of events: this process's at once, those of other processes on the same Postgres soon after. */
export interface EventSignal {
  /**
   * Calls `wake` with the business that has new events, or with null when it may be any (a notice may have been
   * missed). A hint and no promise: a reader looks into the table when it starts, when it is woken, and now and then.
   *
   * @returns what ends it
   */
  subscribe(wake: (businessId: number | null) => void): () => void;
  close(): Promise<void>;
}

const channel = 'omega_events';
/** Notices of this long are sent together: one statement for however many commits. */
const gatherMs = 20;
/** A notice holds less than 8,000 bytes (Postgres, NOTIFY), an id at most 16 characters. */
const idsPerNotice = 400;
const reconnectMs = 2_000;

/**
 * NOTIFY in the writing transaction would make its commits queue behind one lock of the whole database (Postgres takes
 * it to keep the notices in order), so notices are sent afterwards, gathered. One that a crash swallows is made up for by
 * the readers' own look into the table.
 */
export function createEventSignal(database: Database, log: Log): EventSignal {
  const readers = new Set<(businessId: number | null) => void>();
  const wake = (businessId: number | null) => {
    for (const reader of readers) reader(businessId);
  };
  const remote = database.url === null ? null : otherProcesses(database, database.url, log, wake);
  const end = onEvents(database.db, (events) => {
    for (const businessId of new Set(events.map((event) => event.businessId))) {
      wake(businessId);
      remote?.tell(businessId);
    }
  });
  return {
    subscribe(reader) {
      readers.add(reader);
      remote?.listen();
      return () => readers.delete(reader);
    },
    async close() {
      end();
      readers.clear();
      await remote?.close();
    },
  };
}

function otherProcesses(
  database: Database,
  url: string,
  log: Log,
  wake: (businessId: number | null) => void,
) {
  let closed = false;
  let listening: pg.Client | null = null;
  let reconnect: NodeJS.Timeout | undefined;
  const told = new Set<number>();
  let telling: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();

  async function listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'omega events',
      keepAlive: true,
    });
    const lost = (error?: Error) => {
      if (listening === client) listening = null;
      client.removeAllListeners();
      // What a dying connection says afterwards is no news; unheard, it would end the process.
      client.on('error', () => undefined);
      void client.end().catch(() => undefined);
      if (closed || reconnect) return;
      if (error)
        log.warn({ err: error }, 'notices of events from other processes are not heard; trying again');
      reconnect = setTimeout(() => {
        reconnect = undefined;
        void listen();
      }, reconnectMs);
      reconnect.unref();
    };
    client.on('error', lost);
    client.on('end', () => lost());
    client.on('notification', ({ payload }) => {
      for (const id of (payload ?? '').split(',')) wake(Number(id));
    });
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      if (closed) return await client.end();
      listening = client;
      // Nobody told us what happened while nobody listened.
      wake(null);
    } catch (error) {
      lost(error as Error);
    }
  }
  /** Only where somebody reads: a process that only writes needs no connection for it. */
  let begun: Promise<void> | undefined;

  async function send(): Promise<void> {
    const ids = [...told];
    told.clear();
    for (let i = 0; i < ids.length; i += idsPerNotice) {
      await sql`select pg_notify(${channel}, ${ids.slice(i, i + idsPerNotice).join(',')})`.execute(
        database.db,
      );
    }
  }

  return {
    listen(): void {
      begun ??= listen();
    },
    tell(businessId: number): void {
      told.add(businessId);
      telling ??= setTimeout(() => {
        telling = undefined;
        sending = send().catch((error) =>
          log.warn({ err: error }, 'other processes could not be told of events'),
        );
      }, gatherMs).unref();
    },
    async close(): Promise<void> {
      closed = true;
      clearTimeout(reconnect);
      clearTimeout(telling);
      await begun;
      await sending;
      const client = listening;
      listening = null;
      client?.removeAllListeners('end');
      await client?.end().catch(() => undefined);
    },
  };
}
