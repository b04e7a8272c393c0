import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const base = '/businesses/1001/clients';
const put = (id: number, body: object) => api.call('PUT', `${base}/${id}`, body);
const namesOf = async (query: string) => {
  const answer = await api.get(`${base}?${query}`);
  expect(answer.status).toBe(200);
  return answer.body.data.map((row: { name: string }) => row.name);
};

describe('upsertClient: PUT a client', () => {
  test('makes them with addresses in the order told, the first one primary', async () => {
    const made = await put(501, {
      name: 'Ana Lima',
      phones: ['(202) 555-0123', '+1 202 555 0124'],
      emails: ['Ana@Example.com'],
      location_id: 1,
      time_zone: 'America/Sao_Paulo',
      language: 'pt-BR',
      tags: ['regular', 'regular'],
      metadata: { since: 2019 },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      client_id: 501,
      name: 'Ana Lima',
      provisional: false,
      tags: ['regular'],
      metadata: { since: 2019 },
      addresses: [
        { kind: 'phone', address: '+12025550123', primary: true },
        { kind: 'phone', address: '+12025550124', primary: false },
        { kind: 'email', address: 'ana@example.com', primary: true },
      ],
    });
    expect((await api.get(`${base}/501`)).body).toEqual(made.body);
  });

  test('writes what is named, leaves what is left out, and says in its event what changed', async () => {
    const answer = await put(501, { name: 'Ana Maria Lima', phones: ['+12025550124', '+12025550125'] });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ name: 'Ana Maria Lima', language: 'pt-BR', location_id: 1 });
    expect(answer.body.addresses.map((a: { address: string }) => a.address)).toEqual([
      '+12025550124',
      '+12025550125',
      'ana@example.com',
    ]);
    const event = await lastEvent('client.updated');
    expect(event.changed).toEqual({
      name: { from: 'Ana Lima', to: 'Ana Maria Lima' },
      phones: { from: ['+12025550123', '+12025550124'], to: ['+12025550124', '+12025550125'] },
    });
    expect(event.actor).toMatchObject({ type: 'key' });
  });

  test('changes nothing and tells of nothing when it is the same', async () => {
    const before = await countEvents();
    const answer = await put(501, {
      name: 'Ana Maria Lima',
      phones: ['+12025550124', '2025550125'],
      metadata: { since: 2019 },
    });
    expect(answer.status).toBe(200);
    expect(await countEvents()).toBe(before);
  });

  test('names every fault at once', async () => {
    const answer = await put(502, { phones: ['12', '+12025550126'], emails: ['x'], time_zone: 'Mars/Base' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([
      'phones.0',
      'emails.0',
      'time_zone',
    ]);
    expect((await api.get(`${base}/502`)).status).toBe(404);
  });

  test('refuses unknown locations, unknown fields and ids of ours', async () => {
    expect((await put(502, { location_id: 99 })).body.errors[0].path).toBe('location_id');
    expect((await put(502, { phone: '+12025550126' })).body.code).toBe('unknown_field');
    expect((await put(2 ** 40 + 5, { name: 'X' })).status).toBe(422);
  });

  test('answers the first answer again under the same request id', async () => {
    const body = { name: 'Rex Kim', request_id: 'rex-1' };
    const first = await put(503, body);
    const again = await put(503, body);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect((await put(503, { name: 'Other', request_id: 'rex-1' })).body.code).toBe('request_id_reused');
  });

  test("another business's client is as unknown as one that is nowhere", async () => {
    const other = await omega.business({ business_id: 1002 });
    const theirs = await other.api.get('/businesses/1002/clients/501');
    const nowhere = await other.api.get('/businesses/1002/clients/999999');
    expect(theirs.status).toBe(404);
    expect({ ...theirs.body, request_id: '' }).toEqual({ ...nowhere.body, request_id: '' });
    expect((await other.api.get('/businesses/1001/clients/501')).status).toBe(403);
  });
});

