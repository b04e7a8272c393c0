import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { conversationPath, messageOf, messagesOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;
let placed: { client_id: number; conversation_id: string };
let path: string;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  placed = (
    await api.post('/simulator/inbound', {
      from: '+12025550123',
      to: '+15005550006',
      content: 'Can I move to 10?',
    })
  ).body;
  path = `${conversationPath(1001, placed)}/note`;
});
afterAll(() => omega.close());

const note = (body: object, headers?: Record<string, string>) => api.post(path, body, headers);

describe('addNote: POST …/conversations/{conversation_id}/note', () => {
  test('is linked to the staff member and dated, and stands in the conversation for staff', async () => {
    await omega.tick(1_000);
    const answer = await note({
      content: 'Prefers mornings.',
      sent_by: 12345,
      sender_type: 'staff',
      request_id: 'note-1',
    });
    expect(answer.status).toBe(200);
    const now = new Date(omega.clock.now()).toISOString();
    expect(answer.body).toEqual({
      message: 'Note added',
      message_id: expect.any(String),
      conversation_id: placed.conversation_id,
      created_at: now,
    });
    expect(await messageOf(api, 1001, { ...placed, ...answer.body })).toMatchObject({
      channel: 'note',
      direction: 'internal',
      content: 'Prefers mornings.',
      sent_by: 12345,
      sender_type: 'staff',
      from: null,
      to: null,
      provider: null,
      attempts: 0,
      unread: false,
      request_id: 'note-1',
      occurred_at: now,
      created_at: now,
    });
  });

  test('changes neither unread, nor who waits, nor the last message, nor the channels, nor the status', async () => {
    const before = await rowOf(api, 1001, placed);
    expect(before).toMatchObject({ unread_count: 1, waiting_since: expect.any(String) });
    await omega.tick(1_000);
    await note({ content: 'Called her.', sent_by: 12345 });
    const after = await rowOf(api, 1001, placed);
    expect({ ...after, updated_at: before.updated_at }).toEqual(before);

    const { db } = omega.omega.database;
    const status = (to: 'closed' | 'open') =>
      db
        .updateTable('conversations')
        .set({ status: to })
        .where('conversation_id', '=', placed.conversation_id)
        .execute();
    await status('closed');
    expect((await note({ content: 'For the file.' })).status).toBe(200);
    expect((await rowOf(api, 1001, placed)).status).toBe('closed');
    await status('open');
  });

  test('is never sent: no job, no attempt, nothing at the carrier', async () => {
    const { body } = await note({ content: 'A secret about the client.' });
    await omega.tick(86_400_000);
    const { db } = omega.omega.database;
    for (const table of ['attempts', 'simulator_messages'] as const) {
      const rows = await db
        .selectFrom(table)
        .select('message_id')
        .where('message_id', '=', body.message_id)
        .execute();
      expect(rows, table).toEqual([]);
    }
    expect(await messageOf(api, 1001, { ...placed, ...body })).toMatchObject({
      status: 'received',
      sent_at: null,
    });
  });

  test('comes back as it was written: lines, emoji, right-to-left, markup, spaces', async () => {
    const content =
      "  Première ligne\r\n\tשלום <b>&amp;</b> 👩‍👩‍👧 \u202Eabc\u202C '; drop table messages; --  ";
    const { body } = await note({ content });
    expect((await messageOf(api, 1001, { ...placed, ...body })).content).toBe(content);
  });

  test('has 1 to 10,000 characters', async () => {
    expect((await note({ content: '🎉'.repeat(10_000) })).status).toBe(200);
    for (const [content, code] of [
      ['', 'too_short'],
      ['x'.repeat(10_001), 'too_long'],
      [undefined, 'required'],
      [['x'], 'invalid_type'],
    ]) {
      const answer = await note({ content });
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual([`content ${code}`]);
    }
  });

  test('has a staff member as its author, or nobody: others are 404, other kinds 422', async () => {
    const { body } = await note({ content: 'By the system.' });
    expect(await messageOf(api, 1001, { ...placed, ...body })).toMatchObject({
      sent_by: null,
      sender_type: 'staff',
    });
    expectProblem(await note({ content: 'x', sent_by: 999 }), 404, 'not_found');
    const asClient = await note({ content: 'x', sender_type: 'client' });
    expectProblem(asClient, 422, 'invalid_parameters');
    expect(faultsOf(asClient)).toEqual(['sender_type invalid_value']);
  });

  test('of a session is by its own staff member', async () => {
    const session = await api.post('/authentication/token', { staff_id: 12346 });
    const headers = { authorization: `Bearer ${session.body.token}` };
    const anyone = clientOf(omega.url, null);
    const { body } = await anyone.post(path, { content: 'Mine.' }, headers);
    expect((await messageOf(api, 1001, { ...placed, ...body })).sent_by).toBe(12346);
    const asOther = await anyone.post(path, { content: 'Not mine.', sent_by: 12345 }, headers);
    expectProblem(asOther, 422, 'invalid_parameters');
  });

  test('with the same request_id is one note', async () => {
    const before = (await messagesOf(api, 1001, placed)).length;
    const all = await Promise.all(
      Array.from({ length: 10 }, () => note({ content: 'Once.' }, { 'idempotency-key': 'note-once' })),
    );
    expect(new Set(all.map(({ body }) => body.message_id)).size).toBe(1);
    expect(await messagesOf(api, 1001, placed)).toHaveLength(before + 1);
  });

  test('finds its conversation by the id in capitals', async () => {
    const capitals = { ...placed, conversation_id: placed.conversation_id.toUpperCase() };
    const { status, body } = await api.post(`${conversationPath(1001, capitals)}/note`, { content: 'x' });
    expect({ status, conversation_id: body.conversation_id }).toEqual({
      status: 200,
      conversation_id: placed.conversation_id,
    });
  });

  test("another client's conversation, another business's, and one that is not there are 404", async () => {
    const there = await omega.business({ business_id: 2002 });
    const theirs = (await there.api.post('/sms/queue', { to: '+12025550123', content: 'Hi' })).body;
    const mine = (await api.post('/sms/queue', { to: '+12025550199', content: 'Hi' })).body;
    const wrong = [
      { client_id: mine.client_id, conversation_id: placed.conversation_id },
      { client_id: theirs.client_id, conversation_id: theirs.conversation_id },
      { client_id: placed.client_id, conversation_id: theirs.conversation_id },
      { client_id: placed.client_id, conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12' },
    ];
    for (const one of wrong)
      expectProblem(
        await api.post(`${conversationPath(1001, one)}/note`, { content: 'x' }),
        404,
        'not_found',
      );
    const malformed = await api.post(`${conversationPath(1001, { ...placed, conversation_id: 'x' })}/note`, {
      content: 'x',
    });
    expectProblem(malformed, 422, 'invalid_parameters');
    expect(faultsOf(malformed)).toEqual(['conversation_id invalid_format']);
  });
});
