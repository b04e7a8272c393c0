import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer } from '../support/omega.ts';
import { type Pair, startPair, tally } from '../support/pair.ts';

/** Merging, unmerging and moving while messages come and go, through two processes on a real Postgres. */
let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.close());

const base = '/businesses/1001/clients';
const by = (i: number) => pair.apis[i % 2]!;
const put = (id: number, phone: string) =>
  by(id).call('PUT', `${base}/${id}`, { name: `N${id}`, phones: [phone] });
const merge = (i: number, into: number, other: number) =>
  by(i).post(`${base}/${into}/merge`, { merge_client_id: other });
const unmerge = (i: number, from: number, other: number) =>
  by(i).post(`${base}/${from}/unmerge`, { merged_client_id: other });
const inbound = (i: number, from: string, content: string) =>
  by(i).post('/simulator/inbound', { from, to: '+15005550006', content });
const phones = (round: number, line: number): [string, string] => [
  `+1202555${line}${10 + round}`,
  `+1202555${line}${50 + round}`,
];
const refused = (answers: Answer[], allowed: number[]) =>
  answers.filter(({ status }) => !allowed.includes(status)).map(({ status, body }) => [status, body]);

/** What holds of every client, conversation and message, whoever won. */
async function expectWhole(): Promise<void> {
  const [found] = await pair.rows<Record<string, number>>(`
    select
      (select count(*)::int from messages m join conversations c using (business_id, conversation_id) where m.client_id <> c.client_id) as astray,
      (select count(*)::int from conversations c join clients p using (business_id, client_id) where p.merged_into is not null) as of_merged,
      (select count(*)::int from client_addresses l join clients p using (business_id, client_id) where p.merged_into is not null) as addresses_of_merged,
      (select count(*)::int from (select 1 from conversations where status <> 'closed' group by business_id, client_id having count(*) > 1) x) as two_open,
      (select count(*)::int from conversations c where unread_count <> (select count(*) from messages m
        where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.unread)) as miscounted,
      (select count(*)::int from conversations c where last_message_id is distinct from (select m.message_id from messages m
        where m.business_id = c.business_id and m.conversation_id = c.conversation_id and m.direction <> 'internal'
        order by m.occurred_at desc, m.message_id desc limit 1)) as not_last,
      (select count(*)::int from client_merges m join clients p on p.business_id = m.business_id and p.client_id = m.merged_client_id
        where (m.undone_at is null) <> (p.merged_into is not null)) as records`);
  expect(found).toEqual({
    astray: 0,
    of_merged: 0,
    addresses_of_merged: 0,
    two_open: 0,
    miscounted: 0,
    not_last: 0,
    records: 0,
  });
}

const ofPhone = (phone: string) =>
  pair.rows<{ client_id: number }>(
    'select client_id::int from messages where from_address = $1 or to_address = $1',
    [phone],
  );

test('unmergeClient from many sides at once: one undoes it, each gets the same answer', async () => {
  for (let round = 0; round < 4; round++) {
    const [host, other] = [1000 + round, 1100 + round];
    const [hosts, others] = phones(round, 40);
    await Promise.all([put(host, hosts), put(other, others)]);
    await Promise.all([inbound(0, hosts, 'host'), inbound(1, others, 'other')]);
    expect((await merge(0, host, other)).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => unmerge(i, host, other)));
    expect(tally(answers)).toEqual({ 200: 6 });
    for (const { body } of answers) expect(body.client_id).toBe(other);
    const [told] = await pair.rows<{ n: number }>(
      `select count(*)::int as n from events where type = 'client.unmerged' and data ->> 'client_id' = '${host}'`,
    );
    expect(told!.n).toBe(1);
    await expectWhole();
  }
});

