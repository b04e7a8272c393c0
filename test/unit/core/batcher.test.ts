import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BatcherOptions,
  createBatcher,
  type Outcome,
  Overloaded,
} from '../../../server/core/batcher.ts';

interface Item {
  key: string;
  id: number;
}
interface Running {
  items: Item[];
  /** Answers every item with its own id. */
  succeed(): Promise<void>;
  answer(outcomes: Outcome<number>[]): Promise<void>;
  crash(error?: unknown): Promise<void>;
}
type Limits = Pick<BatcherOptions<Item, number>, 'maxItems' | 'lanes' | 'maxWaiting' | 'mayBeOneItem'>;

/** Everything that promises alone can set going has happened. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A batcher whose batches end when and how the test says. */
function controlled(limits: Partial<Limits> = {}) {
  /** Batches that run now, oldest first. */
  const running: Running[] = [];
  /** Every batch ever started, as ids. */
  const started: number[][] = [];
  let lastId = 0;
  const batcher = createBatcher<Item, number>({
    maxItems: 100,
    lanes: 1,
    maxWaiting: 1_000_000,
    keyOf: ({ key }) => key,
    ...limits,
    run: (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<Outcome<number>[]>();
      const end = (act: () => void) => {
        running.splice(running.indexOf(batch), 1);
        act();
        return settled();
      };
      const batch: Running = {
        items,
        succeed: () => batch.answer(items.map(({ id }) => ({ ok: true, value: id }))),
        answer: (outcomes) => end(() => resolve(outcomes)),
        crash: (error = new Error('the transaction failed')) => end(() => reject(error)),
      };
      running.push(batch);
      started.push(items.map(({ id }) => id));
      return promise;
    },
  });
  /** Submits one item and remembers its answer; `id` counts up from 1. */
  const submit = (key = 'a') => {
    const id = ++lastId;
    const answers: Outcome<number>[] = [];
    const promise = batcher.submit({ key, id });
    promise.then(
      (value) => answers.push({ ok: true, value }),
      (error) => answers.push({ ok: false, error }),
    );
    return { id, promise, answers };
  };
  return { batcher, submit, running, started };
}

const ok = (value: number): Outcome<number> => ({ ok: true, value });
const failed = (message: string) => ({ ok: false, error: expect.objectContaining({ message }) });

