import { describe, expect, test } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { day, hour, minute, ofWebhook, only, second, webhookTests } from '../support/webhooks.ts';

const tests = webhookTests();
const { webhook, remove, text, deliveries, until, came, states, verify } = tests;

describe('delivery', () => {
  test('what fails is posted again by the schedule, with the same id and a new signature, then given up', async () => {
    const hook = await webhook(only);
    tests.receiver.answers(hook.path, { status: 500 });
    await text();
    await came(hook, 1);
    let [count, at] = [1, tests.omega.clock.now()];
    for (const pause of [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour]) {
      await tests.omega.tick(pause * 0.85);
      expect(hook.received(), `${pause} ms: not before its time`).toHaveLength(count);
      const [waiting] = await deliveries(hook.id);
      expect(waiting).toMatchObject({
        state: 'pending',
        attempts: count,
        status_code: 500,
        error: 'refused',
      });
      const next = Date.parse(waiting.next_attempt_at) - at;
      expect(next).toBeGreaterThanOrEqual(pause * 0.9);
      expect(next).toBeLessThanOrEqual(pause * 1.1);
      await tests.omega.tick(pause * 0.3);
      await came(hook, ++count);
      at = tests.omega.clock.now();
    }
    await states(hook, ['failed']);
    await tests.omega.tick(day);
    expect(hook.received()).toHaveLength(8);
    expect(new Set(hook.received().map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(hook.received().map(({ headers }) => headers['webhook-timestamp'])).size).toBe(8);
    const [delivery] = await deliveries(hook.id);
    const { body } = await tests.api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
    expect(body.log).toHaveLength(8);
    expect(body.log[7]).toMatchObject({ attempt_no: 8, status_code: 500, error: 'refused' });
    expect(body.event).toEqual(hook.received()[0]!.event);
  });

  test('a receiver that fails three times and then takes it gets the same event, verified each time', async () => {
    const hook = await webhook(only);
    tests.receiver.answers(
      hook.path,
      { status: 503 },
      'cut',
      { status: 404 },
      { status: 200, body: 'x'.repeat(100_000) },
    );
    await text();
    await came(hook, 1);
    for (const pause of [6 * second, 6 * minute, 34 * minute]) {
      await tests.omega.tick(pause);
    }
    for (const post of await came(hook, 4)) expect(post.event.id).toBe(hook.received()[0]!.event.id);
    expect(verify(hook.secret, hook.received()[3]!)).toBeTruthy();
    await states(hook, ['delivered']);
    const [delivery] = await deliveries(hook.id);
    const { body } = await tests.api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
    expect(body.log.map(({ error }: { error: string }) => error)).toEqual([
      'refused',
      'broken_answer',
      'refused',
      null,
    ]);
    expect((await tests.api.get(ofWebhook(hook.id))).body.failing_since).toBeNull();
  });

  test('Retry-After puts an attempt off, at most 12 hours, with 429 and 503 alone', async () => {
    const asks = async (status: number, header: string) => {
      const hook = await webhook(only);
      tests.receiver.answers(hook.path, { status, headers: { 'retry-after': header } });
      await text();
      await came(hook, 1);
      const [delivery] = await deliveries(hook.id);
      await remove(hook.id);
      return Date.parse(delivery.next_attempt_at) - tests.omega.clock.now();
    };
    expect(await asks(429, '90')).toBe(90 * second);
    // A date has no milliseconds.
    const byDate = await asks(503, new Date(tests.omega.clock.now() + hour).toUTCString());
    expect(byDate).toBeGreaterThan(hour - second);
    expect(byDate).toBeLessThanOrEqual(hour);
    expect(await asks(503, '99999999')).toBe(12 * hour);
    for (const [status, header] of [
      [500, '90'],
      [429, 'soon'],
      [429, '-5'],
      [429, '0'],
    ] as const)
      expect(await asks(status, header), `${status} ${header}`).toBeLessThanOrEqual(5.5 * second);
  });

  test('a redirect is a failure, and is not followed', async () => {
    const [from, to] = [await webhook(only), await webhook({ types: ['client.merged'] })];
    for (const status of [301, 302, 307, 308]) {
      tests.receiver.answers(from.path, { status, headers: { location: tests.receiver.url + to.path } });
      const before = from.received().length;
      await text();
      await until(() => expect(from.received().length).toBeGreaterThan(before));
      await tests.omega.settled();
      const [delivery] = await deliveries(from.id);
      expect(delivery).toMatchObject({ status_code: status, error: 'redirected' });
    }
    expect(to.received()).toEqual([]);
  });

  test('one that hangs fails by its deadline, and holds up no other webhook and no message', async () => {
    const other = await tests.omega.business({ business_id: 2002 });
    const [slow, fast, elsewhere] = [
      await webhook(only),
      await webhook(only),
      await webhook({ types: ['message.delivered'] }, other.api, '/businesses/2002/webhooks'),
    ];
    tests.receiver.answers(slow.path, 'hang');
    for (let i = 0; i < 10; i++) await text();
    await other.api.post('/sms/queue', { client_id: 1, to: '+12025550199', content: 'Hello' });
    await until(() => expect(fast.received()).toHaveLength(10));
    await until(() => expect(elsewhere.received()).toHaveLength(1));
    await until(async () => {
      const all = await deliveries(slow.id);
      expect(all.filter(({ error }) => error === 'timeout')).toHaveLength(10);
    });
    expect((await deliveries(slow.id))[0]).toMatchObject({ state: 'pending', status_code: null });
  });

  test('410 disables the webhook at once, which the feed tells; what waits is given up, and is there for a replay', async () => {
    const watching = await webhook({ types: ['webhook.*'] });
    const hook = await webhook(only);
    tests.receiver.answers(hook.path, { status: 500 });
    await text();
    await came(hook, 1);
    tests.receiver.answers(hook.path, { status: 410 });
    await text();
    await came(hook, 2);
    const [told] = await came(watching, 1);
    expect(told!.event).toMatchObject({
      type: 'webhook.disabled',
      actor: { type: 'system' },
      data: { object: { webhook_id: hook.id, reason: 'gone' } },
    });
    expect((await tests.api.get(ofWebhook(hook.id))).body).toMatchObject({
      state: 'disabled',
      disabled_reason: 'gone',
      disabled_at: expect.any(String),
    });
    await states(hook, ['failed', 'failed']);
    expect((await deliveries(hook.id)).map(({ error }) => error)).toEqual(['gone', 'webhook_disabled']);
    await text();
    await tests.omega.tick(day);
    expect(hook.received()).toHaveLength(2);
    const refused = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { state: 'failed' });
    expectProblem(refused, 409, 'conflict');
  });

  test('five days without one success disable it; a success in between begins anew', async () => {
    const hook = await webhook(only);
    const failFor = async (days: number) => {
      tests.receiver.answers(hook.path, { status: 500 });
      for (let i = 0; i < days * 2; i++) {
        await text();
        await tests.omega.tick(12 * hour);
        await tests.omega.settled();
      }
    };
    await failFor(4);
    expect((await tests.api.get(ofWebhook(hook.id))).body).toMatchObject({
      state: 'enabled',
      failing_since: expect.any(String),
    });
    tests.receiver.answers(hook.path, { status: 200 });
    await text();
    await until(async () => expect((await tests.api.get(ofWebhook(hook.id))).body.failing_since).toBeNull());
    await failFor(4);
    expect((await tests.api.get(ofWebhook(hook.id))).body.state).toBe('enabled');
    await failFor(2);
    await until(async () =>
      expect((await tests.api.get(ofWebhook(hook.id))).body).toMatchObject({
        state: 'disabled',
        disabled_reason: 'failing',
      }),
    );
  });

  test('a webhook that fails changes nothing about its message', async () => {
    const hook = await webhook({ types: ['message.*'] });
    tests.receiver.answers(hook.path, { status: 500 });
    const { body } = await tests.api.post('/sms/queue', {
      client_id: 501,
      to: '+12025550123',
      content: 'Hi',
    });
    await until(() => expect(hook.received().length).toBeGreaterThan(2));
    await tests.omega.settled();
    const page = await tests.api.get(`/messages/requests/${body.request_id}`);
    expect(page.body.data[0]).toMatchObject({ status: 'delivered', reason: null });
  });

  test('what was erased is not in what is posted later', async () => {
    const hook = await webhook(only);
    tests.receiver.answers(hook.path, { status: 500 }, { status: 200 });
    const sent = await tests.api.post('/simulator/inbound', {
      from: '+12025550177',
      to: '+15005550006',
      content: 'My secret garden',
    });
    await came(hook, 1);
    expect(hook.received()[0]!.body).toContain('secret garden');
    expect((await tests.api.call('DELETE', `/businesses/1001/clients/${sent.body.client_id}`)).status).toBe(
      200,
    );
    await tests.omega.tick(6 * second);
    await came(hook, 2);
    expect(hook.received()[1]!.body).not.toContain('secret garden');
    expect(hook.received()[1]!.event.id).toBe(hook.received()[0]!.event.id);
  });
});
