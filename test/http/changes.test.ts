import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventRetentionDays, forgetOldEvents } from '../../server/core/events/index.ts';
import { many, writeEvents } from '../support/events.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let businesses = 1001;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const dayMs = 86_400_000;
const changes = (query = '', client = api, business = 1001): Promise<Answer> =>
  client.get(`/businesses/${business}/changes?${query}`);
const sequences = ({ body }: Answer): number[] =>
  body.data.map(({ sequence }: { sequence: number }) => sequence);
const types = ({ body }: Answer): string[] => body.data.map(({ type }: { type: string }) => type);
const now = async (client = api, business = 1001): Promise<string> =>
  (await changes('from=now', client, business)).body.next_cursor;

/** A business of the test's own, and how to read its changes. */
async function another() {
  const businessId = ++businesses;
  const { api: client } = await omega.business({ business_id: businessId });
  return { businessId, read: (query = '') => changes(query, client, businessId) };
}

describe('listChanges: GET /businesses/{business_id}/changes', () => {
  test('begins at the oldest, goes on by its cursor, and waits at the end with a cursor that stays good', async () => {
    const { read } = await another();
    const seen: number[] = [];
    let page = await read('limit=2');
    for (;;) {
      expect(page.status).toBe(200);
      seen.push(...sequences(page));
      if (!page.body.has_more) break;
      page = await read(`limit=2&cursor=${page.body.next_cursor}`);
    }
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).toEqual(seen.map((_, i) => i + 1));
    const cursor = page.body.next_cursor;
    const nothing = await read(`cursor=${cursor}`);
    expect(nothing.body).toEqual({ data: [], next_cursor: cursor, has_more: false });
    const { db } = omega.omega.database;
    await writeEvents(db, businesses, ['client.created', 'client.updated']);
    const later = await read(`cursor=${cursor}`);
    expect(types(later)).toEqual(['client.created', 'client.updated']);
    expect(sequences(later)).toEqual([seen.length + 1, seen.length + 2]);
  });

  test('shows each event with its message as it is now, cut to a size, and without its HTML', async () => {
    const cursor = await now();
    const sent = await api.post('/sms/queue', { to: '+12025550123', content: 'See you at 9' });
    await omega.settled();
    const content = 'x'.repeat(10_001);
    await api.post('/email/record', {
      direction: 'outbound',
      client_id: sent.body.client_id,
      to: 'ana@example.com',
      subject: 'Long',
      text: content,
    });
    const page = await changes(`cursor=${cursor}&limit=100`);
    const queued = page.body.data.find((one: { type: string }) => one.type === 'message.queued');
    expect(queued).toMatchObject({
      business_id: 1001,
      api_version: '2026-11-01',
      actor: { type: 'key' },
      origin: { request_id: expect.any(String) },
      data: {
        object: { message_id: sent.body.message_id, status: 'queued' },
        message: { content: 'See you at 9', status: 'delivered', content_truncated: false },
      },
    });
    const long = page.body.data.find(
      (one: { data: { message: { channel: string } | null } }) => one.data.message?.channel === 'email',
    );
    expect(long.data.message.content).toHaveLength(10_000);
    expect(long.data.message.content_truncated).toBe(true);
    expect(long.data.message).not.toHaveProperty('html');
  });

  test('from=now begins with what comes next', async () => {
    const cursor = await now();
    const empty = await changes('from=now');
    expect(empty.body).toEqual({ data: [], next_cursor: cursor, has_more: false });
    await writeEvents(omega.omega.database.db, 1001, ['note.added']);
    expect(types(await changes(`cursor=${cursor}&from=now`))).toEqual(['note.added']);
  });

  test('filters by type and by family, with a cursor of its own', async () => {
    const cursor = await now();
    const filtered = async (text: string) => {
      const first = await changes(`from=now&types=${text}`);
      return first.body.next_cursor as string;
    };
    const places = {
      one: await filtered('note.added'),
      family: await filtered('call.*'),
      both: await filtered('call.*,note.added'),
    };
    await writeEvents(omega.omega.database.db, 1001, [
      'call.started',
      'note.added',
      'client.created',
      'call.completed',
    ]);
    const read = (text: string, place: string) => changes(`types=${text}&cursor=${place}`);
    expect(types(await read('note.added', places.one))).toEqual(['note.added']);
    expect(types(await read('call.*', places.family))).toEqual(['call.started', 'call.completed']);
    // The order in which they are named, and naming one twice, makes no other filter.
    expect(types(await read('note.added,%20call.*,note.added', places.both))).toEqual([
      'call.started',
      'note.added',
      'call.completed',
    ]);
    const wrong = await read('note.added', cursor);
    expectProblem(wrong, 422, 'invalid_parameters');
    expect(faultsOf(wrong)).toEqual(['cursor invalid_value']);
    for (const name of ['message.recieved', 'messages.*', '*', 'message', '']) {
      const answer = await changes(`types=${name || ','}`);
      expectProblem(answer, 422, 'invalid_parameters', name);
      expect(faultsOf(answer)).toEqual(['types invalid_value']);
    }
  });

  test('looks at a bounded number of events a page, and goes on where it stopped', async () => {
    const { businessId, read } = await another();
    const { db } = omega.omega.database;
    const start = (await read('from=now&types=note.added')).body.next_cursor;
    for (let i = 0; i < 5; i++) await writeEvents(db, businessId, many(1_000, 'client.updated'));
    await writeEvents(db, businessId, ['note.added']);
    let cursor = start;
    const pages: number[] = [];
    for (let more = true; more; ) {
      const page = await read(`types=note.added&cursor=${cursor}`);
      pages.push(page.body.data.length);
      ({ next_cursor: cursor, has_more: more } = page.body);
    }
    expect(pages).toEqual([0, 0, 1]);
  });

  test('is for its own business alone, and for who may read', async () => {
    const { read } = await another();
    expectProblem(await changes('', api, businesses), 403, 'forbidden');
    expectProblem(await changes('', omega.platform, 999_999), 404, 'not_found');
    const theirs = (await read('limit=1')).body.next_cursor;
    const answer = await changes(`cursor=${theirs}`);
    expectProblem(answer, 422, 'invalid_parameters');
    expect(sequences(await changes('limit=1', omega.platform, businesses))).toEqual([1]);
  });
});