describe('a batch', () => {
  test('of a lone item is run in the same turn of the event loop, without a timer', async () => {
    const { submit, started } = controlled();
    submit();
    await settled();
    expect(started).toEqual([[1]]);
  });

  test('holds what came in one turn, however many promises were settled in between', async () => {
    const { submit, started } = controlled();
    for (let i = 0; i < 3; i++) {
      submit();
      for (let microtask = 0; microtask < 100; microtask++) await undefined;
    }
    await settled();
    expect(started).toEqual([[1, 2, 3]]);
  });

  test('holds what was submitted in the same turn, and then what came while every lane was busy', async () => {
    const { submit, running, started, batcher } = controlled();
    const first = [submit(), submit()];
    await settled();
    const second = [submit(), submit('b'), submit()];
    await settled();
    expect([started, batcher.waiting()]).toEqual([[[1, 2]], 3]);
    await running[0]!.succeed();
    await running[0]!.succeed();
    // b, who has not had a turn yet, comes before a.
    expect(started).toEqual([
      [1, 2],
      [4, 3, 5],
    ]);
    expect([...first, ...second].map(({ answers }) => answers)).toEqual(
      [1, 2, 3, 4, 5].map((id) => [ok(id)]),
    );
    expect(batcher.waiting()).toBe(0);
  });

  test('answers for each item: one refusal is one refusal', async () => {
    const { submit, running } = controlled();
    const [good, bad] = [submit(), submit('b')];
    await settled();
    await running[0]!.answer([ok(7), { ok: false, error: new Error('unknown client') }]);
    expect(good.answers).toEqual([ok(7)]);
    expect(bad.answers).toEqual([failed('unknown client')]);
  });

  test('that failed as a whole is run again item by item, so that one poison item fails alone', async () => {
    const { submit, running, started } = controlled();
    const all = [submit(), submit('b'), submit('c')];
    await settled();
    await running[0]!.crash();
    await running[0]!.succeed();
    await running[0]!.crash(new Error('poison'));
    await running[0]!.succeed();
    expect(started).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(all.map(({ answers }) => answers)).toEqual([[ok(1)], [failed('poison')], [ok(3)]]);
  });

  test('of one item that failed is not run again', async () => {
    const { submit, running, started } = controlled();
    const one = submit();
    await settled();
    await running[0]!.crash(new Error('no'));
    expect([one.answers, started]).toEqual([[failed('no')], [[1]]]);
  });

  test('is given up when the failure is no item’s fault, at once or while its items run alone', async () => {
    const { submit, running, started } = controlled({
      mayBeOneItem: (error) => String(error) !== 'Error: gone',
    });
    const first = [submit(), submit('b')];
    await settled();
    await running[0]!.crash(new Error('gone'));
    const second = [submit(), submit('b'), submit('c')];
    await settled();
    await running[0]!.crash(new Error('poison?'));
    await running[0]!.succeed();
    await running[0]!.crash(new Error('gone'));
    expect(started).toEqual([[1, 2], [3, 4, 5], [3], [4]]);
    expect(first.map(({ answers }) => answers)).toEqual([[failed('gone')], [failed('gone')]]);
    expect(second.map(({ answers }) => answers)).toEqual([[ok(3)], [failed('gone')], [failed('gone')]]);
  });

  test('with a wrong number of answers is nobody’s success, and is not run again', async () => {
    const { submit, running, started } = controlled();
    const all = [submit(), submit()];
    await settled();
    await running[0]!.answer([ok(1)]);
    const mistake = failed('run answered 1 times for 2 items');
    expect([all.map(({ answers }) => answers), started.length]).toEqual([[[mistake], [mistake]], 1]);
  });

  test('whose run throws before it promises anything is answered too', async () => {
    const batcher = createBatcher<number, number>({
      run: () => {
        throw new Error('at once');
      },
      keyOf: () => 'a',
      maxItems: 2,
      lanes: 1,
      maxWaiting: 10,
    });
    await expect(batcher.submit(1)).rejects.toThrow('at once');
  });
});

describe('turns', () => {
  test('a tenant with 100,000 waiting does not hold up another one’s single item', async () => {
    const { submit, running, started } = controlled();
    for (let i = 0; i < 100_000; i++) submit('noisy');
    await settled();
    const single = submit('quiet');
    await running[0]!.succeed();
    expect(started[1]).toContain(single.id);
    expect(started[1]).toHaveLength(100);
  });

  test('go round: one item of each key, oldest first, and on from where the last batch stopped', async () => {
    const { submit, running, started } = controlled({ maxItems: 4 });
    for (const key of 'aaaabbbbccd') submit(key);
    await settled();
    while (running.length) await running[0]!.succeed();
    expect(started).toEqual([
      [1, 5, 9, 11],
      [2, 6, 10, 3],
      [7, 4, 8],
    ]);
  });

  test('of keys that come back from a batch, the one served longest ago is first', async () => {
    const { submit, running, started } = controlled({ maxItems: 3 });
    for (const key of 'aaab') submit(key);
    await settled();
    submit('b');
    await running[0]!.succeed();
    expect(started).toEqual([
      [1, 4, 2],
      [5, 3],
    ]);
  });

  test('a key that runs in one lane is not taken by another, while other keys are', async () => {
    const { submit, running, started } = controlled({ lanes: 3 });
    submit('a');
    await settled();
    submit('a');
    submit('b');
    await settled();
    expect(started).toEqual([[1], [3]]);
    await running[0]!.succeed();
    expect(started).toEqual([[1], [3], [2]]);
  });

  test('a key keeps its lane until the last item of a failed batch has been run alone', async () => {
    const { submit, running, started } = controlled({ lanes: 2 });
    submit('a');
    submit('b');
    await settled();
    await running[0]!.crash();
    submit('a');
    await running[0]!.succeed();
    expect(started).toEqual([[1, 2], [1], [2]]);
    await running[0]!.succeed();
    expect(started).toEqual([[1, 2], [1], [2], [3]]);
  });
});

