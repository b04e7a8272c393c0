import { describe, expect, test } from 'vitest';
import { forgetDeliveries } from '../../server/webhooks/queries.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { day, minute, ofWebhook, only, second, webhooks, webhookTests } from '../support/webhooks.ts';

const tests = webhookTests();
const { webhook, text, deliveries, until, came, states } = tests;

describe('listWebhooks, getWebhook, listWebhookDeliveries, getWebhookDelivery', () => {
  test('deliveries are found by state, type and time', async () => {
    const hook = await webhook({ types: ['message.received', 'note.added'] });
    tests.receiver.answers(hook.path, { status: 410 });
    const { body: first } = await text();
    await came(hook, 1);
    await tests.api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    tests.receiver.answers(hook.path, { status: 200 });
    await tests.omega.tick(10 * minute);
    const since = new Date(tests.omega.clock.now()).toISOString();
    await tests.api.post(
      `/businesses/1001/clients/${first.client_id}/conversations/${first.conversation_id}/note`,
      { content: 'A note', sent_by: 12345 },
    );
    await came(hook, 2);
    const types = async (query: string) => (await deliveries(hook.id, query)).map(({ type }) => type);
    expect(await types('')).toEqual(['note.added', 'message.received']);
    expect(await types('?state=failed')).toEqual(['message.received']);
    expect(await types('?state=delivered')).toEqual(['note.added']);
    expect(await types('?type=message.received')).toEqual(['message.received']);
    expect(await types(`?since=${encodeURIComponent(since)}`)).toEqual(['note.added']);
    expect(await types('?state=pending')).toEqual([]);
    expect((await tests.api.get(webhooks)).body.data).toEqual([
      (await tests.api.get(ofWebhook(hook.id))).body,
    ]);
  });

  test('deliveries and their attempts are kept for 30 days', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    await tests.omega.tick(29 * day);
    expect(await deliveries(hook.id)).toHaveLength(1);
    await tests.omega.tick(2 * day);
    await forgetDeliveries(tests.omega.omega.database.db, new Date(tests.omega.clock.now()));
    expect(await deliveries(hook.id)).toEqual([]);
  });
});

