import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messagesOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const base = '/businesses/1001/clients';
const put = (id: number, body: object) => api.call('PUT', `${base}/${id}`, body);
const get = async (id: number) => (await api.get(`${base}/${id}`)).body;
const merge = async (into: number, other: number) => {
  const answer = await api.post(`${base}/${into}/merge`, { merge_client_id: other });
  expect(answer.status).toBe(200);
};
const unmerge = (from: number, other: number, more: object = {}) =>
  api.post(`${base}/${from}/unmerge`, { merged_client_id: other, ...more });

interface Placed {
  client_id: number;
  conversation_id: string;
  message_id: string;
}
const inbound = async (from: string, content: string): Promise<Placed> => {
  await omega.tick(1000);
  const answer = await api.post('/simulator/inbound', { from, to: '+15005550006', content });
  expect(answer.status).toBe(201);
  return answer.body;
};
const send = async (to: object, content: string): Promise<Placed> => {
  await omega.tick(1000);
  const answer = await api.post('/sms/queue', { content, ...to });
  expect(answer.status).toBe(202);
  await omega.settled();
  return answer.body;
};
const note = async (placed: Placed, content: string) => {
  await omega.tick(1000);
  const path = `${base}/${placed.client_id}/conversations/${placed.conversation_id}/note`;
  expect((await api.post(path, { content })).status).toBe(200);
};
const contents = async (placed: Placed) => (await messagesOf(api, 1001, placed)).map((one) => one.content);
const addresses = (profile: { addresses: { address: string; primary: boolean }[] }) =>
  profile.addresses.map(({ address, primary }) => `${address}${primary ? ' primary' : ''}`);
const events = async (type: string) =>
  omega.omega.database.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', type)
    .orderBy('sequence')
    .execute();

/** What must hold of every client and conversation, whatever was merged and unmerged. */
async function expectWhole(): Promise<void> {
  const { rows } = await sql<Record<string, number>>`
    select
      (select count(*)::int from messages m join conversations c using (business_id, conversation_id) where m.client_id <> c.client_id) as astray,
      (select count(*)::int from conversations c join clients p using (business_id, client_id) where p.merged_into is not null) as with_merged,
      (select count(*)::int from client_addresses l join clients p using (business_id, client_id) where p.merged_into is not null) as addresses,
      (select count(*)::int from conversations c where unread_count <> (select count(*) from messages m
        where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.unread)) as miscounted,
      (select count(*)::int from conversations c where last_message_id is distinct from (select m.message_id from messages m
        where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.direction <> 'internal'
        order by m.occurred_at desc, m.message_id desc limit 1)) as last,
      (select count(*)::int from conversation_redirects r join conversations c using (business_id, conversation_id)) as redirected`.execute(
    omega.omega.database.db,
  );
  expect(rows[0]).toEqual({ astray: 0, with_merged: 0, addresses: 0, miscounted: 0, last: 0, redirected: 0 });
}

