import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Conversation } from '../../contract/index.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { walkPages, withQuery } from '../support/pages.ts';

const list = '/businesses/1001/conversations';
let omega: RunningOmega;
let api: Client;
/** The conversations by the name of their client. */
const byName = new Map<string, { conversation_id: string; client_id: number }>();

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  const people = [
    { name: 'Ana Lima', phone: '+12025550123', location_id: 1 },
    { name: 'Ben 100%_Okafor', phone: '+12025550124', email: 'Ben@Example.com', location_id: 2 },
    { name: 'Chloé Ångström', phone: '+12025550125' },
    { name: 'Dov Katz', email: 'dov@example.com' },
    { name: 'ANABEL Ruiz', phone: '+12025550127' },
  ];
  for (const [i, person] of people.entries()) {
    const client_id = 501 + i;
    const { status, body } = await api.post(`/businesses/1001/clients/${client_id}/conversations`, person);
    expect(status).toBe(201);
    byName.set(person.name.split(' ')[0]!, { client_id, conversation_id: body.conversation_id });
    await omega.tick(60_000);
  }
  const inbound = (to: string, more: object = {}) =>
    api.post('/sms/record', { to, content: 'Can I move to 10?', direction: 'inbound', ...more });
  await inbound('+12025550125');
  await omega.tick(60_000);
  await inbound('+12025550123');
  await omega.tick(60_000);
  await inbound('+12025550127', { status: 'read' });
  await api.post('/simulator/inbound', {
    channel: 'email',
    from: 'dov@example.com',
    to: 'hello@lotus.example',
    content: 'By mail',
  });
  await change('Ben', { status: 'closed', assignee_staff_id: 12345 });
  await change('Chloé', { status: 'pending', assignee_staff_id: 12346 });
  await change('ANABEL', { status: 'snoozed', snoozed_until: new Date('2027-01-01T00:00:00Z') });
  await omega.settled();
});
afterAll(() => omega.close());

/** What later operations of the API will do. */
function change(name: string, set: object) {
  return omega.omega.database.db
    .updateTable('conversations')
    .set(set)
    .where('business_id', '=', 1001)
    .where('conversation_id', '=', byName.get(name)!.conversation_id)
    .execute();
}
const names = (rows: Conversation[]) => rows.map((row) => row.client.name!.split(' ')[0]!);
const found = async (query: Record<string, unknown>, caller = api) => {
  const answer = await caller.get(withQuery(list, query));
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return names(answer.body.data);
};
const everyone = ['Dov', 'ANABEL', 'Ana', 'Chloé', 'Ben'];

test('listConversations: a row has the client, where the conversation stands, its last message and who waits since when', async () => {
  const { body } = await api.get(withQuery(list, { client: 'Chloé' }));
  const { conversation_id, client_id } = byName.get('Chloé')!;
  expect(body).toEqual({
    data: [
      {
        conversation_id,
        business_id: 1001,
        client: { client_id, name: 'Chloé Ångström', phone: '+12025550125', email: null, provisional: false },
        status: 'pending',
        snoozed_until: null,
        assignee: { staff_id: 12346, name: 'Noah Diaz' },
        location_id: null,
        last_message: {
          message_id: expect.any(String),
          preview: 'Can I move to 10?',
          channel: 'sms',
          direction: 'inbound',
          status: 'received',
          at: '2026-03-10T15:05:00.000Z',
        },
        unread_count: 1,
        waiting_since: '2026-03-10T15:05:00.000Z',
        channels: ['sms'],
        identity_confirmed: true,
        candidates: [],
        created_at: '2026-03-10T15:02:00.000Z',
        updated_at: '2026-03-10T15:05:00.000Z',
      },
    ],
    next_cursor: null,
    has_more: false,
  });
  const [anabel] = (await api.get(withQuery(list, { status: 'snoozed' }))).body.data;
  expect(anabel).toMatchObject({
    snoozed_until: '2027-01-01T00:00:00.000Z',
    unread_count: 0,
    waiting_since: null,
  });
  const [ben] = (await api.get(withQuery(list, { status: 'closed' }))).body.data;
  expect(ben).toMatchObject({ last_message: null, channels: [], client: { email: 'ben@example.com' } });
});