test('messages that come beside an unmerge stand with the owner of their address, whoever is first', async () => {
  for (let round = 0; round < 8; round++) {
    const [host, other] = [1200 + round, 1300 + round];
    const [hosts, others] = phones(round, 41);
    await Promise.all([put(host, hosts), put(other, others)]);
    // By turns both have a thread, only the one, only the other, nobody.
    if (round % 4 !== 1) await inbound(0, others, 'before');
    if (round % 4 < 2) await inbound(1, hosts, 'before');
    expect((await merge(0, host, other)).status).toBe(200);
    const answers = await Promise.all([
      ...Array.from({ length: 4 }, (_, i) => inbound(i, others, `beside ${i}`)),
      unmerge(round, host, other),
      ...Array.from({ length: 4 }, (_, i) => inbound(i, hosts, `beside ${i}`)),
      ...Array.from({ length: 4 }, (_, i) => by(i).post('/sms/queue', { to: others, content: `to ${i}` })),
      ...Array.from({ length: 4 }, (_, i) => inbound(i, others, `later ${i}`)),
    ]);
    expect(refused(answers, [200, 201, 202])).toEqual([]);
    await pair.settled();
    for (const row of await ofPhone(others)) expect(row.client_id).toBe(other);
    for (const row of await ofPhone(hosts)) expect(row.client_id).toBe(host);
    await expectWhole();
  }
});

test('merged and unmerged crosswise, and written to: in the end each is whole, and can be told apart', async () => {
  for (let round = 0; round < 4; round++) {
    const ids = [1400 + round, 1500 + round, 1600 + round];
    const numbers = ids.map((_, i) => `+120255542${i}${round}`);
    await Promise.all(ids.map((id, i) => put(id, numbers[i]!)));
    await Promise.all(numbers.map((number, i) => inbound(i, number, 'before')));
    const [a, b, c] = ids as [number, number, number];
    const answers = await Promise.all([
      merge(0, a, b),
      merge(1, b, a),
      merge(0, b, c),
      unmerge(1, a, b),
      unmerge(0, b, a),
      inbound(1, numbers[0]!, 'beside'),
      inbound(0, numbers[1]!, 'beside'),
      inbound(1, numbers[2]!, 'beside'),
      merge(0, c, a),
      unmerge(1, b, c),
      unmerge(0, c, a),
    ]);
    expect(refused(answers, [200, 201, 409])).toEqual([]);
    await expectWhole();
    // The last one first: what was merged on is taken back before what it was made of.
    for (;;) {
      const merged = await pair.rows<{ client_id: number; merged_into: number; direct: number }>(
        `select c.client_id::int, c.merged_into::int, (select m.into_client_id::int from client_merges m
           where m.merged_client_id = c.client_id and m.undone_at is null order by merge_id desc limit 1) as direct
         from clients c where c.client_id = any($1) and merged_into is not null`,
        [ids],
      );
      if (merged.length === 0) break;
      const one = merged.find((row) => row.direct === row.merged_into)!;
      expect((await unmerge(round, one.merged_into, one.client_id)).status).toBe(200);
    }
    for (const [i, id] of ids.entries()) {
      for (const row of await ofPhone(numbers[i]!)) expect(row.client_id).toBe(id);
    }
    await expectWhole();
  }
});

test('moveMessages crosswise, beside merging, reading and more messages: each stands in one thread, counted once', async () => {
  for (let round = 0; round < 4; round++) {
    const [one, two] = [1700 + round, 1800 + round];
    const [ones, twos] = phones(round, 43);
    await Promise.all([put(one, ones), put(two, twos)]);
    const first = (await inbound(0, ones, 'a')).body;
    const second = (await inbound(1, twos, 'b')).body;
    const path = (placed: { client_id: number; conversation_id: string }) =>
      `${base}/${placed.client_id}/conversations/${placed.conversation_id}/messages`;
    const answers = await Promise.all([
      by(0).post(`${path(first)}/move`, { message_ids: [first.message_id], to_client_id: two }),
      by(1).post(`${path(second)}/move`, { message_ids: [second.message_id], to_client_id: one }),
      by(0).post(`${path(first)}/move`, { message_ids: [first.message_id], to_client_id: two }),
      inbound(1, ones, 'c'),
      by(0).post(`${path(second)}/read`, { read: true }),
      ...(round % 2 === 0 ? [merge(1, one, two)] : []),
      inbound(0, twos, 'd'),
    ]);
    expect(refused(answers, [200, 201, 404, 409, 422])).toEqual([]);
    const [counted] = await pair.rows<{ n: number }>(
      `select count(*)::int as n from messages where client_id = any($1)`,
      [[one, two]],
    );
    expect(counted!.n).toBe(4);
    await expectWhole();
  }
});
