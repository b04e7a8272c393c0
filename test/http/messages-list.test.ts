import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { walkPages, withQuery } from '../support/pages.ts';
import { conversationPath } from '../support/reading.ts';

const phone = '+12025550123';
let omega: RunningOmega;
let api: Client;
let placed: { client_id: number; conversation_id: string };
let path: string;

/** One message a minute: each told by its content in what follows. */
beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  const record = (content: string, more: object) =>
    api.post('/sms/record', { to: phone, content, direction: 'outbound', ...more });
  const acts = [
    () => record('first', { occurred_at: new Date(omega.clock.now()).toISOString() }),
    () => record('second: 100% _sure_', { direction: 'inbound' }),
    () => record('third', { direction: 'inbound', status: 'read' }),
    () => api.post('/sms/queue', { to: phone, content: 'fourth', sent_by: 12345 }),
    () => api.post('/sms/queue', { to: '+15005550012', client_id: placed.client_id, content: 'fifth' }),
    () => api.post(`${path}/note`, { content: 'sixth, ÉCRIT', sent_by: 12346 }),
    () => api.post('/sms/queue', { to: phone, content: 'seventh', sender_type: 'automation' }),
  ];
  for (const [i, act] of acts.entries()) {
    const { status, body } = await act();
    expect(status).toBeLessThan(300);
    if (i === 0) {
      placed = body;
      path = conversationPath(1001, placed);
    }
    await omega.settled();
    await omega.tick(60_000);
  }
});
afterAll(() => omega.close());

const list = (query: Record<string, unknown>) => api.get(withQuery(`${path}/messages`, query));
const contents = async (query: Record<string, unknown>) => {
  const answer = await list(query);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return (answer.body.data as Message[]).map(({ content }) => content.split(/[:,]/)[0]);
};
const all = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh'];