describe('listConversations, filters', () => {
  test.each<[Record<string, unknown>, string[]]>([
    [{}, everyone],
    [{ status: 'open' }, ['Dov', 'Ana']],
    [{ status: 'pending' }, ['Chloé']],
    [{ status: 'snoozed' }, ['ANABEL']],
    [{ status: 'closed' }, ['Ben']],
    [{ assignee: 'unassigned' }, ['Dov', 'ANABEL', 'Ana']],
    [{ assignee: 12345 }, ['Ben']],
    [{ assignee: 999 }, []],
    [{ channel: 'sms' }, ['ANABEL', 'Ana', 'Chloé']],
    [{ channel: 'email' }, ['Dov']],
    [{ channel: 'carrier_pigeon' }, []],
    [{ location_id: 1 }, ['Ana']],
    [{ location_id: 2 }, ['Ben']],
    [{ unread: true }, ['Dov', 'Ana', 'Chloé']],
    [{ unread: false }, ['ANABEL', 'Ben']],
    [{ waiting: true }, ['Dov', 'Ana', 'Chloé']],
    [{ waiting: false }, ['ANABEL', 'Ben']],
    [{ since: '2026-03-10T15:06:00.000Z' }, ['Dov', 'ANABEL', 'Ana']],
    [{ since: '2026-03-10T10:07:00-05:00' }, ['Dov', 'ANABEL']],
    [{ since: '2027-01-01T00:00:00Z' }, []],
    [{ client: 'ana' }, ['ANABEL', 'Ana']],
    [{ client: 'LIMA' }, ['Ana']],
    [{ client: 'ångström' }, ['Chloé']],
    [{ client: '100%_' }, ['Ben']],
    [{ client: '%' }, []],
    [{ client: 'angstrom' }, ['Chloé']],
    [{ client: '\\' }, []],
    [{ client: '(202) 555-0123' }, ['Ana']],
    [{ client: '+12025550124' }, ['Ben']],
    [{ client: '5550125' }, ['Chloé']],
    [{ client: 'BEN@example.COM' }, ['Ben']],
    [{ client: 'nobody' }, []],
    [{ unread: true, status: 'open' }, ['Dov', 'Ana']],
    [
      { unread: true, status: 'open', channel: 'sms', location_id: 1, client: 'lima', waiting: true },
      ['Ana'],
    ],
    [{ unread: true, status: 'closed' }, []],
  ])('%j', async (query, expected) => {
    expect((await found(query)).sort()).toEqual([...expected].sort());
  });

  test("`me` is the session's staff member; with a key it is 422", async () => {
    const { body } = await api.post('/authentication/token', { staff_id: 12346 });
    const asNoah = clientOf(omega.url, null);
    const answer = await asNoah.get(withQuery(list, { assignee: 'me' }), {
      authorization: `Bearer ${body.token}`,
    });
    expect(names(answer.body.data)).toEqual(['Chloé']);
    const byKey = await api.get(withQuery(list, { assignee: 'me' }));
    expectProblem(byKey, 422, 'invalid_parameters');
    expect(faultsOf(byKey)).toEqual(['assignee invalid_value']);
  });

  test.each([
    ['status=half-open', 'status invalid_value'],
    ['status=open&status=closed', 'status invalid_type'],
    ['assignee=everyone', 'assignee invalid_format'],
    ['channel=SMS', 'channel invalid_format'],
    ['location_id=0', 'location_id too_small'],
    ['location_id=one', 'location_id invalid_type'],
    ['unread=maybe', 'unread invalid_type'],
    ['client=', 'client too_short'],
    ['since=yesterday', 'since invalid_format'],
    ['sort=oldest', 'sort invalid_value'],
    ['limit=0', 'limit too_small'],
    ['limit=101', 'limit too_large'],
    ['limit=2.5', 'limit invalid_type'],
    ['offset=25', 'offset unknown_field'],
  ])('%s is 422: %s', async (query, fault) => {
    const answer = await api.get(`${list}?${query}`);
    expectProblem(answer, 422, fault.endsWith('unknown_field') ? 'unknown_field' : 'invalid_parameters');
    expect(faultsOf(answer)).toContain(fault);
  });
});

describe('listConversations, order', () => {
  test('is by the last activity, newest first, unless told', async () => {
    expect((await found({})).slice(2)).toEqual(everyone.slice(2));
    expect(await found({ sort: 'newest' })).toEqual(await found({}));
  });

  test('longest_waiting has those who wait alone, the longest first', async () => {
    expect(await found({ sort: 'longest_waiting' })).toEqual(['Chloé', 'Ana', 'Dov']);
    expect(await found({ sort: 'longest_waiting', channel: 'sms' })).toEqual(['Chloé', 'Ana']);
  });
});

