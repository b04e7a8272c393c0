import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lotus } from '../support/lotus.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let omega: RunningOmega;
let api: Client;
const base = '/businesses/1001/clients';

beforeAll(async () => {
  postgres = await startPostgres();
  omega = await startOmega({
    database: { kind: 'postgres', url: await postgres.createDatabase('race'), poolSize: 10 },
    realTime: true,
    worker: false,
  });
  const { body } = await omega.platform.post('/business/onboard', lotus);
  api = omega.as(body.api_key);
});
afterAll(async () => {
  await omega?.close();
  await postgres?.stop();
});

const inbound = (from: string) =>
  api.post('/simulator/inbound', { from, to: '+15005550006', content: 'Hello' });
const send = (clientId: number) => api.post('/sms/queue', { client_id: clientId, content: 'Hello' });

test('messages written while their client is merged all end with who stays, in one open thread', async () => {
  for (let round = 0; round < 5; round++) {
    const host = 500 + round;
    const phone = `+120255502${10 + round}`;
    await api.call('PUT', `${base}/${host}`, { name: 'Host', phones: [`+120255503${10 + round}`] });
    if (round % 2 === 0) await send(host);
    const other = (await inbound(phone)).body.client_id as number;
    const answers = await Promise.all([
      ...Array.from({ length: 6 }, () => send(other)),
      inbound(phone),
      api.post(`${base}/${host}/merge`, { merge_client_id: other }),
      ...Array.from({ length: 6 }, () => send(other)),
      inbound(phone),
      api.post(`${base}/${other}/conversations`, {}),
    ]);
    expect(answers.map((answer) => answer.status).filter((status) => status >= 300)).toEqual([]);
    const { rows } = await sql<{
      left: number;
      moved: number;
      open: number;
      unread: number;
      counted: number;
    }>`
      select
        (select count(*) from messages where client_id = ${other}) + (select count(*) from conversations where client_id = ${other}) as left,
        (select count(*) from messages m join conversations c using (business_id, conversation_id)
          where m.client_id = ${host} and c.client_id = ${host}) as moved,
        (select count(*) from conversations where client_id = ${host}) as open,
        (select count(*) from messages where client_id = ${host} and unread) as unread,
        (select sum(unread_count) from conversations where client_id = ${host}) as counted`.execute(
      omega.omega.database.db,
    );
    expect(rows[0]).toEqual({
      left: 0,
      moved: 15 + Number(round % 2 === 0),
      open: 1,
      unread: 3,
      counted: 3,
    });
  }
});

test('nothing is written to a client while they are erased that is not erased too', async () => {
  for (let round = 0; round < 5; round++) {
    const client = 600 + round;
    const phone = `+120255504${10 + round}`;
    await api.call('PUT', `${base}/${client}`, { name: 'Host', phones: [phone] });
    const answers = await Promise.all([
      ...Array.from({ length: 5 }, () => send(client)),
      api.call('DELETE', `${base}/${client}`),
      ...Array.from({ length: 5 }, () => send(client)),
      inbound(phone),
      api.call('PUT', `${base}/${700 + round}`, { name: 'Next', phones: [phone] }),
    ]);
    for (const answer of answers) expect([200, 201, 202, 409]).toContain(answer.status);
    const { rows } = await sql<{ words: number; waiting: number; addresses: number }>`
      select
        (select count(*) from messages where client_id = ${client} and content <> '[erased]') as words,
        (select count(*) from messages where client_id = ${client} and status in ('queued', 'scheduled')) as waiting,
        (select count(*) from client_addresses where client_id = ${client}) as addresses`.execute(
      omega.omega.database.db,
    );
    expect(rows[0]).toEqual({ words: 0, waiting: 0, addresses: 0 });
  }
});

test('merged or erased first, or written to in between: one of them wins, and nothing is left half', async () => {
  for (let round = 0; round < 5; round++) {
    const [host, other] = [800 + 2 * round, 801 + 2 * round];
    const phones = [`+120255506${10 + round}`, `+120255507${10 + round}`];
    await api.call('PUT', `${base}/${host}`, { name: 'Stays', phones: [phones[0]] });
    await api.call('PUT', `${base}/${other}`, { name: 'Goes', phones: [phones[1]] });
    await Promise.all([send(host), send(other)]);
    const answers = await Promise.all([
      send(other),
      api.post(`${base}/${host}/merge`, { merge_client_id: other }),
      api.call('DELETE', `${base}/${round % 2 === 0 ? host : other}`),
      send(host),
      inbound(phones[1]!),
      api.call('PUT', `${base}/${other}`, { name: 'Renamed' }),
    ]);
    for (const { status } of answers) expect([200, 201, 202, 409]).toContain(status);
    const { rows } = await sql<{ names: number; words: number; waiting: number; astray: number }>`
      select
        (select count(*) from clients where client_id in (${host}, ${other}) and name is not null
          and (erased_at is not null or merged_into is not null)) as names,
        (select count(*) from messages m join clients c using (business_id, client_id)
          where c.client_id in (${host}, ${other}) and c.erased_at is not null and m.content <> '[erased]') as words,
        (select count(*) from messages m join clients c using (business_id, client_id)
          where c.client_id in (${host}, ${other}) and c.erased_at is not null and m.status = 'queued') as waiting,
        (select count(*) from messages m join clients c using (business_id, client_id)
          where c.client_id in (${host}, ${other}) and c.merged_into is not null)
        + (select count(*) from client_addresses l join clients c using (business_id, client_id)
          where c.client_id in (${host}, ${other}) and (c.merged_into is not null or c.erased_at is not null)) as astray`.execute(
      omega.omega.database.db,
    );
    expect(rows[0]).toEqual({ names: 0, words: 0, waiting: 0, astray: 0 });
  }
});

test('an import and messages to the same people at once: every one is written, and nobody is there twice', async () => {
  const people = Array.from({ length: 60 }, (_, i) => ({
    client_id: 900 + i,
    name: `Imported ${i}`,
    phones: [`+120255508${10 + i}`],
  }));
  const body = people.map((row) => `${JSON.stringify(row)}\n`).join('');
  const load = () => api.call('POST', `${base}/import`, body, { 'content-type': 'application/x-ndjson' });
  const answers = await Promise.all([
    load(),
    ...people.map(({ client_id, phones }) =>
      api.post('/sms/queue', { client_id, to: phones[0], content: 'Hello' }),
    ),
    load(),
  ]);
  expect(answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 202)).toEqual(
    [],
  );
  const { body: again } = await load();
  expect(again).toMatchObject({ rows: 60, failed: 0, unchanged: 60 });
  const { rows } = await sql<{ clients: number; messages: number; strangers: number }>`
    select
      (select count(*) from clients where client_id between 900 and 959) as clients,
      (select count(*) from messages where client_id between 900 and 959) as messages,
      (select count(*) from client_addresses where address like '+120255508%' and client_id not between 900 and 959) as strangers`.execute(
    omega.omega.database.db,
  );
  expect(rows[0]).toEqual({ clients: 60, messages: 60, strangers: 0 });
});
