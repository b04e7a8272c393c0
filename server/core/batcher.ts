/**
 * Group commit: many callers' items, each awaited on its own, written together in a few transactions. A
 * commit costs about the same for a hundred rows as for one (PGlite: 4,000 single inserts/s, 42,000 rows/s
 * in batches of 100), so under load the batches grow by themselves, and a lone item waits for nobody.
 */

export type Outcome<Result> = { ok: true; value: Result } | { ok: false; error: unknown };

export interface BatcherOptions<Item, Result> {
  /**
   * Writes a batch and answers for each item, in order. It must be all or nothing: when it rejects, nothing of
   * the batch may remain, for then the items are run again, each alone.
   */
  run: (items: Item[]) => Promise<Outcome<Result>[]>;
  /** Whose item it is (the tenant): turns are shared between keys, and one key is never in two lanes. */
  keyOf: (item: Item) => string | number;
  /** Items in a batch at most. */
  maxItems: number;
  /** Batches running at once at most. */
  lanes: number;
  /** Items waiting for a lane at most, those that run not counted. */
  maxWaiting: number;
  /**
   * Whether an item alone could fare better than its batch did. Absent: always. Answer false for errors that are
   * no item's fault (the database is away): a hundred time-outs one after the other help nobody.
   */
  mayBeOneItem?: (error: unknown) => boolean;
}

export interface Batcher<Item, Result> {
  /** Resolves or rejects as `run` says of this item. @throws Overloaded when too many wait, or after `close`. */
  submit(item: Item): Promise<Result>;
  /** Items that wait for a lane now. */
  waiting(): number;
  /** Takes no more items; resolves when all that were taken are answered. May be called again. */
  close(): Promise<void>;
}

/** Not taken, and nothing was done: ask again after `retryAfterS` seconds (503 and `Retry-After`). */
export class Overloaded extends Error {
  override readonly name = 'Overloaded';
  /** What waits is a second's work or so for the database; how long exactly is for the caller's jitter. */
  readonly retryAfterS = 1;
}

interface Waiting<Item, Result> {
  item: Item;
  settle: (outcome: Outcome<Result>) => void;
}

/** A key with items: in `ring` while some wait and no lane has it. */
interface Key<Item, Result> {
  id: string | number;
  queue: Fifo<Waiting<Item, Result>>;
  running: boolean;
}

/**
 * One key may hold at most four times the places that are still free, hence four fifths of all when alone. So
 * there is always room for a tenant that has nothing waiting, however much another one sends.
 */
const shareOfFree = 4;

export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { run, keyOf, maxItems, lanes, maxWaiting, mayBeOneItem = () => true } = options;
  for (const limit of [maxItems, lanes, maxWaiting]) {
    if (!(limit >= 1)) throw new RangeError('maxItems, lanes and maxWaiting must be 1 or more');
  }
  const keys = new Map<string | number, Key<Item, Result>>();
  /** The keys whose turn comes, in that order. */
  const ring = new Fifo<Key<Item, Result>>();
  let waiting = 0;
  let busy = 0;
  let pumpIsDue = false;
  let closing: { promise: Promise<void>; resolve: () => void } | undefined;

  function submit(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = keyOf(item);
      if (closing) throw new Overloaded('It is closing and takes nothing more.');
      const key = keys.get(id) ?? { id, queue: new Fifo(), running: false };
      if (key.queue.size >= shareOfFree * (maxWaiting - waiting))
        throw new Overloaded('Too many are waiting.');
      keys.set(id, key);
      key.queue.push({
        item,
        settle: (outcome) => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)),
      });
      waiting++;
      if (key.queue.size === 1 && !key.running) ring.push(key);
      // At the end of this turn of the event loop, when every request that had arrived has been read; still no
      // timer. A microtask is too early: PGlite answers in microtasks alone, so a whole transaction would run
      // before the next request is looked at, and each batch would hold one (measured: 8 callers, 75/s and 200/s).
      if (!pumpIsDue) {
        pumpIsDue = true;
        setImmediate(() => {
          pumpIsDue = false;
          pump();
        });
      }
    });
  }

  function pump(): void {
    while (busy < lanes && ring.size > 0) void runLane();
    if (closing && busy === 0 && waiting === 0) closing.resolve();
  }

  /** Runs one batch. Everything is answered on the way, so it never rejects. */
  async function runLane(): Promise<void> {
    const { batch, held } = take();
    busy++;
    await runBatch(batch);
    busy--;
    for (const key of held) {
      key.running = false;
      if (key.queue.size > 0) ring.push(key);
      else keys.delete(key.id);
    }
    pump();
  }

  /** One item of each key in turn, round after round, until the batch is full. */
  function take(): { batch: Waiting<Item, Result>[]; held: Set<Key<Item, Result>> } {
    const batch: Waiting<Item, Result>[] = [];
    const again = new Fifo<Key<Item, Result>>();
    const held = new Set<Key<Item, Result>>();
    while (batch.length < maxItems) {
      const key = ring.shift() ?? again.shift();
      if (!key) break;
      key.running = true;
      batch.push(key.queue.shift()!);
      waiting--;
      if (key.queue.size > 0) again.push(key);
      // A Set keeps the order of adding: whose last turn was longest ago goes back into the ring first.
      held.delete(key);
      held.add(key);
    }
    return { batch, held };
  }

  async function runBatch(batch: Waiting<Item, Result>[]): Promise<void> {
    const failure = await answer(batch);
    if (!failure) return;
    if (batch.length > 1 && mayBeOneItem(failure.error)) await runEachAlone(batch);
    else fail(batch, failure.error);
  }

  /** One after the other, which keeps the order within a key, and the promise about `lanes`. */
  async function runEachAlone(batch: Waiting<Item, Result>[]): Promise<void> {
    for (const [i, one] of batch.entries()) {
      const failure = await answer([one]);
      if (failure && !mayBeOneItem(failure.error)) return fail(batch.slice(i), failure.error);
      if (failure) fail([one], failure.error);
    }
  }

  function fail(batch: Waiting<Item, Result>[], error: unknown): void {
    for (const one of batch) one.settle({ ok: false, error });
  }

  /** Runs and settles; or, when `run` rejected, settles nothing and gives the error. */
  async function answer(batch: Waiting<Item, Result>[]): Promise<{ error: unknown } | undefined> {
    let outcomes: Outcome<Result>[];
    try {
      outcomes = await run(batch.map(({ item }) => item));
    } catch (error) {
      return { error };
    }
    // A wrong count is a mistake in `run`, and its work is committed: no retry, and no guess whose answer is whose.
    const fits = outcomes.length === batch.length;
    const mistake = new Error(`run answered ${outcomes.length} times for ${batch.length} items`);
    batch.forEach((one, i) => {
      one.settle(fits ? outcomes[i]! : { ok: false, error: mistake });
    });
    return undefined;
  }

  function close(): Promise<void> {
    closing ??= Promise.withResolvers<void>();
    if (busy === 0 && waiting === 0) closing.resolve();
    return closing.promise;
  }

  return { submit, waiting: () => waiting, close };
}

/** First in, first out in constant time; Array.shift moves the rest, which 100,000 waiting items would feel. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