describe('listConversations, pages', () => {
  const many = '/businesses/2002/conversations';
  let there: Client;
  const from = (i: number) => `+1202600${String(i).padStart(4, '0')}`;
  const text = (i: number) =>
    there.post('/sms/record', { to: from(i), content: `Text ${i}`, direction: 'inbound' });

  beforeAll(async () => {
    ({ api: there } = await omega.business({ business_id: 2002 }));
    // Ten each moment: what has the same time must neither be shown twice nor left out.
    for (let moment = 0; moment < 3; moment++) {
      await Promise.all(Array.from({ length: 10 }, (_, i) => text(moment * 10 + i)));
      await omega.tick(1_000);
    }
  });

  test.each(['newest', 'longest_waiting'])(
    'by %s show each row once, in order, while new ones arrive',
    async (sort) => {
      const before = await there.get(withQuery(many, { sort, limit: 100 }));
      const expected = (before.body.data as Conversation[]).map(({ conversation_id }) => conversation_id);
      expect(expected.length).toBeGreaterThanOrEqual(30);
      let stranger = sort === 'newest' ? 1000 : 2000;
      const rows = await walkPages<Conversation>(there, many, { sort, limit: 7 }, async () => {
        await omega.tick(1_000);
        await text(stranger++);
      });
      const seen = rows.map(({ conversation_id }) => conversation_id);
      expect(new Set(seen).size).toBe(seen.length);
      // The longest waiting come first, so who comes meanwhile is still met at the end.
      expect(seen.slice(0, expected.length)).toEqual(expected);
      if (sort === 'newest') expect(seen.length).toBe(expected.length);
    },
  );

  test('have 25 rows unless told, and the size may change on the way', async () => {
    const first = await there.get(many);
    expect(first.body.data).toHaveLength(25);
    expect(first.body).toMatchObject({ has_more: true, next_cursor: expect.any(String) });
    const next = await there.get(withQuery(many, { limit: 100, cursor: first.body.next_cursor }));
    expect(next.body).toMatchObject({ has_more: false, next_cursor: null });
    const all = [...first.body.data, ...next.body.data].map((row: Conversation) => row.conversation_id);
    expect(new Set(all).size).toBe(all.length);
  });

  test('a cursor with other filters, another order, or of another list or business is 422', async () => {
    const { body } = await there.get(withQuery(many, { limit: 5, unread: true }));
    const cursor = body.next_cursor;
    expect((await there.get(withQuery(many, { limit: 5, unread: true, cursor }))).status).toBe(200);
    for (const query of [
      {},
      { unread: false },
      { unread: true, status: 'open' },
      { unread: true, sort: 'longest_waiting' },
    ]) {
      const answer = await there.get(withQuery(many, { ...query, cursor }));
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual(['cursor invalid_value']);
    }
    expectProblem(await api.get(withQuery(list, { unread: true, cursor })), 422, 'invalid_parameters');
    const { client, conversation_id } = body.data[0] as Conversation;
    const messages = `/businesses/2002/clients/${client.client_id}/conversations/${conversation_id}/messages`;
    expectProblem(await there.get(withQuery(messages, { cursor })), 422, 'invalid_parameters');
  });

  test('a cursor that was changed or made up is 422', async () => {
    const { body } = await there.get(withQuery(many, { limit: 5 }));
    const [place, signature] = body.next_cursor.split('.') as [string, string];
    const decoded = JSON.parse(Buffer.from(place, 'base64url').toString());
    const moved = Buffer.from(JSON.stringify([decoded[0], '2020-01-01T00:00:00.000Z', decoded[2]]));
    const flip = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    for (const cursor of [
      `${moved.toString('base64url')}.${signature}`,
      `${place}.${flip(signature)}`,
      `${flip(place)}.${signature}`,
      place,
      `${place}.`,
      '.',
      'null',
      'x'.repeat(1024),
      '🎉',
    ]) {
      const answer = await there.get(withQuery(many, { limit: 5, cursor }));
      expectProblem(answer, 422, 'invalid_parameters', cursor);
      expect(faultsOf(answer)).toEqual(['cursor invalid_value']);
    }
  });
});

test('a business that is not there is 404 for a platform key', async () => {
  expectProblem(await omega.platform.get('/businesses/404404/conversations'), 404, 'not_found');
});
