import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let last = 0;
/** A message that another system sent, on its way. */
async function sent(more: object = {}) {
  const to = `+1202559${String(++last).padStart(4, '0')}`;
  const { body } = await api.post('/sms/record', { to, direction: 'outbound', content: 'Hi', ...more });
  return body as { message_id: string; conversation_id: string; client_id: number };
}
const report = (body: object) => api.post('/sms/status', body);
const timeline = async (messageId: string) => {
  const rows = await omega.omega.database.db
    .selectFrom('message_timeline')
    .select(['kind', 'data'])
    .where('message_id', '=', messageId)
    .orderBy('entry_id')
    .execute();
  return rows.map(({ kind, data }) => `${kind} ${data.applied ?? ''}`.trim());
};

describe('POST /sms/status', () => {
  test("moves a message by its id, or by the carrier's", async () => {
    const one = await sent();
    const byId = await report({ message_id: one.message_id, status: 'delivered' });
    expect(byId.status).toBe(200);
    expect(byId.body).toEqual({ message_id: one.message_id, status: 'delivered', applied: true });

    const carriers = { provider: 'twilio', provider_message_id: 'SM-status-1' };
    const other = await sent(carriers);
    const byCarrier = await report({ ...carriers, status: 'undelivered', error_code: '30006' });
    expect(byCarrier.body).toEqual({ message_id: other.message_id, status: 'undelivered', applied: true });
  });

  test('only forward: what is late or repeated answers applied: false and is kept in the timeline', async () => {
    const { message_id } = await sent({ status: 'queued' });
    const answers = [];
    for (const status of ['sent', 'delivered', 'sent', 'delivered', 'failed', 'read', 'queued'])
      answers.push((await report({ message_id, status })).body);
    expect(answers.map(({ status, applied }) => `${status} ${applied}`)).toEqual([
      'sent true',
      'delivered true',
      'delivered false',
      'delivered false',
      'delivered false',
      'read true',
      'read false',
    ]);
    expect(await timeline(message_id)).toEqual([
      'recorded',
      'status.sent true',
      'status.delivered true',
      'status.sent false',
      'status.delivered false',
      'status.failed false',
      'status.read true',
      'status.queued false',
    ]);
  });

  test("keeps the carrier's code and text, and tells why in our words, whether a retry helps, and what to do", async () => {
    const one = await sent({ provider: 'twilio', provider_message_id: 'SM-status-2' });
    await report({
      message_id: one.message_id,
      status: 'undelivered',
      error_code: '30007',
      error_message: 'Message filtered',
      occurred_at: '2026-03-10T14:59:58.001Z',
    });
    expect(await messageOf(api, 1001, one)).toMatchObject({
      status: 'undelivered',
      error_code: '30007',
      error_message: 'Message filtered',
      reason: 'filtered',
      retryable: false,
      advice: expect.stringMatching(/spam/),
      failed_at: '2026-03-10T14:59:58.001Z',
    });
  });

  test('a code that nobody knows is kept, and its reason is unknown', async () => {
    const one = await sent({ provider: 'carrier-x', provider_message_id: 'X1' });
    await report({ message_id: one.message_id, status: 'failed', error_code: 'E-77' });
    expect(await messageOf(api, 1001, one)).toMatchObject({
      error_code: 'E-77',
      reason: 'unknown',
      advice: expect.stringContaining('E-77'),
    });
  });

  test('delivered after all: the failure is no longer shown', async () => {
    const one = await sent();
    await report({ message_id: one.message_id, status: 'undelivered', error_code: '30003' });
    expect((await report({ message_id: one.message_id, status: 'delivered' })).body.applied).toBe(true);
    expect(await messageOf(api, 1001, one)).toMatchObject({
      status: 'delivered',
      error_code: null,
      reason: null,
      failed_at: null,
      delivered_at: new Date(omega.clock.now()).toISOString(),
    });
  });

  test('dates what happened by what the carrier says, and fills in what was passed over', async () => {
    const one = await sent({ status: 'queued' });
    const occurred_at = '2026-03-10T15:00:01.500Z';
    await report({ message_id: one.message_id, status: 'read', occurred_at: '2026-03-10T10:00:01.5-05:00' });
    expect(await messageOf(api, 1001, one)).toMatchObject({
      sent_at: occurred_at,
      delivered_at: occurred_at,
      read_at: occurred_at,
    });
  });

  test('a failure reopens the conversation; a delivery does not', async () => {
    const one = await sent();
    const close = () =>
      omega.omega.database.db
        .updateTable('conversations')
        .set({ status: 'closed' })
        .where('conversation_id', '=', one.conversation_id)
        .execute();
    await close();
    await report({ message_id: one.message_id, status: 'failed', error_code: '30006' });
    expect((await rowOf(api, 1001, one)).status).toBe('open');
    await close();
    await report({ message_id: one.message_id, status: 'delivered' });
    expect(await rowOf(api, 1001, one)).toMatchObject({
      status: 'closed',
      last_message: { status: 'delivered' },
    });
  });

  test('an opt-out that the carrier tells is honoured from then on', async () => {
    const to = '+12025550777';
    const one = await sent({ to, provider: 'twilio', provider_message_id: 'SM-status-3' });
    await report({ message_id: one.message_id, status: 'failed', error_code: '21610' });
    const next = await api.post('/sms/queue', { to, content: 'Hi' });
    expect(next.body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
  });

  test("a text of the client, and a note, are no reports' business: applied: false", async () => {
    const inbound = await sent({ direction: 'inbound' });
    const note = await api.post(
      `/businesses/1001/clients/${inbound.client_id}/conversations/${inbound.conversation_id}/note`,
      { content: 'Called.' },
    );
    for (const message_id of [inbound.message_id, note.body.message_id])
      expect((await report({ message_id, status: 'failed' })).body).toEqual({
        message_id,
        status: 'received',
        applied: false,
      });
  });

  test("gives a message the carrier's id where it has none, and never takes one away", async () => {
    const one = await sent();
    const carriers = { provider: 'twilio', provider_message_id: 'SM-status-4' };
    await report({ message_id: one.message_id, status: 'delivered', ...carriers });
    expect(await messageOf(api, 1001, one)).toMatchObject(carriers);
    await report({
      message_id: one.message_id,
      status: 'read',
      provider: 'vonage',
      provider_message_id: 'V1',
    });
    expect(await messageOf(api, 1001, one)).toMatchObject({ ...carriers, status: 'read' });
  });

  test('ids that name two messages are 422, and neither moves', async () => {
    const carriers = { provider: 'twilio', provider_message_id: 'SM-status-5' };
    const [one, other] = [await sent(carriers), await sent()];
    const answer = await report({ message_id: other.message_id, ...carriers, status: 'delivered' });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['provider_message_id conflict']);
    for (const placed of [one, other]) expect((await messageOf(api, 1001, placed)).status).toBe('sent');
    // A provider alone names nothing, and must not give a message another's name by halves.
    await report({ message_id: other.message_id, provider: 'twilio', status: 'delivered' });
    const third = await sent({ provider: 'vonage', provider_message_id: 'SM-status-5' });
    const moved = await report({ message_id: third.message_id, provider: 'twilio', status: 'delivered' });
    expect(moved.body.applied).toBe(true);
    expect(await messageOf(api, 1001, third)).toMatchObject({
      provider: 'vonage',
      provider_message_id: 'SM-status-5',
    });
  });

  test('a message that is not there is 404, by either name', async () => {
    const message_id = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
    expectProblem(await report({ message_id, status: 'sent' }), 404, 'not_found');
    const nobodys = { provider: 'twilio', provider_message_id: 'SM-nobodys' };
    expectProblem(await report({ ...nobodys, status: 'sent' }), 404, 'not_found');
  });

  test("another business's message is 404, by either name, and stays as it is", async () => {
    const there = await omega.business({ business_id: 2002 });
    const carriers = { provider: 'twilio', provider_message_id: 'SM-theirs' };
    const { body } = await there.api.post('/sms/record', {
      to: '+12025550001',
      direction: 'outbound',
      content: 'Hi',
      ...carriers,
    });
    expectProblem(await report({ message_id: body.message_id, status: 'failed' }), 404, 'not_found');
    expectProblem(await report({ ...carriers, status: 'failed' }), 404, 'not_found');
    expect((await messageOf(there.api, 2002, body)).status).toBe('sent');
  });

  test.each([
    [{ status: 'sent' }, ['message_id required']],
    [{ provider: 'twilio', status: 'sent' }, ['message_id required']],
    [{ provider_message_id: 'SM1', status: 'sent' }, ['message_id required']],
    [{ message_id: 'SM1', status: 'sent' }, ['message_id invalid_format']],
    [
      { message_id: 'urn:uuid:0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11', status: 'sent' },
      ['message_id invalid_format'],
    ],
    [{ message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11' }, ['status required']],
    [{ message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11', status: 'received' }, ['status invalid_value']],
    [{ message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11', status: 'scheduled' }, ['status invalid_value']],
    [
      { message_id: 7, status: 'sent', occurred_at: 'now' },
      ['message_id invalid_type', 'occurred_at invalid_format'],
    ],
  ])('%j is 422', async (body, faults) => {
    const answer = await report(body);
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(faults);
  });
});