describe('when too many wait', () => {
  test('one more is refused with the seconds to wait, and taken when there is room again', async () => {
    const { submit, running, batcher } = controlled({ maxItems: 1, maxWaiting: 3 });
    submit('running');
    await settled();
    for (const key of 'abc') submit(key);
    const refused = submit('d');
    await settled();
    expect(refused.answers).toEqual([{ ok: false, error: expect.any(Overloaded) }]);
    expect(refused.answers).toEqual([{ ok: false, error: expect.objectContaining({ retryAfterS: 1 }) }]);
    expect(batcher.waiting()).toBe(3);
    await running[0]!.succeed();
    const later = submit('d');
    await settled();
    expect(later.answers).toEqual([]);
  });

  test('one tenant alone cannot fill every place', async () => {
    const { submit, batcher } = controlled({ maxWaiting: 100 });
    submit('noisy');
    await settled();
    for (let i = 0; i < 1_000; i++) submit('noisy');
    expect(batcher.waiting()).toBe(80);
    const single = submit('quiet');
    await settled();
    expect([batcher.waiting(), single.answers]).toEqual([81, []]);
  });
});

test('limits below 1 are a mistake, told at once', () => {
  for (const limit of ['maxItems', 'lanes', 'maxWaiting'] as const) {
    for (const value of [0, -1, Number.NaN]) expect(() => controlled({ [limit]: value })).toThrow(RangeError);
  }
});

test('an item whose key cannot be read is refused alone', async () => {
  const batcher = createBatcher<Item | null, number>({
    run: async (items) => items.map((item) => ok(item!.id)),
    keyOf: (item) => item!.key,
    maxItems: 10,
    lanes: 1,
    maxWaiting: 10,
  });
  const bad = batcher.submit(null);
  const good = batcher.submit({ key: 'a', id: 1 });
  await expect(bad).rejects.toThrow(TypeError);
  await expect(good).resolves.toBe(1);
});

describe('closing', () => {
  test('takes nothing new, and ends when all that was taken is answered', async () => {
    const { submit, running, batcher } = controlled({ maxItems: 1 });
    const taken = [submit('a'), submit('b')];
    let closed = false;
    const closing = batcher.close().then(() => {
      closed = true;
    });
    const late = submit('c');
    await settled();
    expect(late.answers).toEqual([{ ok: false, error: expect.any(Overloaded) }]);
    await running[0]!.succeed();
    expect(closed).toBe(false);
    await running[0]!.succeed();
    await closing;
    expect(taken.map(({ answers }) => answers)).toEqual([[ok(1)], [ok(2)]]);
  });

  test('is done at once when nothing runs, and may be asked for twice', async () => {
    const { batcher } = controlled();
    await Promise.all([batcher.close(), batcher.close()]);
  });
});

/**
 * Any interleaving of arrivals and of batches that end well, ill or in part, against a model that knows the
 * promises only: which items wait, which run and with which batch, and when an idle key's item is due at the
 * latest.
 */