describe('unmergeClient: two people who were made one', () => {
  const [ana, ben] = ['+12025550301', '+12025550302'];
  let anas: Placed;
  let bens: Placed;
  let before: { ana: object; ben: object };
  let row: object;

  beforeAll(async () => {
    await put(301, { phones: [ana], tags: ['morning'], metadata: { level: 1 } });
    await put(302, {
      name: 'Ben Ito',
      phones: [ben],
      emails: ['ben@example.com'],
      language: 'de',
      tags: ['evening', 'morning'],
      metadata: { level: 2, dog: 'Rex' },
    });
    anas = await inbound(ana, 'Ana one');
    bens = await inbound(ben, 'Ben one');
    await note(bens, 'Ben has a bad knee');
    await send({ client_id: 302, sent_by: 12345 }, 'Hello Ben');
    await inbound(ben, 'Ben two');
    before = { ana: await get(301), ben: await get(302) };
    row = await rowOf(api, 1001, bens);
    await merge(301, 302);
    expect(await get(302)).toMatchObject({ client_id: 301, name: 'Ben Ito', language: 'de' });
  });

  test('each has again what they had, and the old ids answer as themselves', async () => {
    const answer = await unmerge(301, 302);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body).toEqual(await get(302));
    const whole = ({ updated_at: _, conversation, ...rest }: Record<string, unknown>) => ({
      ...rest,
      conversation: { ...(conversation as object), assignee_staff_id: null },
    });
    expect(whole(await get(302))).toEqual(whole(before.ben as never));
    expect(whole(await get(301))).toEqual(whole(before.ana as never));
    expect({ ...(await rowOf(api, 1001, bens)), updated_at: '' }).toEqual({ ...row, updated_at: '' });
    expect(await contents(bens)).toEqual(['Ben one', 'Ben has a bad knee', 'Hello Ben', 'Ben two']);
    expect(await contents(anas)).toEqual(['Ana one']);
    const found = await api.get(`${base}?q=Ben`);
    expect(found.body.data.map((one: { client_id: number }) => one.client_id)).toEqual([302]);
    expect((await api.get(`${base}?q=2025550301`)).body.data).toHaveLength(1);
    await expectWhole();
  });

  test('each is written to and heard from on their own', async () => {
    expect(await inbound(ben, 'Ben three')).toMatchObject({
      client_id: 302,
      conversation_id: bens.conversation_id,
    });
    expect(await inbound(ana, 'Ana two')).toMatchObject({
      client_id: 301,
      conversation_id: anas.conversation_id,
    });
    expect(await send({ client_id: 302 }, 'To Ben')).toMatchObject({ client_id: 302 });
    expect((await put(302, { name: 'Ben Itō' })).status).toBe(200);
  });

  test('again changes nothing', async () => {
    const count = (await events('client.unmerged')).length;
    const answer = await unmerge(301, 302);
    expect([answer.status, answer.body.client_id]).toEqual([200, 302]);
    expect(await events('client.unmerged')).toHaveLength(count);
  });

  test('is told in events', async () => {
    const [event] = await events('client.unmerged');
    expect(event).toMatchObject({
      changed: { name: { from: 'Ben Ito', to: null }, language: { from: 'de', to: null } },
      data: {
        client_id: 301,
        merged_client_id: 302,
        conversation_id: bens.conversation_id,
        messages_moved: 4,
      },
    });
    const made = await events('conversation.created');
    expect(made.at(-1)!.data).toEqual({
      conversation_id: bens.conversation_id,
      client_id: 302,
      because: 'client.unmerged',
    });
  });
});

describe('what came since the merge', () => {
  const [cleo, dan, both] = ['+12025550303', '+12025550304', '+12025550305'];
  let thread: Placed;
  let dans: Placed;

  beforeAll(async () => {
    await put(303, { name: 'Cleo', phones: [cleo, both] });
    await put(304, { name: 'Dan', phones: [dan, both] });
    thread = await inbound(cleo, 'Cleo one');
    dans = await inbound(dan, 'Dan one');
    await merge(303, 304);
    await inbound(dan, 'Dan since');
    await inbound(cleo, 'Cleo since');
    await send({ client_id: 303, to: dan, sent_by: 12345 }, 'To Dan');
    await send({ client_id: 303, to: both }, 'To the phone of both');
    await note(thread, 'A note since');
    await inbound(dan, 'Dan asks');
    expect((await unmerge(303, 304)).status).toBe(200);
  });

  test('goes to the owner of its address; a note, and what is at an address of both, stays', async () => {
    expect(await contents(dans)).toEqual(['Dan one', 'Dan since', 'To Dan', 'Dan asks']);
    expect(await contents(thread)).toEqual([
      'Cleo one',
      'Cleo since',
      'To the phone of both',
      'A note since',
    ]);
    await expectWhole();
  });

  test('says of itself that it was moved; what stood there before does not', async () => {
    const reasons = (await messagesOf(api, 1001, dans)).map((one) => one.threading_reason);
    expect(reasons).toEqual([null, 'moved', 'moved', 'moved']);
  });

  test('who waits for an answer waits in their own thread', async () => {
    const asks = (await messagesOf(api, 1001, dans)).at(-1)!;
    expect(await rowOf(api, 1001, dans)).toMatchObject({
      status: 'open',
      unread_count: 3,
      waiting_since: asks.occurred_at,
      last_message: { preview: 'Dan asks' },
    });
    expect(await rowOf(api, 1001, thread)).toMatchObject({ unread_count: 2, waiting_since: null });
  });

  test('the phone of both is of both', async () => {
    expect(addresses(await get(303))).toEqual([`${cleo} primary`, both]);
    expect(addresses(await get(304))).toEqual([`${dan} primary`, both]);
  });
});

test('a thread that only the merged one brought goes back with them, and what is not theirs gets one of its own', async () => {
  const [eva, fay] = ['+12025550306', '+12025550307'];
  await put(306, { name: 'Eva', phones: [eva] });
  await put(307, { name: 'Fay', phones: [fay] });
  const fays = await inbound(fay, 'Fay one');
  await merge(306, 307);
  const evas = await inbound(eva, 'Eva one');
  expect(evas.conversation_id).toBe(fays.conversation_id);
  await inbound(fay, 'Fay two');
  expect((await unmerge(306, 307)).status).toBe(200);
  expect(await contents(fays)).toEqual(['Fay one', 'Fay two']);
  const { conversation } = await get(306);
  expect(conversation.conversation_id).not.toBe(fays.conversation_id);
  expect(conversation).toMatchObject({
    status: 'open',
    unread_count: 1,
    last_message: { preview: 'Eva one' },
  });
  await expectWhole();
});

