import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createKey } from '../../server/access/index.ts';
import { writeEvents } from '../support/events.ts';
import { eventually } from '../support/eventually.ts';
import { type Pair, startPair } from '../support/pair.ts';
import { type OpenStream, openStream } from '../support/streams.ts';

let pair: Pair;
let key: string;
const open: OpenStream[] = [];

beforeAll(async () => {
  // Nobody looks by itself here: what arrives from the other process arrives by a notice.
  pair = await startPair({ streams: { heartbeatMs: 3_600_000, lookMs: 3_600_000 } });
  ({ key } = await createKey(pair.one.omega.database.db, {
    businessId: 1001,
    name: 'reader',
    scopes: ['read'],
    now: new Date(),
  }));
  await pair.settled();
});
afterEach(() => {
  for (const stream of open.splice(0)) stream.close();
});
afterAll(() => pair?.close());

/** Follows through the one or the other, and has been given its place. */
async function following(at: 'one' | 'two', lastId?: string | null) {
  const stream = await openStream(`${pair[at].url}/businesses/1001/events`, {
    'x-api-key': key,
    ...(lastId && { 'last-event-id': lastId }),
  });
  open.push(stream);
  expect(stream.status).toBe(200);
  await eventually(() => expect(stream.lastId).not.toBeNull());
  return stream;
}
const write = (at: 'one' | 'two', ...types: Parameters<typeof writeEvents>[2]) =>
  writeEvents(pair[at].omega.database.db, 1001, types);
const sequencesOf = (stream: OpenStream) => stream.events.map(({ data }) => data.sequence);
/** The number of the business's newest event. */
async function head(): Promise<number> {
  const [row] = await pair.rows<{ head: string }>(
    'select event_sequence as head from businesses where business_id = 1001',
  );
  return Number(row!.head);
}
const listeners = async () =>
  (
    await pair.rows<{ pid: number }>(
      "select pid from pg_stat_activity where application_name = 'omega events' and query like 'listen %' and state = 'idle' order by pid",
    )
  ).map(({ pid }) => pid);

test('streamEvents gets what is written through the other process', async () => {
  const streams = [await following('one'), await following('two')];
  await eventually(async () => expect(await listeners()).toHaveLength(2));
  await write('one', 'note.added');
  await eventually(() => {
    for (const { events } of streams) expect(events.map(({ event }) => event)).toEqual(['note.added']);
  });
  await write('two', 'client.updated');
  await eventually(() => {
    for (const { events } of streams)
      expect(events.map(({ event }) => event)).toEqual(['note.added', 'client.updated']);
  });
  expect(streams[0]!.events).toEqual(streams[1]!.events);
});

test('streamEvents goes on after the connection that hears notices is cut', async () => {
  const stream = await following('two');
  await eventually(async () => expect((await listeners()).length).toBeGreaterThan(0));
  const before = await listeners();
  await pair.rows(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'omega events'",
  );
  await eventually(async () => {
    for (const pid of await listeners()) expect(before).not.toContain(pid);
  });
  // Its notice is lost, or not; the new connection looks for what was missed.
  await write('one', 'note.added');
  await eventually(() => expect(stream.events.map(({ event }) => event)).toEqual(['note.added']));
  await eventually(async () => expect(await listeners()).toHaveLength(before.length));
  await write('one', 'client.updated');
  await eventually(() =>
    expect(stream.events.map(({ event }) => event)).toEqual(['note.added', 'client.updated']),
  );
  expect(stream.ended).toBe(false);
});

test('streamEvents, left at any moment and resumed on either side while both write, gives each event once, in order', async () => {
  let state = 20_261;
  // Park and Miller's: the same moments in every run.
  const random = (below: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  const begun = await following('one');
  let place = begun.lastId;
  begun.close();
  const from = await head();
  const leaves = 12;
  let left = 0;
  // They write for as long as somebody comes and goes, however slow that is here.
  const writing = Promise.all(
    (['one', 'two'] as const).map(async (at) => {
      while (left < leaves) await write(at, 'note.added', 'client.updated', 'client.created');
    }),
  );
  const seen: number[] = [];
  const stay = async (enough: number) => {
    const stream = await following(left % 2 === 0 ? 'two' : 'one', place);
    await eventually(() => expect(stream.events.length).toBeGreaterThanOrEqual(enough));
    stream.close();
    // What it had when it left is what it has seen.
    seen.push(...sequencesOf(stream));
    place = stream.lastId;
  };
  for (; left < leaves; left++) await stay(1 + random(25));
  await writing;
  const total = (await head()) - from;
  await stay(total - seen.length);
  expect(seen).toEqual(Array.from({ length: total }, (_, i) => from + 1 + i));
});
