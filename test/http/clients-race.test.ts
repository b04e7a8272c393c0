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
