import { afterAll, beforeAll, expect, test } from 'vitest';
import { atOnce, type Pair, startPair } from '../support/pair.ts';

/**
 * Every kind of write on the same five conversations, from two processes at once: what locks rows in
 * another order than the rest would wait crosswise here.
 */
let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.close());

const clients = [601, 602, 603, 604, 605].map((clientId, i) => ({
  clientId,
  phone: `+1202555060${i}`,
}));
/** Has a phone that works and one that the carrier refuses: failures and acceptances in one conversation. */
const twoPhones = { clientId: 606, phone: '+12025550606' };
const refusedPhone = '+15005550001';

let conversations: { conversation_id: string; client: { client_id: number } }[];
const messageIds: string[] = [];

beforeAll(async () => {
  conversations = await Promise.all(
    [...clients, twoPhones].map(async ({ clientId, phone }) => {
      const { body } = await pair.apis[0].post(`/businesses/1001/clients/${clientId}/conversations`, {
        name: `Client ${clientId}`,
        phone,
      });
      return body;
    }),
  );
  const first = await atOnce(30, pair.apis, (api, i) =>
    api.post('/sms/queue', { client_id: clients[i % 5]!.clientId, content: `First ${i}` }),
  );
  messageIds.push(...first.map(({ body }) => body.message_id));
});

/** Requests in all; a multiple of the eight kinds below. */
const load = 320;
const statuses = ['sent', 'delivered', 'undelivered', 'failed', 'read'];

test('no kind of write fails while the others run on the same conversations', async () => {
  const answers = await atOnce(load, pair.apis, async (api, i) => {
    const { clientId, phone } = clients[i % 5]!;
    switch (i % 8) {
      case 0:
      case 1:
        return api.post('/sms/queue', { client_id: clientId, content: `Queued ${i}` });
      case 2:
        return api.post('/simulator/inbound', { from: phone, to: '+15005550006', content: `Inbound ${i}` });
      case 3:
        return api.post(
          `/businesses/1001/clients/${clientId}/conversations/${conversations[i % 5]!.conversation_id}/note`,
          { content: `Note ${i}`, sent_by: 12345, sender_type: 'staff' },
        );
      case 4:
      case 5:
        return api.post('/sms/status', {
          message_id: messageIds[(i * 13) % messageIds.length]!,
          status: statuses[i % statuses.length]!,
        });
      case 6:
        return api.post('/sms/queue', { client_id: 606, to: refusedPhone, content: `Refused ${i}` });
      default: {
        // The host says that a message failed while the worker writes its outcome down.
        const { body } = await api.post('/sms/queue', { client_id: 606, content: `Reported ${i}` });
        return api.post('/sms/status', { message_id: body.message_id, status: 'undelivered' });
      }
    }
  });
  const wrong = answers.filter(({ status }) => ![200, 201, 202].includes(status));
  expect(wrong.map(({ status, body }) => ({ status, body }))).toEqual([]);
  await pair.settled();
  expect(await pair.rows(`select queue, error from dead_letters`)).toEqual([]);
  expect(
    await pair.rows(
      `select split_part(content, ' ', 1) as kind, status, count(*)::int from messages
       where content like 'Queued %' or content like 'Refused %' group by 1, 2 order by 1`,
    ),
  ).toEqual([
    { kind: 'Queued', status: 'delivered', count: load / 4 },
    { kind: 'Refused', status: 'failed', count: load / 8 },
  ]);
});

test("each conversation's counters equal what its messages say", async () => {
  const rows = await pair.rows(
    `select c.client_id::int, c.unread_count,
       (select count(*)::int from messages m where m.conversation_id = c.conversation_id and m.unread) as unread,
       (select l.occurred_at from messages l where l.message_id = c.last_message_id) as last_shown,
       (select l.direction from messages l where l.message_id = c.last_message_id) as last_direction,
       (select max(m.occurred_at) from messages m where m.conversation_id = c.conversation_id and m.direction <> 'internal') as last_there,
       c.last_activity_at, (select max(m.occurred_at) from messages m where m.conversation_id = c.conversation_id) as activity
     from conversations c where c.client_id between 601 and 606`,
  );
  expect(rows).toHaveLength(6);
  for (const row of rows as Record<string, unknown>[]) {
    expect(row.unread_count).toBe(row.unread);
    expect(row.last_shown).toEqual(row.last_there);
    expect(row.last_direction).not.toBe('internal');
    expect(row.last_activity_at).toEqual(row.activity);
  }
  const unread = (rows as { unread: number }[]).reduce((sum, row) => sum + row.unread, 0);
  expect(unread).toBe(load / 8);
});

test("each message's attempts equal the attempts written down, and each was accepted once", async () => {
  expect(
    await pair.rows(
      `select m.message_id, m.attempts from messages m
       where m.attempts <> (select count(*) from attempts a where a.message_id = m.message_id)
          or (m.direction = 'outbound' and m.to_address <> $1
            -- What its host said of it before a worker came to it is not sent any more.
            and not (m.attempts = 0 and split_part(m.content, ' ', 1) in ('First', 'Reported'))) <> (1 = (select count(*) from simulator_messages s where s.message_id = m.message_id))`,
      [refusedPhone],
    ),
  ).toEqual([]);
});

test("the business's events are numbered without a gap", async () => {
  expect(
    await pair.rows(
      `select count(*)::int = max(sequence) and min(sequence) = 1 as gapless from events where business_id = 1001`,
    ),
  ).toEqual([{ gapless: true }]);
});

test('nobody waited crosswise', async () => {
  expect(
    await pair.rows(`select deadlocks::int from pg_stat_database where datname = current_database()`),
  ).toEqual([{ deadlocks: 0 }]);
});