test('a thread that staff closed stays closed in both halves', async () => {
  const [gil, hal] = ['+12025550308', '+12025550309'];
  await put(308, { name: 'Gil', phones: [gil] });
  await put(309, { name: 'Hal', phones: [hal] });
  const gils = await inbound(gil, 'Gil one');
  const hals = await inbound(hal, 'Hal one');
  await merge(308, 309);
  const path = `${base}/308/conversations/${gils.conversation_id}/status`;
  expect((await api.post(path, { status: 'closed' })).status).toBe(200);
  expect((await unmerge(308, 309)).status).toBe(200);
  for (const placed of [gils, hals]) {
    expect(await rowOf(api, 1001, placed)).toMatchObject({ status: 'closed', unread_count: 1 });
  }
  await expectWhole();
});

test('what the host changed since stays, and what staff moved to somebody else stays there', async () => {
  const [ida, jon] = ['+12025550310', '+12025550311'];
  await put(310, { phones: [ida] });
  await put(311, { name: 'Jon', phones: [jon], tags: ['new'], metadata: { shoe: 42, hat: 'M' } });
  await put(312, { name: 'Kim', phones: ['+12025550312'] });
  await inbound(ida, 'Ida one');
  const jons = await inbound(jon, 'Jon one');
  const kims = await inbound(jon, 'Really Kim');
  await merge(310, 311);
  await put(310, { name: 'Ida Berg', phones: [ida], metadata: { shoe: 38, hat: 'M' } });
  const here = (await get(310)).conversation.conversation_id;
  const moved = await api.post(`${base}/310/conversations/${here}/messages/move`, {
    message_ids: [kims.message_id],
    to_client_id: 312,
  });
  expect(moved.status, JSON.stringify(moved.body)).toBe(200);
  expect((await unmerge(310, 311)).status).toBe(200);
  expect(await get(310)).toMatchObject({ name: 'Ida Berg', tags: [], metadata: { shoe: 38 } });
  expect((await get(310)).metadata).not.toHaveProperty('hat');
  // The number that the host took from Ida is Jon's, and reaches him.
  expect(addresses(await get(311))).toEqual([`${jon} primary`]);
  expect(await contents(jons)).toEqual(['Jon one']);
  expect(await contents(moved.body)).toEqual(['Really Kim']);
  await expectWhole();
});

test('of two who were merged into one, the one that is taken back leaves what the other has too', async () => {
  const shared = '+12025550316';
  await put(313, { name: null, phones: ['+12025550313'] });
  await put(314, { name: 'Lea', phones: ['+12025550314', shared], tags: ['vip'], metadata: { a: 1 } });
  await put(315, { name: 'Leah', phones: ['+12025550315', shared], tags: ['vip'], metadata: { a: 1 } });
  await merge(313, 314);
  await merge(313, 315);
  expect((await unmerge(313, 314)).status).toBe(200);
  expect(await get(313)).toMatchObject({
    name: 'Leah',
    tags: ['vip'],
    metadata: { a: 1 },
    merged_from: [315],
  });
  expect(addresses(await get(313))).toEqual(['+12025550313 primary', shared, '+12025550315']);
  expect(addresses(await get(314))).toEqual(['+12025550314 primary', shared]);
  expect((await unmerge(313, 315)).status).toBe(200);
  expect(await get(313)).toMatchObject({ name: null, tags: [], metadata: {}, merged_from: [] });
  expect(addresses(await get(313))).toEqual(['+12025550313 primary']);
  await expectWhole();
});

test('a chain is taken back from its end, each with what they brought', async () => {
  const phone = (id: number) => `+12025550${id}`;
  const placed = new Map<number, Placed>();
  for (const id of [321, 322, 323]) {
    await put(id, { name: `N${id}`, phones: [phone(id)] });
    placed.set(id, await inbound(phone(id), `of ${id}`));
  }
  await merge(322, 321);
  await merge(323, 322);
  await inbound(phone(321), 'since of 321');
  const early = await unmerge(323, 321);
  expect(early.status).toBe(409);
  expect(early.body.detail).toContain('Unmerge 322 first');
  expect((await unmerge(323, 322)).status).toBe(200);
  expect(await get(321)).toMatchObject({ client_id: 322, merged_from: [321] });
  expect(await contents(placed.get(321)!)).toEqual(['of 321', 'of 322', 'since of 321']);
  await expectWhole();
  expect((await unmerge(322, 321)).status).toBe(200);
  for (const id of [321, 322, 323]) {
    expect((await get(id)).client_id).toBe(id);
    expect(await contents(placed.get(id)!)).toEqual([`of ${id}`, ...(id === 321 ? ['since of 321'] : [])]);
  }
  await expectWhole();
});

