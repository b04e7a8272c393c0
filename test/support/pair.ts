import { type Client, type RunningOmega, type StartOptions, startOmega } from './omega.ts';
import { rowsOf, startPostgres, type TestPostgres } from './postgres.ts';

/** Two whole Omegas, server and worker each, on one database of a real Postgres. */
export interface Pair {
  postgres: TestPostgres;
  url: string;
  one: RunningOmega;
  two: RunningOmega;
  /** Lotus Yoga, through the one and through the other. */
  apis: [Client, Client];
  rows<Row>(statement: string, values?: unknown[]): Promise<Row[]>;
  /** Resolves when neither has a job that is due or runs. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export async function startPair(
  options: Omit<StartOptions, 'database'> & {
    lockTimeoutMs?: number;
    /** On a database that nobody has migrated yet. */
    empty?: boolean;
  } = {},
): Promise<Pair> {
  const { lockTimeoutMs, empty = false, ...rest } = options;
  const postgres = await startPostgres();
  const url = await (empty ? postgres.createEmptyDatabase('omega') : postgres.createDatabase('omega'));
  const start = () =>
    startOmega({
      ...rest,
      database: { kind: 'postgres', url, poolSize: 10, lockTimeoutMs },
      realTime: true,
    });
  // At once: on an empty database one migrates, the other waits for it.
  const [one, two] = await Promise.all([start(), start()]);
  const { key } = await one.business();
  return {
    postgres,
    url,
    one,
    two,
    apis: [one.as(key), two.as(key)],
    rows: (statement, values) => rowsOf(url, statement, values),
    settled: async () => {
      await Promise.all([one.settled(), two.settled()]);
    },
    close: async () => {
      await Promise.all([one.close(), two.close()]);
      await postgres.stop();
    },
  };
}

/**
 * Runs `act` so many times at once, by turns through each of the clients. What is answered 503, because a busy machine
 * lets a request wait too long for a connection, is done again.
 */
export function atOnce<T>(
  count: number,
  clients: readonly Client[],
  act: (api: Client, i: number) => Promise<T>,
): Promise<T[]> {
  const untilTaken = async (i: number): Promise<T> => {
    for (;;) {
      const answer = await act(clients[i % clients.length]!, i);
      if ((answer as { status?: unknown }).status !== 503) return answer;
    }
  };
  return Promise.all(Array.from({ length: count }, (_, i) => untilTaken(i)));
}

/** How often each status was answered. */
export function tally(answers: readonly { status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
