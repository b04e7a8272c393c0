/**
 * Places for the jobs of others while one group (a business) fills every batch: with thousands of jobs, or with a
 * few dozen that wait for a carrier which hangs. A queue is read in the order of its jobs, so those of everybody else
 * would wait until all of these are done.
 */

/** How many jobs there are places for, of one group at most, and in one fetch. */
export interface SparePlaces {
  most: number;
  mostOfGroup: number;
  batchSize: number;
}

export interface SpareOptions<Job extends { groupId?: string | null }> extends SparePlaces {
  /** The size and number of the batches that these stand beside. */
  usual: { batchSize: number; concurrency: number };
  /** Claims jobs of other groups. */
  fetch(batchSize: number, otherThan: string[]): Promise<Job[]>;
  /** Works on them, and writes down what came of it. Must not reject. */
  work(jobs: Job[]): Promise<void>;
  failed(error: unknown): void;
}

export interface Spare<Job> {
  /** Runs one of the usual batches, counted. */
  usual<Result>(jobs: readonly Job[], run: () => Promise<Result>): Promise<Result>;
  stopFetching(): void;
  /** Resolves when nothing of it runs any more. */
  ended(): Promise<unknown>;
}

/** How often it looks whether every batch is taken. */
const lookEveryMs = 250;
/**
 * A fetch of other groups reads past all that waits of these: the tenth of a second, with 100,000 of them. So that it
 * takes a tenth of one connection at most, it then comes the less often.
 */
const restPerWork = 9;

export function createSpare<Job extends { groupId?: string | null }>(options: SpareOptions<Job>): Spare<Job> {
  const { usual, most, mostOfGroup, batchSize } = options;
  /** Jobs at work here, by their group. */
  const atWork = new Map<string, number>();
  let batches = 0;
  /** Since it looked last: whether a batch came back full, and whether one did not, which found the queue's end. */
  let sawFull = false;
  let sawShort = false;
  let places = most;
  const running = new Set<Promise<void>>();

  function count(jobs: readonly Job[], by: 1 | -1): void {
    for (const { groupId } of jobs) {
      if (!groupId) continue;
      const now = (atWork.get(groupId) ?? 0) + by;
      if (now > 0) atWork.set(groupId, now);
      else atWork.delete(groupId);
    }
  }

  function allTaken(): boolean {
    const taken = !sawShort && batches > 0 && (sawFull || batches >= usual.concurrency);
    sawFull = false;
    sawShort = false;
    return taken;
  }

  async function look(): Promise<void> {
    if (!allTaken()) return;
    while (places > 0) {
      const busy = [...atWork].filter(([, jobs]) => jobs >= mostOfGroup).map(([group]) => group);
      const asked = Math.min(batchSize, places);
      const jobs = await options.fetch(asked, busy);
      if (jobs.length > 0) begin(jobs);
      if (jobs.length < asked) break;
    }
  }

  function begin(jobs: Job[]): void {
    places -= jobs.length;
    count(jobs, 1);
    const run = options.work(jobs).finally(() => {
      places += jobs.length;
      count(jobs, -1);
      running.delete(run);
    });
    running.add(run);
  }

  async function lookAgain(): Promise<void> {
    const begun = performance.now();
    looked = look().catch(options.failed);
    await looked;
    const rest = Math.max(lookEveryMs, restPerWork * (performance.now() - begun));
    if (!stopped) timer = setTimeout(lookAgain, rest).unref();
  }
  let stopped = false;
  let looked: Promise<void> = Promise.resolve();
  let timer = setTimeout(lookAgain, lookEveryMs).unref();

  return {
    async usual(jobs, run) {
      if (jobs.length < usual.batchSize) sawShort = true;
      else sawFull = true;
      batches++;
      count(jobs, 1);
      try {
        return await run();
      } finally {
        batches--;
        count(jobs, -1);
      }
    },
    stopFetching() {
      stopped = true;
      clearTimeout(timer);
    },
    ended: () => looked.then(() => Promise.allSettled(running)),
  };
}