describe('listClients: the list of clients', () => {
  beforeAll(async () => {
    await put(601, { name: 'José Álvarez Núñez', phones: ['+12025550161'], location_id: 1 });
    await put(602, { name: "Siobhán O'Brien", emails: ['shiv@obrien.example'], location_id: 2 });
    await put(603, { name: 'Łukasz Groß', phones: ['+442071838750'] });
    await put(604, { name: 'joseph k.', phones: ['+12025550164'] });
    await api.post('/simulator/inbound', {
      business_id: 1001,
      from: '+12025559999',
      to: '+15005550006',
      content: 'Hello?',
    });
    await api.post('/simulator/inbound', {
      business_id: 1001,
      from: '+12025550161',
      to: '+15005550006',
      content: 'STOP',
    });
  });

  test('finds by words and their beginnings, whatever the case and accents', async () => {
    expect(await namesOf('q=jose')).toEqual(['José Álvarez Núñez', 'joseph k.']);
    expect(await namesOf('q=NUNEZ%20jos')).toEqual(['José Álvarez Núñez']);
    expect(await namesOf('q=obrien')).toEqual(["Siobhán O'Brien"]);
    expect(await namesOf(`q=${encodeURIComponent("o'brien")}`)).toEqual(["Siobhán O'Brien"]);
    expect(await namesOf('q=lukasz%20gross')).toEqual(['Łukasz Groß']);
    expect(await namesOf('q=ose')).toEqual([]);
    expect(await namesOf(`q=${encodeURIComponent("x' | 'y & !\\")}`)).toEqual([]);
    expect(await namesOf('q=%25')).toEqual([]);
  });

  test('finds by phone and mail, whole or begun', async () => {
    expect(await namesOf(`q=${encodeURIComponent('(202) 555-0161')}`)).toEqual(['José Álvarez Núñez']);
    expect(await namesOf(`q=${encodeURIComponent('+4420718')}`)).toEqual(['Łukasz Groß']);
    expect(await namesOf('q=1202555016')).toEqual(['José Álvarez Núñez', 'joseph k.']);
    expect(await namesOf('q=555-0164')).toEqual(['joseph k.']);
    expect(await namesOf('q=0164')).toEqual(['joseph k.']);
    // As the country of the business writes it, without the country code.
    expect(await namesOf(`q=${encodeURIComponent('(202) 555-016')}`)).toEqual([
      'José Álvarez Núñez',
      'joseph k.',
    ]);
    expect(await namesOf('q=SHIV@obrien')).toEqual(["Siobhán O'Brien"]);
    // A number that was taken away finds nobody; one that came with a message does.
    expect(await namesOf(`q=${encodeURIComponent('+12025550123')}`)).toEqual([]);
    expect(await namesOf(`q=${encodeURIComponent('+12025559999')}`)).toEqual([null]);
  });

  test('filters by location, provisional, opt-out and unread, together', async () => {
    expect(await namesOf('location_id=2')).toEqual(["Siobhán O'Brien"]);
    expect(await namesOf('provisional=true')).toEqual([null]);
    expect(await namesOf('opted_out=sms')).toEqual(['José Álvarez Núñez']);
    expect(await namesOf('opted_out=email')).toEqual([]);
    // A STOP stands until everything is granted again; what is granted for a category does not lift it.
    await api.post('/businesses/1001/consents', {
      client_id: 601,
      channel: 'sms',
      category: 'transactional',
      state: 'granted',
      source: 'front_desk',
    });
    expect((await api.get(`${base}?q=jose`)).body.data[0].opted_out).toEqual(['sms']);
    expect(await namesOf('opted_out=sms')).toEqual(['José Álvarez Núñez']);
    expect(await namesOf('has_unread=true&provisional=false')).toEqual(['José Álvarez Núñez']);
    expect(await namesOf('has_unread=false&q=jose')).toEqual(['joseph k.']);
    const [row] = (await api.get(`${base}?opted_out=sms`)).body.data;
    expect(row).toMatchObject({ unread_count: 1, opted_out: ['sms'], phone: '+12025550161' });
  });

  test('sorts by name with the nameless last, by last seen, and newest first', async () => {
    expect((await namesOf('q=2025&sort=last_seen')).slice(0, 2).sort()).toEqual(
      [null, 'José Álvarez Núñez'].sort(),
    );
    const byName = await namesOf('limit=100');
    expect(byName.at(-1)).toBe(null);
    expect(byName.slice(0, 2)).toEqual(['Ana Maria Lima', 'José Álvarez Núñez']);
    expect((await namesOf('sort=last_seen&limit=100')).slice(0, 2).sort()).toEqual(
      [null, 'José Álvarez Núñez'].sort(),
    );
    expect((await namesOf('sort=newest')).length).toBe(byName.length);
  });

  test.each(['name', 'last_seen', 'newest'])(
    'visits each client once by %s while others are added',
    async (sort) => {
      const all = (await api.get(`${base}?limit=100&sort=${sort}`)).body.data as { client_id: number }[];
      const seen: number[] = [];
      let cursor: string | null = '';
      for (let page = 0; cursor !== null; page++) {
        const answer = await api.get(
          `${base}?limit=2&sort=${sort}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
        );
        seen.push(...answer.body.data.map((row: { client_id: number }) => row.client_id));
        cursor = answer.body.next_cursor;
        if (page < 2) await put(700 + seen.length + sort.length * 10, { name: `zz ${sort} ${page}` });
      }
      expect(new Set(seen).size).toBe(seen.length);
      for (const { client_id } of all) expect(seen).toContain(client_id);
    },
  );

  test('a cursor of other filters is refused', async () => {
    const { next_cursor } = (await api.get(`${base}?limit=1`)).body;
    const answer = await api.get(`${base}?limit=1&sort=newest&cursor=${encodeURIComponent(next_cursor)}`);
    expect(answer.status).toBe(422);
  });
});

describe('getClient: the profile', () => {
  test('tells what is allowed on each channel and why, and where the conversation stands', async () => {
    const { body } = await api.get(`${base}/601`);
    const sms = body.consent.find((one: { channel: string }) => one.channel === 'sms');
    expect(sms).toMatchObject({
      address: '+12025550161',
      transactional: { allowed: false, reason: 'opted_out', source: 'keyword' },
    });
    expect(body.consent.find((one: { channel: string }) => one.channel === 'voice').transactional).toEqual({
      allowed: true,
      reason: 'no_record',
      source: null,
      at: null,
    });
    expect(body.conversation).toMatchObject({
      status: 'open',
      unread_count: 1,
      last_message: { preview: 'STOP' },
    });
    expect(body.counts).toEqual({ messages_in: 1, messages_out: 0, conversations: 1, capped: false });
    expect(body.last_seen_at).not.toBe(null);
  });
});

async function lastEvent(type: string) {
  return await omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('business_id', '=', 1001)
    .where('type', '=', type)
    .orderBy('sequence', 'desc')
    .executeTakeFirstOrThrow();
}

async function countEvents(): Promise<number> {
  const { n } = await omega.omega.database.db
    .selectFrom('events')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('business_id', '=', 1001)
    .executeTakeFirstOrThrow();
  return Number(n);
}
