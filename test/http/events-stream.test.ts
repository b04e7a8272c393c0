import { Agent, EventSource } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createKey, revokeKey } from '../../server/access/index.ts';
import { createEventSignal, forgetOldEvents } from '../../server/core/events/index.ts';
import { createLog } from '../../server/core/log.ts';
import { createEventStreams, type StreamLimits } from '../../server/realtime/index.ts';
import { many, writeEvents } from '../support/events.ts';
import { eventually } from '../support/eventually.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type OpenStream, openStream } from '../support/streams.ts';

let omega: RunningOmega;
let api: Client;
let key: string;
const open: OpenStream[] = [];
const streams: Partial<StreamLimits> = { heartbeatMs: 50, lookMs: 60_000 };

beforeAll(async () => {
  omega = await startOmega({ streams });
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterEach(() => {
  for (const stream of open.splice(0)) stream.close();
});
afterAll(() => omega.close());

const path = '/businesses/1001/events';
async function follow(query = '', headers: Record<string, string> = { 'x-api-key': key }, url = omega.url) {
  const stream = await openStream(`${url}${path}?${query}`, headers);
  open.push(stream);
  return stream;
}
/** Follows, and has been given its place. */
async function following(...given: Parameters<typeof follow>) {
  const stream = await follow(...given);
  expect(stream.status).toBe(200);
  await eventually(() => expect(stream.lastId).not.toBeNull());
  return stream;
}
const write = (...types: Parameters<typeof writeEvents>[2]) =>
  writeEvents(omega.omega.database.db, 1001, types);
const typesOf = (stream: OpenStream) => stream.events.map(({ event }) => event);
const sequencesOf = (stream: OpenStream) => stream.events.map(({ data }) => data.sequence);
const changes = async (query: string) => (await api.get(`/businesses/1001/changes?${query}`)).body;

describe('streamEvents: GET /businesses/{business_id}/events', () => {
  test('tells what happens from now on, each event as the list of changes has it', async () => {
    const { next_cursor } = await changes('from=now');
    const stream = await following();
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': expect.any(String),
    });
    expect(stream.text).toMatch(/^retry: 2000\nid: \S+\n\n/);
    expect(stream.lastId).toBe(next_cursor);
    const sent = await api.post('/sms/queue', { to: '+12025550123', content: 'See you at 9' });
    await eventually(() => expect(typesOf(stream)).toContain('message.delivered'));
    const list = await changes(`cursor=${next_cursor}&limit=100`);
    expect(stream.events.map(({ data }) => data.id)).toEqual(list.data.map(({ id }: { id: string }) => id));
    const queued = stream.events.find(({ event }) => event === 'message.queued')!;
    expect(queued.data).toMatchObject({
      type: 'message.queued',
      data: { message: { message_id: sent.body.message_id, content: 'See you at 9' } },
    });
  });

  test('goes on after Last-Event-ID, or a cursor, from the stream or from the list', async () => {
    const first = await following();
    await write('note.added', 'client.created');
    await eventually(() => expect(typesOf(first)).toEqual(['note.added', 'client.created']));
    first.close();
    await write('client.updated');
    const { id } = first.events[0]!;
    const byHeader = await follow('', { 'x-api-key': key, 'last-event-id': id });
    await eventually(() => expect(typesOf(byHeader)).toEqual(['client.created', 'client.updated']));
    const byQuery = await follow(`cursor=${id}`);
    await eventually(() => expect(typesOf(byQuery)).toEqual(['client.created', 'client.updated']));
    // A browser repeats its URL: where it is now stands in the header.
    const both = await follow(`cursor=${id}`, {
      'x-api-key': key,
      'last-event-id': byQuery.events[0]!.id,
    });
    await eventually(() => expect(typesOf(both)).toEqual(['client.updated']));
    // And back in the list.
    expect((await changes(`cursor=${id}`)).data.map(({ type }: { type: string }) => type)).toEqual([
      'client.created',
      'client.updated',
    ]);
  });

  test('who got nothing yet goes on from there all the same', async () => {
    const stream = await following();
    stream.close();
    await write('note.added');
    const again = await follow('', { 'x-api-key': key, 'last-event-id': stream.lastId! });
    await eventually(() => expect(typesOf(again)).toEqual(['note.added']));
  });

  test('filters by type; what it leaves out moves its place on too', async () => {
    const stream = await following('types=note.*,call.missed');
    const at = stream.lastId;
    await write('client.created', 'call.started', 'call.missed', 'note.added', 'client.updated');
    await eventually(() => expect(typesOf(stream)).toEqual(['call.missed', 'note.added']));
    await eventually(() => expect(stream.lastId).not.toBe(stream.events.at(-1)!.id));
    const head = (await changes('types=note.*,call.missed&from=now')).next_cursor;
    expect(stream.lastId).toBe(head);
    const again = await follow('types=call.missed,note.*', { 'x-api-key': key, 'last-event-id': at! });
    await eventually(() => expect(sequencesOf(again)).toEqual(sequencesOf(stream)));
    const answer = await api.get(path, { 'last-event-id': at! });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(answer.body.errors[0].path).toBe('Last-Event-ID');
  });

  test('many readers at many places get each event once, in order, while writers write', async () => {
    const start = (await changes('from=now')).next_cursor;
    const readers = [await following()];
    for (let i = 0; i < 20; i++) {
      await Promise.all([write('note.added', 'client.updated'), write('client.created')]);
      if (i % 4 === 0) readers.push(await following(`cursor=${start}`), await following());
    }
    const list = [...(await changes(`cursor=${start}&limit=100`)).data] as { sequence: number }[];
    expect(list).toHaveLength(60);
    const last = list.at(-1)!.sequence;
    for (const reader of readers) {
      await eventually(() => expect(sequencesOf(reader).at(-1)).toBe(last));
      const [from] = sequencesOf(reader);
      expect(sequencesOf(reader)).toEqual(list.map(({ sequence }) => sequence).filter((one) => one >= from!));
    }
    expect(sequencesOf(readers[1]!)).toHaveLength(60);
  });

  test('a place whose events are forgotten is 410', async () => {
    const stream = await following();
    await write('note.added', 'note.added');
    stream.close();
    const { db } = omega.omega.database;
    await forgetOldEvents(db, new Date(Date.now() + 40 * 86_400_000));
    for (const headers of [{ 'last-event-id': stream.lastId! }, {}]) {
      const query = 'last-event-id' in headers ? '' : `?cursor=${stream.lastId}`;
      expectProblem(await api.get(path + query, headers as Record<string, string>), 410, 'cursor_expired');
    }
    expect((await following()).status).toBe(200);
  });

  test('comments keep it alive', async () => {
    const stream = await following();
    await eventually(() => expect(stream.text).toMatch(/\n:\n\n:\n\n/));
    expect(stream.events).toEqual([]);
  });

  test('HEAD tells the headers and opens nothing', async () => {
    const answer = await fetch(omega.url + path, { method: 'HEAD', headers: { 'x-api-key': key } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    expect(await answer.text()).toBe('');
  });

  test('is for its own business alone', async () => {
    const other = await omega.business({ business_id: 2002 });
    expectProblem(await other.api.get(path), 403, 'forbidden');
    expectProblem(await omega.platform.get('/businesses/999999/events'), 404, 'not_found');
    const mine = await following();
    const theirs = await openStream(`${omega.url}/businesses/2002/events`, { 'x-api-key': other.key });
    open.push(theirs);
    await eventually(() => expect(theirs.lastId).not.toBeNull());
    await writeEvents(omega.omega.database.db, 2002, ['note.added']);
    await write('client.created');
    await eventually(() => expect(typesOf(theirs)).toEqual(['note.added']));
    await eventually(() => expect(typesOf(mine)).toEqual(['client.created']));
    const answer = await api.get(path, { 'last-event-id': theirs.lastId! });
    expectProblem(answer, 422, 'invalid_parameters');
  });

  test("an EventSource of another's making follows, with the browser's cookie or a header, and comes back by itself", async () => {
    const { body } = await api.post('/authentication/token', { staff_id: 12345 });
    expect((await follow('', { cookie: `omega_session=${body.token}` })).status).toBe(200);
    expect((await follow('', { authorization: `Bearer ${body.token}` })).status).toBe(200);

    const connections: (string | undefined)[] = [];
    const dispatcher = new Agent().compose((dispatch) => (options, handler) => {
      const headers = new Headers((options.headers ?? {}) as Record<string, string>);
      connections.push(headers.get('last-event-id') ?? undefined);
      return dispatch({ ...options, headers: { ...Object.fromEntries(headers), 'x-api-key': key } }, handler);
    });
    const source = new EventSource(omega.url + path, { node: { dispatcher } });
    const seen: string[] = [];
    const failures: unknown[] = [];
    source.addEventListener('note.added', (event) => seen.push((event as MessageEvent).lastEventId));
    source.addEventListener('error', (event) => failures.push(event));
    await eventually(() => expect(source.readyState).toBe(1));
    await write('note.added');
    await eventually(() => expect(seen).toHaveLength(1));
    omega.omega.http!.server.closeAllConnections();
    await write('note.added', 'client.created', 'note.added');
    await eventually(() => expect(seen).toHaveLength(3));
    expect(connections.at(-1)).toBe(seen[0]);
    expect(new Set(seen).size).toBe(3);
    source.close();
    await dispatcher.close();
  });
});

describe('streamEvents ends with what let it in', () => {
  test('when the key is revoked: nothing comes after the next heartbeat', async () => {
    const { db } = omega.omega.database;
    const now = new Date(omega.clock.now());
    const made = await createKey(db, { businessId: 1001, name: 'short', scopes: ['read'], now });
    const stream = await following('', { 'x-api-key': made.key });
    const bearer = await following('', { authorization: `Bearer ${made.key}` });
    await write('note.added');
    await eventually(() => expect([stream.events.length, bearer.events.length]).toEqual([1, 1]));
    await revokeKey(db, made.keyId, now);
    await eventually(() => expect([stream.ended, bearer.ended]).toEqual([true, true]));
    await write('client.created');
    expect(typesOf(stream)).toEqual(['note.added']);
  });

  test('when the session ends, or runs out', async () => {
    const token = async (more = {}) =>
      (await api.post('/authentication/token', { staff_id: 12345, ...more })).body;
    const [ended, expired, staying] = [await token(), await token({ ttl_s: 60 }), await token()];
    const of = (session: { token: string }) => ({ cookie: `omega_session=${session.token}` });
    const [one, two, three] = [
      await following('', of(ended)),
      await following('', of(expired)),
      await following('', of(staying)),
    ];
    await api.post('/session/expire', { session_id: ended.session_id });
    await eventually(() => expect(one.ended).toBe(true));
    expect(two.ended).toBe(false);
    await omega.tick(60_000);
    await eventually(() => expect(two.ended).toBe(true));
    await write('note.added');
    await eventually(() => expect(typesOf(three)).toContain('note.added'));
    expect(three.ended).toBe(false);
  });
});

describe('streamEvents is bounded', () => {
  test('a reader that pauses gets all of it later, in order', async () => {
    const stream = await following();
    stream.stopReading();
    const data = { filler: 'x'.repeat(200_000) };
    for (let i = 0; i < 3; i++)
      await writeEvents(omega.omega.database.db, 1001, many(10, 'client.updated'), { data });
    stream.goOn();
    await eventually(() => expect(stream.events).toHaveLength(30));
    const [first] = sequencesOf(stream);
    expect(sequencesOf(stream)).toEqual(Array.from({ length: 30 }, (_, i) => first! + i));
  });

  test('a reader that takes nothing is cut off, and holds up nobody', async () => {
    const own = await startOmega({ streams: { ...streams, stalledMs: 600, perCaller: 2 } });
    const { key: ownKey } = await own.business({ business_id: 1001 });
    const headers = { 'x-api-key': ownKey };
    const stalled = await following('', headers, own.url);
    stalled.stopReading();
    const taking = await following('', headers, own.url);
    const data = { filler: 'x'.repeat(200_000) };
    // What the kernel holds for a reader differs from machine to machine: more is written until it is full.
    let written = 0;
    const third = await vi.waitUntil(
      async () => {
        await writeEvents(own.omega.database.db, 1001, many(10, 'client.updated'), { data });
        written += 10;
        await eventually(() => expect(taking.events).toHaveLength(written));
        const stream = await follow('', headers, own.url);
        return stream.status === 200 && stream;
      },
      { timeout: 40_000, interval: 100 },
    );
    expect(third.status).toBe(200);
    stalled.goOn();
    await eventually(() => expect(stalled.ended).toBe(true));
    expect(stalled.events.length).toBeLessThan(written);
    expect(taking.ended).toBe(false);
    taking.close();
    // It goes on from where it was.
    const again = await follow('', { ...headers, 'last-event-id': stalled.lastId! }, own.url);
    await eventually(() =>
      expect([...sequencesOf(stalled), ...sequencesOf(again)]).toEqual(sequencesOf(taking)),
    );
    await own.close();
  });

  test('for a reader that takes nothing little waits in memory, and nothing is read', async () => {
    const { database } = omega.omega;
    let asked = 0;
    const db = database.db.withPlugin({
      transformQuery({ node }) {
        asked++;
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const log = createLog({ level: 'fatal', pretty: false });
    const events = createEventSignal(database, log);
    const limits = { heartbeatMs: 10, lookMs: 10, stalledMs: 3_600_000 };
    const own = createEventStreams({ db, events, log, limits });
    const { event_sequence: after } = await database.db
      .selectFrom('businesses')
      .select('event_sequence')
      .where('business_id', '=', 1001)
      .executeTakeFirstOrThrow();
    let beats = 0;
    const stream = own.open({
      businessId: 1001,
      caller: 'a key',
      filter: null,
      after,
      idOf: String,
      isStillAllowed: async () => ++beats > 0,
      log,
    });
    const data = { filler: 'x'.repeat(100_000) };
    const writeLarge = () => writeEvents(database.db, 1001, many(20, 'client.updated'), { data });
    const fullAt = 64 * 1024;
    await writeLarge();
    await eventually(() => expect(stream.readableLength).toBeGreaterThan(fullAt));
    const [waiting, askedUntilFull] = [stream.readableLength, asked];
    // Four times what is large enough to be no more read for it, and one event.
    expect(waiting).toBeLessThan(4 * fullAt + 101_000);
    const seen = beats;
    await writeLarge();
    await eventually(() => expect(beats).toBeGreaterThan(seen + 10));
    expect([stream.readableLength, asked]).toEqual([waiting, askedUntilFull]);

    let text = '';
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    const ids = () => [...text.matchAll(/^id: (\d+)\nevent: /gm)].map(([, id]) => Number(id));
    const all = Array.from({ length: 40 }, (_, i) => after + 1 + i);
    await eventually(() => expect(ids()).toEqual(all));
    own.close();
    await events.close();
  });

  test('so many by a key (429), in a business (429) and in a process (503), each with Retry-After', async () => {
    const own = await startOmega({ streams: { perCaller: 2, perBusiness: 3, perProcess: 4 } });
    const { key: first } = await own.business({ business_id: 1001 });
    const { db } = own.omega.database;
    const now = new Date(own.clock.now());
    const { key: second } = await createKey(db, { businessId: 1001, name: 'two', scopes: ['read'], now });
    const other = await own.business({ business_id: 2002 });
    const refused = async (client: Client, status: 429 | 503, where = path) => {
      const answer = await client.get(where);
      expectProblem(answer, status, status === 429 ? 'rate_limited' : 'unavailable');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    };
    const one = await following('', { 'x-api-key': first }, own.url);
    await following('', { 'x-api-key': first }, own.url);
    await refused(own.as(first), 429);
    await following('', { 'x-api-key': second }, own.url);
    await refused(own.as(second), 429);
    const theirs = await openStream(`${own.url}/businesses/2002/events`, { 'x-api-key': other.key });
    open.push(theirs);
    await refused(other.api, 503, '/businesses/2002/events');
    one.close();
    await eventually(async () =>
      expect((await following('', { 'x-api-key': first }, own.url)).status).toBe(200),
    );
    await own.close();
  });

  test('a server that stops ends them at once', async () => {
    const own = await startOmega();
    const { key: ownKey } = await own.business({ business_id: 1001 });
    const stream = await following('', { 'x-api-key': ownKey }, own.url);
    await own.close();
    await eventually(() => expect(stream.ended).toBe(true));
    // Not by the cut that comes for requests that take too long.
    expect(stream.broken).toBe(false);
  });
});
