import { setTimeout as delay } from 'node:timers/promises';
import { Fault } from '../fault.ts';
import type { Db, Tx } from './database.ts';
import { isDatabaseError } from './database-errors.ts';

const maxTries = 5;

type Afterwards = (db: Db) => void;
const whenCommitted = new WeakMap<Tx, Afterwards[]>();

/**
 * Has `act` called once the transaction of {@link inTransaction} is committed, and never where it is not. A crash
 * in between loses it: it is for what this process counts, not for what must happen. It must not throw.
 */
export function onceCommitted(tx: Tx, act: Afterwards): void {
  whenCommitted.get(tx)?.push(act);
}

/**
 * Runs `act` in one transaction. A deadlock or a serialisation failure (40P01, 40001) is nobody's
 * fault and is tried again; so `act` must do nothing but write through `tx`.
 */
export async function inTransaction<T>(db: Db, act: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const afterwards: Afterwards[] = [];
    try {
      const result = await db.transaction().execute((tx) => {
        whenCommitted.set(tx, afterwards);
        return act(tx);
      });
      for (const afterward of afterwards) afterward(db);
      return result;
    } catch (error) {
      if (tries >= maxTries || !isTransient(error)) throw error;
      await delay(Math.random() * 10 * 2 ** tries);
    }
  }
}

function codeOf(error: unknown): string {
  return error && typeof error === 'object' && 'code' in error ? String(error.code) : '';
}

/** Unique keys that two transactions may reach for at once; the second look finds what the first made. */
const raceKeys = ['client_addresses_primary', 'conversations_one_open'];

function isTransient(error: unknown): boolean {
  // An address that was forgotten (its last client erased) while another client was given it.
  const addressGone =
    codeOf(error) === '23503' &&
    (error as { constraint?: string }).constraint === 'client_addresses_business_id_kind_address_fkey';
  return (
    addressGone ||
    ['40001', '40P01'].includes(codeOf(error)) ||
    raceKeys.some((key) => isUniqueViolation(error, key))
  );
}

export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return (
    codeOf(error) === '23505' &&
    (constraint === undefined || (error as { constraint?: string }).constraint === constraint)
  );
}

/** Codes that mean the database is away or full, not that the request is wrong. */
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'EMFILE', // no file descriptor left to connect with
  'ENFILE',
  '25006', // read only: a primary that has become a replica
  '53100', // disk full
  '53200', // out of memory
  '53300', // too many connections
  '57014', // statement timeout
  '57P01', // shut down by the administrator
  '57P02', // crash shutdown
  '57P03', // starting up
  '25P03', // idle in transaction too long
  '58030', // the disk fails
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
]);

/** What a statement can be at fault for itself: it took too long, or met another crosswise again and again. */
const ownCodes = ['57014', '40001', '40P01'];

/** Whether Postgres was away, full or locked: then whoever met it did nothing wrong, and waiting helps. */
export function databaseWasInTheWay(error: unknown): boolean {
  return isDatabaseError(error) && !ownCodes.includes(codeOf(error)) && faultOfDatabaseError(error) !== null;
}

/** A database error as the caller should see it, or null where it is not for the caller. */
export function faultOfDatabaseError(error: unknown): Fault | null {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : '';
  if (code === '55P03') {
    return new Fault(
      'request_in_progress',
      'Another write to the same thing still runs. Repeat in a moment.',
      {
        retryAfterS: 1,
        cause: error,
      },
    );
  }
  const away =
    awayCodes.has(code) ||
    /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|PGlite is closed/i.test(
      message,
    );
  if (!away && !['40001', '40P01'].includes(code)) return null;
  return new Fault(
    'unavailable',
    'The database does not answer just now. Repeat the same request in a moment.',
    {
      retryAfterS: 2,
      cause: error,
    },
  );
}