test('consent stays with its address, and each entry with whom it was of', async () => {
  const [mia, noa] = ['+12025550331', '+12025550332'];
  await put(331, { name: 'Mia', phones: [mia] });
  await put(332, { name: 'Noa', phones: [noa] });
  await inbound(noa, 'STOP');
  await merge(331, 332);
  await inbound(noa, 'START');
  await inbound(noa, 'STOP');
  await inbound(mia, 'STOP');
  expect((await unmerge(331, 332)).status).toBe(200);
  const ledger = await omega.omega.database.db
    .selectFrom('consents')
    .select(['client_id', 'address', 'state'])
    .where('client_id', 'in', [331, 332])
    .orderBy('consent_id')
    .execute();
  expect(ledger.map((one) => `${one.client_id} ${one.address} ${one.state}`)).toEqual([
    `332 ${noa} revoked`,
    `332 ${noa} granted`,
    `332 ${noa} revoked`,
    `331 ${mia} revoked`,
  ]);
  expect((await api.post('/sms/queue', { client_id: 332, content: 'x' })).body.status).toBe('suppressed');
});

test('merged again after that, they can be told apart again', async () => {
  const [ora, pia] = ['+12025550341', '+12025550342'];
  await put(341, { name: 'Ora', phones: [ora] });
  await put(342, { name: 'Pia', phones: [pia] });
  const pias = await inbound(pia, 'one');
  await inbound(ora, 'Ora');
  for (const round of [1, 2]) {
    await merge(341, 342);
    await inbound(pia, `since ${round}`);
    expect((await unmerge(341, 342)).status).toBe(200);
  }
  expect(await contents(pias)).toEqual(['one', 'since 1', 'since 2']);
  await expectWhole();
});

describe('what cannot be taken back', () => {
  test('nobody, oneself, who was never merged or is merged elsewhere', async () => {
    for (const id of [351, 352, 353]) await put(id, { name: `N${id}`, phones: [`+12025550${id}`] });
    await merge(352, 353);
    expect((await unmerge(351, 999_999)).status).toBe(404);
    expect((await unmerge(999_999, 351)).status).toBe(404);
    expect((await unmerge(351, 351)).body.errors[0].path).toBe('merged_client_id');
    expect((await unmerge(351, 352)).status).toBe(409);
    const elsewhere = await unmerge(351, 353);
    expect([elsewhere.status, elsewhere.body.detail]).toEqual([409, expect.stringContaining('into 352')]);
    // The path may name the client by an id that leads to them.
    expect((await unmerge(353, 353)).status).toBe(422);
  });

  test('a merge that was not written down: 409 says what to do instead', async () => {
    await omega.omega.database.db.deleteFrom('client_merges').where('merged_client_id', '=', 353).execute();
    const answer = await unmerge(352, 353);
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain('messages/move');
  });

  test('who was erased since; and nothing of them is left in the record', async () => {
    await put(361, { name: 'Quin', phones: ['+12025550361'] });
    await put(362, { name: 'Rosa', phones: ['+12025550362'] });
    await inbound('+12025550362', 'secret');
    await merge(361, 362);
    expect((await api.call('DELETE', `${base}/361`, {})).status).toBe(200);
    const answer = await unmerge(361, 362);
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringContaining('erased')]);
    const { rows } = await sql<{ text: string }>`
      select coalesce(string_agg(m::text, ''), '') as text from client_merges m where into_client_id = 361`.execute(
      omega.omega.database.db,
    );
    expect(rows[0]!.text).not.toMatch(/Rosa|2025550362/);
  });

  test('erased after they were told apart: what was said of the merge is erased with them', async () => {
    await put(371, { phones: ['+12025550371'] });
    await put(372, { name: 'Sabine Thal', phones: ['+12025550372'] });
    await inbound('+12025550372', 'Hello');
    await merge(371, 372);
    expect((await unmerge(371, 372)).status).toBe(200);
    expect((await api.call('DELETE', `${base}/372`, {})).status).toBe(200);
    for (const table of ['events', 'requests', 'client_merges', 'clients']) {
      const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from ${sql.table(table)} t where t::text ~ 'Sabine|2025550372'`.execute(
        omega.omega.database.db,
      );
      expect([table, rows[0]!.n]).toEqual([table, 0]);
    }
    expect((await get(371)).client_id).toBe(371);
  });
});