describe('listChanges, when events are forgotten after their days', () => {
  test('tells a cursor from before by 410, and goes on from any that lost nothing', async () => {
    const { businessId, read } = await another();
    const { db } = omega.omega.database;
    await writeEvents(db, businessId, many(3, 'client.updated'), { at: new Date(omega.clock.now()) });
    const first = (await read('limit=1')).body.next_cursor;
    const early = await read('limit=100');
    const count = early.body.data.length;
    const atEnd = early.body.next_cursor;
    const later = new Date(omega.clock.now() + (eventRetentionDays + 1) * dayMs);
    await writeEvents(db, businessId, ['note.added', 'client.created'], { at: later });
    expect(await forgetOldEvents(db, later)).toBeGreaterThanOrEqual(count);

    const gone = await read(`cursor=${first}`);
    expectProblem(gone, 410, 'cursor_expired');
    expect(gone.body.detail).toContain('from=now');
    expect(sequences(await read())).toEqual([count + 1, count + 2]);
    expect(sequences(await read(`cursor=${atEnd}`))).toEqual([count + 1, count + 2]);

    // All of it: who had everything has still lost nothing.
    const last = (await read()).body.next_cursor;
    expect(await forgetOldEvents(db, new Date(later.getTime() + (eventRetentionDays + 1) * dayMs))).toBe(2);
    expect((await read(`cursor=${last}`)).body).toMatchObject({ data: [], has_more: false });
    expect((await read()).body).toMatchObject({ data: [], has_more: false, next_cursor: last });
    expectProblem(await read(`cursor=${atEnd}`), 410, 'cursor_expired');
    await writeEvents(db, businessId, ['note.added'], { at: later });
    expect(sequences(await read(`cursor=${last}`))).toEqual([count + 3]);
  });

  test('a filter does not hide that events are gone', async () => {
    const { businessId, read } = await another();
    const { db } = omega.omega.database;
    const cursor = (await read('from=now&types=note.added')).body.next_cursor;
    const later = new Date(omega.clock.now() + (eventRetentionDays + 1) * dayMs);
    const before = new Date(omega.clock.now() - 1);
    await writeEvents(db, businessId, ['note.added'], { at: before });
    await writeEvents(db, businessId, ['client.created', 'note.added'], { at: later });
    await forgetOldEvents(db, later);
    expectProblem(await read(`types=note.added&cursor=${cursor}`), 410, 'cursor_expired');
  });

  test('leaves no gap where clocks differ, and takes more than one batch', async () => {
    const { businessId, read } = await another();
    const { db } = omega.omega.database;
    const old = new Date(omega.clock.now());
    const later = new Date(old.getTime() + (eventRetentionDays + 1) * dayMs);
    const there = (await read('limit=100')).body.data.length;
    for (let i = 0; i < 3; i++) await writeEvents(db, businessId, many(900, 'note.added'), { at: old });
    await writeEvents(db, businessId, ['client.created'], { at: later });
    // By a clock that goes wrong, and is found wrong by nobody.
    await writeEvents(db, businessId, ['client.updated'], { at: old });
    await writeEvents(db, businessId, ['client.merged'], { at: later });
    await forgetOldEvents(db, later);
    const left = await read();
    expect(types(left)).toEqual(['client.created', 'client.updated', 'client.merged']);
    expect(sequences(left)).toEqual([there + 2701, there + 2702, there + 2703]);
  });

  test('a place that this database never came to is 410 too: a backup was restored', async () => {
    const { businessId, read } = await another();
    const { db } = omega.omega.database;
    await writeEvents(db, businessId, many(3, 'note.added'));
    const ahead = await read('from=now');
    await db.deleteFrom('events').where('business_id', '=', businessId).where('sequence', '>', 1).execute();
    await db
      .updateTable('businesses')
      .set({ event_sequence: 1 })
      .where('business_id', '=', businessId)
      .execute();
    expectProblem(await read(`cursor=${ahead.body.next_cursor}`), 410, 'cursor_expired');
  });
});