describe('listMessages: GET …/conversations/{conversation_id}/messages', () => {
  test('has every message over all channels, notes among them, newest first unless told', async () => {
    expect(await contents({})).toEqual(all.toReversed());
    expect(await contents({ order: 'newest' })).toEqual(all.toReversed());
    expect(await contents({ order: 'oldest' })).toEqual(all);
  });

  test.each<[Record<string, unknown>, string[]]>([
    [{ channel: 'sms' }, ['first', 'second', 'third', 'fourth', 'fifth', 'seventh']],
    [{ channel: 'note' }, ['sixth']],
    [{ channel: 'email' }, []],
    [{ direction: 'inbound' }, ['second', 'third']],
    [{ direction: 'outbound' }, ['first', 'fourth', 'fifth', 'seventh']],
    [{ direction: 'internal' }, ['sixth']],
    [{ status: 'delivered' }, ['fourth', 'seventh']],
    [{ status: 'undelivered' }, ['fifth']],
    [{ status: 'sent' }, ['first']],
    [{ status: 'received' }, ['second', 'third', 'sixth']],
    [{ sender_type: 'client' }, ['second', 'third']],
    [{ sender_type: 'staff' }, ['fourth', 'sixth']],
    [{ sender_type: 'system' }, ['first', 'fifth']],
    [{ sender_type: 'automation' }, ['seventh']],
    [{ sent_by: 12345 }, ['fourth']],
    [{ sent_by: 12346 }, ['sixth']],
    [{ sent_by: 999 }, []],
    [{ unread: true }, ['second']],
    [{ unread: false }, ['first', 'third', 'fourth', 'fifth', 'sixth', 'seventh']],
    [{ since: '2026-03-10T15:05:00Z' }, ['sixth', 'seventh']],
    [{ until: '2026-03-10T15:01:00Z' }, ['first']],
    [{ since: '2026-03-10T15:01:00Z', until: '2026-03-10T15:03:00Z' }, ['second', 'third']],
    [{ since: '2026-03-10T11:05:00-04:00' }, ['sixth', 'seventh']],
    [{ text: 'FI' }, ['first', 'fifth']],
    [{ text: 'écrit' }, ['sixth']],
    [{ text: '100%' }, ['second']],
    [{ text: '%' }, ['second']],
    [{ text: '_sure_' }, ['second']],
    [{ text: '\\' }, []],
    [{ text: "'; drop table messages; --" }, []],
    [{ channel: 'sms', direction: 'outbound', sender_type: 'staff', text: 'our' }, ['fourth']],
  ])('%j', async (query, expected) => {
    expect(await contents({ ...query, order: 'oldest' })).toEqual(expected);
    expect(await contents(query)).toEqual(expected.toReversed());
  });

  test.each([
    ['channel=SMS', 'channel invalid_format'],
    ['direction=sideways', 'direction invalid_value'],
    ['status=lost', 'status invalid_value'],
    ['sender_type=robot', 'sender_type invalid_value'],
    ['sent_by=me', 'sent_by invalid_type'],
    ['unread=2', 'unread invalid_type'],
    ['since=2026-03-10', 'since invalid_format'],
    ['until=now', 'until invalid_format'],
    ['text=', 'text too_short'],
    ['text=%00', 'text invalid_character'],
    ['order=random', 'order invalid_value'],
    ['limit=1000', 'limit too_large'],
    ['cursor=', 'cursor too_short'],
    ['q=hello', 'q unknown_field'],
  ])('%s is 422: %s', async (query, fault) => {
    const answer = await api.get(`${path}/messages?${query}`);
    expectProblem(answer, 422, fault.endsWith('unknown_field') ? 'unknown_field' : 'invalid_parameters');
    expect(faultsOf(answer)).toContain(fault);
  });

  test("another client's conversation, and one that is not there, are 404", async () => {
    const other = (await api.post('/sms/queue', { to: '+12025550199', content: 'Hi' })).body;
    for (const wrong of [
      { client_id: other.client_id, conversation_id: placed.conversation_id },
      { client_id: placed.client_id, conversation_id: other.conversation_id },
      { client_id: placed.client_id, conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12' },
    ])
      expectProblem(await api.get(`${conversationPath(1001, wrong)}/messages`), 404, 'not_found');
  });
});

describe('listMessages, pages', () => {
  const busy = '+12025550777';
  let there: string;
  const text = (content: string, occurred_at?: string) =>
    api.post('/sms/record', { to: busy, content, direction: 'inbound', occurred_at });

  beforeAll(async () => {
    const { body } = await text('0');
    there = `${conversationPath(1001, body)}/messages`;
    // Of one moment, ten by ten: what has the same time must neither be shown twice nor left out.
    for (let moment = 0; moment < 3; moment++) {
      await Promise.all(Array.from({ length: 10 }, (_, i) => text(String(moment * 10 + i + 1))));
      await omega.tick(1_000);
    }
  });

  test.each(['newest', 'oldest'])(
    'by %s show each message once, in order, while others write',
    async (order) => {
      const before = await api.get(withQuery(there, { order, limit: 100 }));
      const expected = (before.body.data as Message[]).map(({ message_id }) => message_id);
      expect(expected.length).toBeGreaterThanOrEqual(31);
      let wrote = 0;
      const rows = await walkPages<Message>(api, there, { order, limit: 4 }, async () => {
        await omega.tick(1_000);
        await text(`meanwhile ${order}`);
        wrote++;
        // And one from long ago, told late: it falls into pages that were shown already, or come yet.
        await text(`late ${order}`, '2026-03-01T00:00:00Z');
        if (wrote > 60) throw new Error('The list runs away from its reader.');
      });
      const seen = rows.map(({ message_id }) => message_id);
      expect(new Set(seen).size).toBe(seen.length);
      const wasThere = new Set(expected);
      expect(seen.filter((id) => wasThere.has(id))).toEqual(expected);
      expect(wrote).toBeGreaterThan(5);
    },
  );

  test('a cursor holds for its filters, order and conversation; a changed one is 422', async () => {
    const { body } = await api.get(withQuery(there, { limit: 3, direction: 'inbound' }));
    const cursor = body.next_cursor as string;
    const refused = [
      withQuery(there, { limit: 3, cursor }),
      withQuery(there, { limit: 3, direction: 'inbound', order: 'oldest', cursor }),
      withQuery(there, { limit: 3, direction: 'inbound', cursor: `${cursor}A` }),
      withQuery(`${path}/messages`, { limit: 3, direction: 'inbound', cursor }),
    ];
    for (const one of refused) {
      const answer = await api.get(one);
      expectProblem(answer, 422, 'invalid_parameters', one);
      expect(faultsOf(answer)).toEqual(['cursor invalid_value']);
    }
    expect((await api.get(withQuery(there, { limit: 9, direction: 'inbound', cursor }))).status).toBe(200);
  });
});
