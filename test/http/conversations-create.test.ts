import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let lastClient = 500;
const newClient = () => ++lastClient;
const create = (clientId: number, body: object = {}): Promise<Answer> =>
  api.post(`/businesses/1001/clients/${clientId}/conversations`, body);
const close = (conversationId: string) =>
  omega.omega.database.db
    .updateTable('conversations')
    .set({ status: 'closed' })
    .where('conversation_id', '=', conversationId)
    .execute();
const events = async (clientId: number) => {
  const rows = await omega.omega.database.db
    .selectFrom('events')
    .select(['type', 'data'])
    .where('business_id', '=', 1001)
    .orderBy('sequence')
    .execute();
  return rows.filter(({ data }) => data.client_id === clientId).map(({ type }) => type);
};

describe('createConversation', () => {
  test('makes a conversation, 201, and from then on gives the one that is there, 200', async () => {
    const client_id = newClient();
    const made = await create(client_id, {
      name: 'Ana Lima',
      phone: '(202) 555-0123',
      email: 'Ana@Example.com',
      location_id: 2,
    });
    expect(made.status).toBe(201);
    const now = new Date(omega.clock.now()).toISOString();
    expect(made.body).toEqual({
      conversation_id: expect.stringMatching(/^[0-9a-f-]{14}7[0-9a-f-]{21}$/),
      business_id: 1001,
      client: {
        client_id,
        name: 'Ana Lima',
        phone: '+12025550123',
        email: 'ana@example.com',
        provisional: false,
      },
      status: 'open',
      snoozed_until: null,
      assignee: null,
      location_id: 2,
      last_message: null,
      unread_count: 0,
      identity_confirmed: true,
      candidates: [],
      waiting_since: null,
      channels: [],
      created_at: now,
      updated_at: now,
    });
    const again = await create(client_id);
    expect(again.status).toBe(200);
    expect(again.body).toEqual(made.body);
    expect(await events(client_id)).toEqual(['client.created', 'conversation.created']);
  });

  test.each([
    ['a phone', { phone: '+12025550130' }, { name: null, phone: '+12025550130', email: null }],
    ['an email', { email: 'Eve@Example.com' }, { name: null, phone: null, email: 'eve@example.com' }],
    ['a name', { name: 'Eve' }, { name: 'Eve', phone: null, email: null }],
  ])('makes a client that is not known yet of %s', async (_, told, shown) => {
    const client_id = newClient();
    const { status, body } = await create(client_id, told);
    expect(status).toBe(201);
    expect(body.client).toEqual({ client_id, provisional: false, ...shown });
    expect(await events(client_id)).toEqual(['client.created', 'conversation.created']);
  });

  test('a client that is not known, and of whom nothing is told, is 404; nothing is made', async () => {
    const client_id = newClient();
    const answer = await create(client_id);
    expectProblem(answer, 404, 'not_found');
    expect(answer.body.detail).toMatch(/name, phone or email/);
    expectProblem(await create(client_id, { location_id: 1 }), 404, 'not_found');
    expect(await events(client_id)).toEqual([]);
  });

  test('what is told of a known client adds an address and takes none away; the name stays', async () => {
    const client_id = newClient();
    await create(client_id, { name: 'Eve', phone: '+12025550140' });
    const { status, body } = await create(client_id, {
      name: 'Mallory',
      phone: '+12025550141',
      email: 'e@example.com',
    });
    expect(status).toBe(200);
    expect(body.client).toMatchObject({ name: 'Eve', phone: '+12025550140', email: 'e@example.com' });
    const texted = await api.post('/sms/queue', { to: '+12025550141', content: 'Hi' });
    expect(texted.body.client_id).toBe(client_id);
  });

  test('a closed conversation is history: the next is a new one', async () => {
    const client_id = newClient();
    const first = await create(client_id, { name: 'Eve' });
    await close(first.body.conversation_id);
    const second = await create(client_id);
    expect(second.status).toBe(201);
    expect(second.body.conversation_id).not.toBe(first.body.conversation_id);
  });

  test('gives one that is pending or snoozed as it is', async () => {
    const client_id = newClient();
    const { body } = await create(client_id, { name: 'Eve' });
    await omega.omega.database.db
      .updateTable('conversations')
      .set({ status: 'snoozed', snoozed_until: new Date('2027-01-01T00:00:00Z') })
      .where('conversation_id', '=', body.conversation_id)
      .execute();
    const again = await create(client_id);
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({
      conversation_id: body.conversation_id,
      status: 'snoozed',
      snoozed_until: '2027-01-01T00:00:00.000Z',
    });
  });

  test('asked 50 times at once makes one, and one 201', async () => {
    const client_id = newClient();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => create(client_id, { phone: '+12025550150' })),
    );
    expect(new Set(answers.map(({ body }) => body.conversation_id)).size).toBe(1);
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(49).fill(200), 201]);
    expect(await events(client_id)).toEqual(['client.created', 'conversation.created']);
  });

  test('a number that several share belongs to each of them', async () => {
    const [parent, child] = [newClient(), newClient()];
    const phone = '+12025550160';
    const [one, two] = [await create(parent, { phone }), await create(child, { phone })];
    expect([one.body.client.phone, two.body.client.phone]).toEqual([phone, phone]);
    expect(one.body.conversation_id).not.toBe(two.body.conversation_id);
  });

  test.each([
    [{ phone: '12', email: 'nobody' }, ['email invalid_format', 'phone invalid_format']],
    [{ name: '' }, ['name too_short']],
    [{ name: 'x'.repeat(201) }, ['name too_long']],
    [{ phone: 12_025_550_123 }, ['phone invalid_type']],
    [{ location_id: 0 }, ['location_id too_small']],
  ])('%j is 422 and nothing is made', async (body, faults) => {
    const client_id = newClient();
    const answer = await create(client_id, body);
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(faults);
    expect(await events(client_id)).toEqual([]);
  });

  test('a location that the business does not have is 404 and nothing is made', async () => {
    const client_id = newClient();
    expectProblem(await create(client_id, { name: 'Eve', location_id: 77 }), 404, 'not_found');
    expectProblem(await create(client_id), 404, 'not_found');
  });

  test.each(['0', '-1', '1.5', 'abc', String(2 ** 53)])('the client %s in the path is 422', async (id) => {
    const answer = await api.post(`/businesses/1001/clients/${id}/conversations`, { name: 'Eve' });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)[0]).toMatch(/^client_id /);
  });

  test('ids go up to 2^53 - 1', async () => {
    const { status, body } = await create(Number.MAX_SAFE_INTEGER, { name: 'Last' });
    expect(status).toBe(201);
    expect(body.client.client_id).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('a business that is not there is 404 for a platform key', async () => {
    const answer = await omega.platform.post('/businesses/404404/clients/1/conversations', { name: 'Eve' });
    expectProblem(answer, 404, 'not_found');
  });
});