describe('retryWebhookDelivery, replayWebhookDeliveries', () => {
  test('one is posted again, with its id, from the beginning of its schedule', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    const [delivery] = await deliveries(hook.id);
    tests.receiver.answers(hook.path, { status: 500 }, { status: 200 });
    const { status, body } = await tests.api.post(
      `${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}/retry`,
    );
    expect(status).toBe(202);
    expect(body).toMatchObject({ state: 'pending', delivery_id: delivery.delivery_id, attempts: 1 });
    await came(hook, 2);
    await tests.omega.tick(6 * second);
    await came(hook, 3);
    expect(new Set(hook.received().map(({ event }) => event.id)).size).toBe(1);
    await states(hook, ['delivered']);
    expect((await deliveries(hook.id))[0]).toMatchObject({ attempts: 3 });
  });

  test('an event that is no longer kept cannot come again: 409 before, failed where it went since', async () => {
    const hook = await webhook(only);
    tests.receiver.answers(hook.path, { status: 500 }, { status: 500 });
    await text();
    await came(hook, 1);
    const [{ delivery_id, sequence }] = await deliveries(hook.id);
    await tests.omega.omega.database.db
      .deleteFrom('events')
      .where('business_id', '=', 1001)
      .where('sequence', '<=', sequence)
      .execute();
    // Its next attempt comes; the receiver is not to blame for what was not posted.
    await tests.omega.tick(10 * second);
    await states(hook, ['failed']);
    const at = `${ofWebhook(hook.id)}/deliveries/${delivery_id}`;
    expect((await tests.api.get(at)).body).toMatchObject({ error: 'event_expired', event: null });
    expectProblem(await tests.api.post(`${at}/retry`), 409, 'conflict');
    const replayed = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { delivery_ids: [delivery_id] });
    expect(replayed.body).toMatchObject({ replayed: 0 });
    tests.receiver.answers(hook.path, { status: 200 });
    await text();
    await came(hook, 2);
  });
  test('all that failed, and nothing else', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    tests.receiver.answers(hook.path, { status: 410 });
    await text();
    await came(hook, 2);
    await states(hook, ['delivered', 'failed']);
    await tests.api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    tests.receiver.answers(hook.path, { status: 200 });
    const { status, body } = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { state: 'failed' });
    expect(status).toBe(202);
    expect(body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 3);
    await states(hook, ['delivered', 'delivered']);
  });

  test('a range of numbers or of time, also from before the webhook was', async () => {
    await tests.omega.tick(10 * minute);
    const since = new Date(tests.omega.clock.now()).toISOString();
    for (let i = 0; i < 3; i++) await text(`early ${i}`);
    await tests.omega.settled();
    await tests.omega.tick(10 * minute);
    const until = new Date(tests.omega.clock.now()).toISOString();
    await text('too late');
    await tests.omega.settled();
    const hook = await webhook(only);
    const early = () =>
      hook
        .received()
        .map(({ event }) => event.data.message.content)
        .sort();
    const byTime = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { since, until });
    expect(byTime.body).toEqual({ replayed: 3, next_sequence: null });
    await came(hook, 3);
    expect(early()).toEqual(['early 0', 'early 1', 'early 2']);
    const numbers = (await deliveries(hook.id))
      .map(({ sequence }) => sequence as number)
      .sort((a, b) => a - b);
    const byNumber = await tests.api.post(`${ofWebhook(hook.id)}/replay`, {
      from_sequence: numbers[1],
      to_sequence: numbers[1],
    });
    expect(byNumber.body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 4);
    const none = await tests.api.post(`${ofWebhook(hook.id)}/replay`, {
      since,
      until,
      types: ['client.merged'],
    });
    expect(none.body).toEqual({ replayed: 0, next_sequence: null });
    const [one] = await deliveries(hook.id);
    const byId = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { delivery_ids: [one.delivery_id] });
    expect(byId.body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 5);
  });

  test('more than 1,000 take several calls, each of which tells where the next goes on', async () => {
    const { body: one } = await tests.api.post('/messages', {
      messages: Array.from({ length: 1_000 }, (_, i) => ({
        channel: 'sms',
        direction: 'outbound',
        client_id: 501,
        to: '+12025550123',
        content: `No. ${i}`,
      })),
      request_id: 'a thousand'.replace(' ', '-'),
    });
    expect(one.failed).toBe(0);
    for (let i = 0; i < 5; i++)
      await tests.api.post('/sms/record', {
        client_id: 501,
        to: '+12025550123',
        direction: 'outbound',
        content: 'x',
      });
    const hook = await webhook({ types: ['message.recorded'] });
    // Only that they are chosen is looked at here.
    await tests.api.call('PATCH', ofWebhook(hook.id), { url: `${tests.receiver.url}/thousand` });
    let [from, replayed, calls] = [1 as number | null, 0, 0];
    while (from !== null) {
      const { body } = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { from_sequence: from });
      expect(body.replayed).toBeLessThanOrEqual(1_000);
      replayed += body.replayed;
      from = body.next_sequence;
      calls++;
    }
    expect(calls).toBeGreaterThan(1);
    expect(replayed).toBeGreaterThanOrEqual(1_005);
    await until(() => expect(tests.receiver.at('/thousand')).toHaveLength(replayed));
    expect(new Set(tests.receiver.at('/thousand').map(({ event }) => event.id)).size).toBe(replayed);
  });

  test('what is to be replayed must be said, and in one way', async () => {
    const hook = await webhook(only);
    const replay = (body: object) => tests.api.post(`${ofWebhook(hook.id)}/replay`, body);
    expectProblem(await replay({}), 422, 'invalid_parameters');
    expectProblem(await replay({ until: '2026-01-01T00:00:00Z' }), 422, 'invalid_parameters');
    const delivery_ids = ['0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e52'];
    expectProblem(await replay({ delivery_ids, state: 'failed' }), 422, 'invalid_parameters');
    expectProblem(await replay({ delivery_ids }), 404, 'not_found');
  });
});