test('in every interleaving the promises hold', async () => {
  const command = fc.oneof(
    { weight: 3, arbitrary: fc.array(fc.constantFrom(...'abcdefg'), { minLength: 1, maxLength: 6 }) },
    {
      weight: 4,
      arbitrary: fc.record({ lane: fc.nat(5), how: fc.constantFrom('succeed', 'refuse', 'crash') }),
    },
  );
  const limits = fc.record({
    maxItems: fc.integer({ min: 1, max: 5 }),
    lanes: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(limits, fc.array(command, { maxLength: 40 }), async ({ maxItems, lanes }, commands) => {
      const { submit, running, started, batcher } = controlled({ maxItems, lanes });
      const submitted: { id: number; key: string; answers: Outcome<number>[] }[] = [];
      const keyOf = (id: number) => submitted[id - 1]!.key;
      const waiting = new Set<number>();
      const expected = new Map<number, Outcome<number>>();
      const order: number[] = [];
      /** Batches whose items are not all answered: the keys that they hold and the items they owe. */
      let held: { keys: Set<string>; owed: Set<number> }[] = [];
      const due = new Map<number, number>();
      let seen = 0;
      let batches = 0;

      const isHeld = (key: string) => held.some(({ keys }) => keys.has(key));
      const readyKeys = () => new Set([...waiting].map(keyOf).filter((key) => !isHeld(key)));

      const check = () => {
        for (; seen < started.length; seen++) {
          const ids = started[seen]!;
          if (!ids.every((id) => waiting.has(id))) {
            // An item alone, after its batch crashed: it must be one that a batch still owes.
            expect(ids).toHaveLength(1);
            expect(held.some(({ owed }) => owed.has(ids[0]!))).toBe(true);
            continue;
          }
          batches++;
          expect(ids.length).toBeLessThanOrEqual(maxItems);
          const keys = new Set(ids.map(keyOf));
          for (const key of keys) expect(isHeld(key)).toBe(false);
          for (const id of ids) {
            expect([...waiting].find((other) => keyOf(other) === keyOf(id))).toBe(id);
            expect(batches).toBeLessThanOrEqual(due.get(id) ?? Number.POSITIVE_INFINITY);
            waiting.delete(id);
          }
          held.push({ keys, owed: new Set(ids) });
        }
        expect(running.length).toBe(held.length);
        expect(running.length).toBeLessThanOrEqual(lanes);
        expect(batcher.waiting()).toBe(waiting.size);
        // No lane rests while somebody waits whom it could serve.
        if (running.length < lanes) expect(readyKeys().size).toBe(0);
        for (const { id, answers } of submitted)
          expect(answers).toEqual(expected.has(id) ? [expected.get(id)] : []);
      };

      const arrive = async (keys: string[]) => {
        for (const key of keys) {
          const others = readyKeys();
          const { id, answers } = submit(key);
          submitted.push({ id, key, answers });
          if (!others.has(key) && !isHeld(key)) due.set(id, batches + Math.floor(others.size / maxItems) + 1);
          waiting.add(id);
        }
        await settled();
      };

      const end = async (lane: number, how: string) => {
        const batch = running[lane % Math.max(1, running.length)];
        if (!batch) return;
        const ids = batch.items.map(({ id }) => id);
        const error = new Error(`about ${ids}`);
        const outcomes = ids.map(
          (id): Outcome<number> => (how === 'refuse' && id % 2 ? { ok: false, error } : ok(id)),
        );
        if (how !== 'crash' || ids.length === 1) {
          ids.forEach((id, i) => {
            expect(expected.has(id)).toBe(false);
            expected.set(id, how === 'crash' ? { ok: false, error } : outcomes[i]!);
            order.push(id);
            for (const { owed } of held) owed.delete(id);
          });
          held = held.filter(({ owed }) => owed.size > 0);
        }
        await (how === 'crash' ? batch.crash(error) : batch.answer(outcomes));
      };

      for (const step of commands) {
        await (Array.isArray(step) ? arrive(step) : end(step.lane, step.how));
        check();
      }
      const closing = batcher.close();
      while (running.length > 0) {
        await end(0, 'succeed');
        check();
      }
      await closing;
      expect(expected.size).toBe(submitted.length);
      for (const key of 'abcdefg') {
        const ofKey = order.filter((id) => keyOf(id) === key);
        expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b));
      }
    }),
    { numRuns: 300 },
  );
});
