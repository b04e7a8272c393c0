import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { allScopes, createKey } from '../../server/access/index.ts';
import { forgetDeliveries } from '../../server/webhooks/queries.ts';
import { eventually } from '../support/eventually.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts';

let omega: RunningOmega;
let api: Client;
let key: string;
let receiver: Receiver;
let made = 0;

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];

beforeAll(async () => {
  receiver = await startReceiver();
  omega = await startOmega({ webhooks: { hosts: [`127.0.0.1:${receiver.port}`], deadlineMs: 2_000 } });
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterAll(async () => {
  await omega.close();
  await receiver.close();
});

const webhooks = '/businesses/1001/webhooks';
const ofWebhook = (id: string) => `${webhooks}/${id}`;

interface Made {
  id: string;
  secret: string;
  path: string;
  received: () => Received[];
}

/** A webhook on a path of its own. */
async function webhook(more: object = {}, client = api, at = webhooks): Promise<Made> {
  const path = `/hook-${made++}`;
  const { status, body } = await client.post(at, { url: receiver.url + path, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return { id: body.webhook_id, secret: body.secret, path, received: () => receiver.at(path) };
}

const remove = (id: string) => api.call('DELETE', ofWebhook(id));
/** Each test has the webhooks that it makes, and no other's deliveries. */
beforeEach(async () => {
  const { body } = await api.get(`${webhooks}?limit=100`);
  for (const { webhook_id } of body.data) await remove(webhook_id);
  await omega.settled();
});

/** Something happens, once: an event of type `message.received`. */
async function text(content = `Hello ${made++}`): Promise<Answer> {
  // By the platform's key, as if a carrier told it: it is not the doing of the key that made the webhooks.
  const answer = await omega.platform.post('/simulator/inbound', {
    business_id: 1001,
    from: '+12025550141',
    to: '+15005550006',
    content,
  });
  expect(answer.status).toBe(201);
  return answer;
}
const only = { types: ['message.received'] };

const deliveries = async (id: string, query = ''): Promise<Answer['body'][]> =>
  (await api.get(`${ofWebhook(id)}/deliveries${query}`)).body.data;

/** Until it holds. The time stands still meanwhile, and with it who looks for jobs: settling wakes them. */
const until = (holds: () => unknown) =>
  eventually(async () => {
    await omega.settled();
    await holds();
  });

/** Until so many have come, and what came of them is written down. */
async function came(hook: Made, count: number): Promise<Received[]> {
  await until(() => expect(hook.received().length).toBeGreaterThanOrEqual(count));
  await omega.settled();
  expect(hook.received()).toHaveLength(count);
  return hook.received();
}

/** Until the deliveries' states are so, oldest first. */
const states = (hook: Made, expected: string[]) =>
  until(async () =>
    expect((await deliveries(hook.id)).map(({ state }) => state).reverse()).toEqual(expected),
  );

/** Verified by the library of the specification, as it is, at the time of Omega's own clock. */
function verify(secret: string, { body, headers }: Received): unknown {
  vi.useFakeTimers({ toFake: ['Date'], now: omega.clock.now() });
  try {
    return new Webhook(secret).verify(body, headers as Record<string, string>);
  } finally {
    vi.useRealTimers();
  }
}

describe('createWebhook', () => {
  test('has every event from now on posted, signed as the Standard Webhooks library reads it', async () => {
    await text('before');
    await omega.settled();
    const hook = await webhook();
    expect(hook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { body: sent } = await text('Can we make it 10?');
    await until(() => expect(hook.received().map(({ event }) => event.type)).toContain('message.received'));
    const post = hook.received().find(({ event }) => event.type === 'message.received')!;
    expect(verify(hook.secret, post)).toEqual(post.event);
    expect(post.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^Omega-Webhooks/),
      'webhook-id': post.event.id,
    });
    expect(post.event).toMatchObject({
      api_version: expect.any(String),
      business_id: 1001,
      sequence: expect.any(Number),
      actor: { type: 'client' },
      data: {
        object: { message_id: sent.message_id },
        message: { message_id: sent.message_id, content: 'Can we make it 10?' },
      },
    });
    expect(post.event.data.message).not.toHaveProperty('html');
    expect(JSON.stringify(hook.received())).not.toContain('before');
    expect(() => verify(`whsec_${Buffer.alloc(32).toString('base64')}`, post)).toThrow();
    expect(() => verify(hook.secret, { ...post, body: `${post.body} ` })).toThrow();
  });

  test('answers the same secret to the same request, and shows it nowhere else', async () => {
    const request = { url: `${receiver.url}/once`, request_id: `webhook-${made++}` };
    const first = await api.post(webhooks, request);
    const again = await api.post(webhooks, request);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const shown = [
      await api.get(webhooks),
      await api.get(ofWebhook(first.body.webhook_id)),
      await api.call('PATCH', ofWebhook(first.body.webhook_id), { description: 'CRM' }),
    ];
    for (const { body } of shown) expect(JSON.stringify(body)).not.toContain('whsec');
    expect((await api.get(webhooks)).body.data).toHaveLength(1);
  });

  test("takes one's own secret of 24 to 64 bytes, and no other", async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const hook = await webhook({ ...only, secret });
    expect(hook.secret).toBe(secret);
    await text();
    const [post] = await came(hook, 1);
    expect(verify(secret, post!)).toEqual(post!.event);
    for (const bad of [
      'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      `whsec_${Buffer.alloc(23).toString('base64')}`,
      `whsec_${Buffer.alloc(65).toString('base64')}`,
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=',
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_',
    ])
      expectProblem(await api.post(webhooks, { url: receiver.url, secret: bad }), 422, 'invalid_parameters');
  });

  test('a business has 20 at most, one that is deleted makes room', async () => {
    const hooks = await Promise.all(
      Array.from({ length: 24 }, () => api.post(webhooks, { url: receiver.url })),
    );
    expect(hooks.filter(({ status }) => status === 201)).toHaveLength(20);
    for (const hook of hooks.filter(({ status }) => status !== 201)) expectProblem(hook, 409, 'conflict');
    await remove(hooks.find(({ status }) => status === 201)!.body.webhook_id);
    expect((await api.post(webhooks, { url: receiver.url })).status).toBe(201);
  });

  test('a type that is none is refused and named', async () => {
    for (const types of [['message.recieved'], ['messages.*'], ['*'], ['message.']]) {
      const answer = await api.post(webhooks, { url: receiver.url, types });
      expectProblem(answer, 422, 'invalid_parameters', types[0]);
      expect(answer.body.errors[0].path).toBe('types.0');
    }
  });
});

test('types: a webhook gets those that it names, by name or by kind', async () => {
  const [named, kind, none] = [
    await webhook({ types: ['message.received', 'note.added'] }),
    await webhook({ types: ['message.*'] }),
    await webhook({ types: ['client.merged'] }),
  ];
  await text();
  await omega.settled();
  await came(named, 1);
  await api.post('/sms/queue', { client_id: 501, to: '+12025550123', content: 'See you' });
  await until(() =>
    expect(kind.received().map(({ event }) => event.type)).toEqual(
      expect.arrayContaining(['message.received', 'message.queued', 'message.sent', 'message.delivered']),
    ),
  );
  await omega.settled();
  expect(kind.received().every(({ event }) => event.type.startsWith('message.'))).toBe(true);
  expect(named.received()).toHaveLength(1);
  expect(none.received()).toHaveLength(0);
});

test('exclude_own: what was done with the key that made the webhook does not come back to it', async () => {
  const { key: otherKey } = await createKey(omega.omega.database.db, {
    businessId: 1001,
    name: 'the calendar',
    scopes: allScopes,
    now: new Date(omega.clock.now()),
  });
  const types = { types: ['message.recorded', 'message.received'] };
  const [own, all] = [await webhook({ ...types, exclude_own: true }), await webhook(types)];
  const record = (client: Client, content: string) =>
    client.post('/sms/record', { client_id: 501, to: '+12025550123', direction: 'outbound', content });
  expect((await record(api, 'mine')).status).toBe(201);
  expect((await record(omega.as(otherKey), "another's")).status).toBe(201);
  const { body: session } = await api.post('/authentication/token', { staff_id: 12345 });
  const staff: Client = omega.as(null);
  const bySession = await staff.post(
    '/sms/record',
    { client_id: 501, to: '+12025550123', direction: 'outbound', content: "a person's" },
    { authorization: `Bearer ${session.token}` },
  );
  expect(bySession.status).toBe(201);
  await text('from the client');
  const contents = (hook: Made) =>
    hook
      .received()
      .map(({ event }) => event.data.message.content)
      .sort();
  await until(() =>
    expect(contents(all)).toEqual(["a person's", "another's", 'from the client', 'mine'].sort()),
  );
  await came(own, 3);
  expect(contents(own)).toEqual(["a person's", "another's", 'from the client'].sort());
});

test('a note is told of, and its words stay with the staff', async () => {
  const hook = await webhook({ types: ['note.added'] });
  const { body } = await text();
  const note = await api.post(
    `/businesses/1001/clients/${body.client_id}/conversations/${body.conversation_id}/note`,
    { content: 'Owes us for March', sent_by: 12345 },
  );
  expect(note.status).toBe(200);
  const [post] = await came(hook, 1);
  expect(post!.body).not.toContain('Owes us');
  expect(post!.event.data).toMatchObject({ object: { message_id: note.body.message_id }, message: null });
  const [delivery] = await deliveries(hook.id);
  const shown = await api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
  expect(JSON.stringify(shown.body)).not.toContain('Owes us');
});

describe('delivery', () => {
  test('what fails is posted again by the schedule, with the same id and a new signature, then given up', async () => {
    const hook = await webhook(only);
    receiver.answers(hook.path, { status: 500 });
    await text();
    await came(hook, 1);
    let [count, at] = [1, omega.clock.now()];
    for (const pause of [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour]) {
      await omega.tick(pause * 0.85);
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
      await omega.tick(pause * 0.3);
      await came(hook, ++count);
      at = omega.clock.now();
    }
    await states(hook, ['failed']);
    await omega.tick(day);
    expect(hook.received()).toHaveLength(8);
    expect(new Set(hook.received().map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(hook.received().map(({ headers }) => headers['webhook-timestamp'])).size).toBe(8);
    const [delivery] = await deliveries(hook.id);
    const { body } = await api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
    expect(body.log).toHaveLength(8);
    expect(body.log[7]).toMatchObject({ attempt_no: 8, status_code: 500, error: 'refused' });
    expect(body.event).toEqual(hook.received()[0]!.event);
  });

  test('a receiver that fails three times and then takes it gets the same event, verified each time', async () => {
    const hook = await webhook(only);
    receiver.answers(
      hook.path,
      { status: 503 },
      'cut',
      { status: 404 },
      { status: 200, body: 'x'.repeat(100_000) },
    );
    await text();
    await came(hook, 1);
    for (const pause of [6 * second, 6 * minute, 34 * minute]) {
      await omega.tick(pause);
    }
    for (const post of await came(hook, 4)) expect(post.event.id).toBe(hook.received()[0]!.event.id);
    expect(verify(hook.secret, hook.received()[3]!)).toBeTruthy();
    await states(hook, ['delivered']);
    const [delivery] = await deliveries(hook.id);
    const { body } = await api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
    expect(body.log.map(({ error }: { error: string }) => error)).toEqual([
      'refused',
      'broken_answer',
      'refused',
      null,
    ]);
    expect((await api.get(ofWebhook(hook.id))).body.failing_since).toBeNull();
  });

  test('Retry-After puts an attempt off, at most 12 hours, with 429 and 503 alone', async () => {
    const asks = async (status: number, header: string) => {
      const hook = await webhook(only);
      receiver.answers(hook.path, { status, headers: { 'retry-after': header } });
      await text();
      await came(hook, 1);
      const [delivery] = await deliveries(hook.id);
      await remove(hook.id);
      return Date.parse(delivery.next_attempt_at) - omega.clock.now();
    };
    expect(await asks(429, '90')).toBe(90 * second);
    // A date has no milliseconds.
    const byDate = await asks(503, new Date(omega.clock.now() + hour).toUTCString());
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
      receiver.answers(from.path, { status, headers: { location: receiver.url + to.path } });
      const before = from.received().length;
      await text();
      await until(() => expect(from.received().length).toBeGreaterThan(before));
      await omega.settled();
      const [delivery] = await deliveries(from.id);
      expect(delivery).toMatchObject({ status_code: status, error: 'redirected' });
    }
    expect(to.received()).toEqual([]);
  });

  test('one that hangs fails by its deadline, and holds up no other webhook and no message', async () => {
    const other = await omega.business({ business_id: 2002 });
    const [slow, fast, elsewhere] = [
      await webhook(only),
      await webhook(only),
      await webhook({ types: ['message.delivered'] }, other.api, '/businesses/2002/webhooks'),
    ];
    receiver.answers(slow.path, 'hang');
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
    receiver.answers(hook.path, { status: 500 });
    await text();
    await came(hook, 1);
    receiver.answers(hook.path, { status: 410 });
    await text();
    await came(hook, 2);
    const [told] = await came(watching, 1);
    expect(told!.event).toMatchObject({
      type: 'webhook.disabled',
      actor: { type: 'system' },
      data: { object: { webhook_id: hook.id, reason: 'gone' } },
    });
    expect((await api.get(ofWebhook(hook.id))).body).toMatchObject({
      state: 'disabled',
      disabled_reason: 'gone',
      disabled_at: expect.any(String),
    });
    await states(hook, ['failed', 'failed']);
    expect((await deliveries(hook.id)).map(({ error }) => error)).toEqual(['gone', 'webhook_disabled']);
    await text();
    await omega.tick(day);
    expect(hook.received()).toHaveLength(2);
    const refused = await api.post(`${ofWebhook(hook.id)}/replay`, { state: 'failed' });
    expectProblem(refused, 409, 'conflict');
  });

  test('five days without one success disable it; a success in between begins anew', async () => {
    const hook = await webhook(only);
    const failFor = async (days: number) => {
      receiver.answers(hook.path, { status: 500 });
      for (let i = 0; i < days * 2; i++) {
        await text();
        await omega.tick(12 * hour);
        await omega.settled();
      }
    };
    await failFor(4);
    expect((await api.get(ofWebhook(hook.id))).body).toMatchObject({
      state: 'enabled',
      failing_since: expect.any(String),
    });
    receiver.answers(hook.path, { status: 200 });
    await text();
    await until(async () => expect((await api.get(ofWebhook(hook.id))).body.failing_since).toBeNull());
    await failFor(4);
    expect((await api.get(ofWebhook(hook.id))).body.state).toBe('enabled');
    await failFor(2);
    await until(async () =>
      expect((await api.get(ofWebhook(hook.id))).body).toMatchObject({
        state: 'disabled',
        disabled_reason: 'failing',
      }),
    );
  });

  test('a webhook that fails changes nothing about its message', async () => {
    const hook = await webhook({ types: ['message.*'] });
    receiver.answers(hook.path, { status: 500 });
    const { body } = await api.post('/sms/queue', { client_id: 501, to: '+12025550123', content: 'Hi' });
    await until(() => expect(hook.received().length).toBeGreaterThan(2));
    await omega.settled();
    const page = await api.get(`/messages/requests/${body.request_id}`);
    expect(page.body.data[0]).toMatchObject({ status: 'delivered', reason: null });
  });

  test('what was erased is not in what is posted later', async () => {
    const hook = await webhook(only);
    receiver.answers(hook.path, { status: 500 }, { status: 200 });
    const sent = await api.post('/simulator/inbound', {
      from: '+12025550177',
      to: '+15005550006',
      content: 'My secret garden',
    });
    await came(hook, 1);
    expect(hook.received()[0]!.body).toContain('secret garden');
    expect((await api.call('DELETE', `/businesses/1001/clients/${sent.body.client_id}`)).status).toBe(200);
    await omega.tick(6 * second);
    await came(hook, 2);
    expect(hook.received()[1]!.body).not.toContain('secret garden');
    expect(hook.received()[1]!.event.id).toBe(hook.received()[0]!.event.id);
  });
});

describe('rotateWebhookSecret', () => {
  test('for a day both secrets sign, then the new one alone', async () => {
    const hook = await webhook(only);
    const { status, body } = await api.post(`${ofWebhook(hook.id)}/rotate`);
    expect(status).toBe(200);
    expect(body.secret).not.toBe(hook.secret);
    expect(Date.parse(body.old_secret_until) - omega.clock.now()).toBe(day);
    await text();
    const [both] = await came(hook, 1);
    expect(String(both!.headers['webhook-signature']).split(' ')).toHaveLength(2);
    for (const secret of [hook.secret, body.secret]) expect(verify(secret, both!)).toBeTruthy();
    await omega.tick(day + 1);
    await text();
    const [, later] = await came(hook, 2);
    expect(verify(body.secret, later!)).toBeTruthy();
    expect(() => verify(hook.secret, later!)).toThrow();
  });

  test('with expire_now the old one signs no more', async () => {
    const hook = await webhook(only);
    const { body } = await api.post(`${ofWebhook(hook.id)}/rotate`, { expire_now: true });
    expect(body.old_secret_until).toBeNull();
    await text();
    const [post] = await came(hook, 1);
    expect(verify(body.secret, post!)).toBeTruthy();
    expect(() => verify(hook.secret, post!)).toThrow();
  });
});

describe('testWebhook', () => {
  test('posts a test event at once, signed, and tells what came back and nothing of its words', async () => {
    const [hook, other] = [await webhook(only), await webhook()];
    receiver.answers(hook.path, { status: 202, body: 'hush' });
    const { status, body } = await api.post(`${ofWebhook(hook.id)}/test`);
    expect(status).toBe(200);
    expect(body).toEqual({
      delivered: true,
      delivery_id: expect.any(String),
      event_id: expect.any(String),
      status_code: 202,
      error: null,
      duration_ms: expect.any(Number),
    });
    const [post] = hook.received();
    expect(verify(hook.secret, post!)).toMatchObject({ id: body.event_id, type: 'webhook.test' });
    await omega.settled();
    expect(other.received()).toEqual([]);
    expect(await deliveries(hook.id)).toMatchObject([
      { state: 'delivered', attempts: 1, type: 'webhook.test' },
    ]);
  });

  test('of one that fails it tells how, is not tried again and changes nothing, disabled or not', async () => {
    const hook = await webhook(only);
    const tested = async () => (await api.post(`${ofWebhook(hook.id)}/test`)).body;
    receiver.answers(hook.path, { status: 410 });
    expect(await tested()).toMatchObject({ delivered: false, status_code: 410, error: 'gone' });
    receiver.answers(hook.path, 'hang');
    expect(await tested()).toMatchObject({ delivered: false, status_code: null, error: 'timeout' });
    expect((await api.get(ofWebhook(hook.id))).body).toMatchObject({ state: 'enabled', failing_since: null });
    await api.call('PATCH', ofWebhook(hook.id), { state: 'disabled' });
    receiver.answers(hook.path, { status: 200 });
    expect(await tested()).toMatchObject({ delivered: true });
    await omega.tick(day);
    expect(hook.received()).toHaveLength(3);
  });
});

describe('updateWebhook', () => {
  test('another URL, other types; what is left out stays', async () => {
    const hook = await webhook({ types: ['client.merged'], description: 'The CRM', exclude_own: true });
    const moved = `${receiver.url}/moved-${made++}`;
    const { body } = await api.call('PATCH', ofWebhook(hook.id), { url: moved, types: ['message.received'] });
    expect(body).toMatchObject({ url: moved, ...only, description: 'The CRM', exclude_own: true });
    await text();
    await until(() => expect(receiver.at(new URL(moved).pathname)).toHaveLength(1));
    const all = await api.call('PATCH', ofWebhook(hook.id), { types: null, description: null });
    expect(all.body).toMatchObject({ types: null, description: null });
  });

  test('disabled, nothing is posted; enabled again it begins at now, and a replay brings the rest', async () => {
    const hook = await webhook(only);
    const { body } = await api.call('PATCH', ofWebhook(hook.id), { state: 'disabled' });
    expect(body).toMatchObject({ state: 'disabled', disabled_reason: 'by_request' });
    const since = new Date(omega.clock.now()).toISOString();
    await omega.tick(minute);
    const { body: missed } = await text('while away');
    await omega.settled();
    const enabled = await api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    expect(enabled.body).toMatchObject({ state: 'enabled', disabled_reason: null, disabled_at: null });
    await text('back again');
    await came(hook, 1);
    expect(hook.received()[0]!.event.data.message.content).toBe('back again');
    const replayed = await api.post(`${ofWebhook(hook.id)}/replay`, { since });
    expect(replayed.status).toBe(202);
    await until(() =>
      expect(hook.received().map(({ event }) => event.data.object.message_id)).toContain(missed.message_id),
    );
  });
});

test('deleteWebhook: nothing more is posted, and the record of its deliveries goes', async () => {
  const hook = await webhook(only);
  receiver.answers(hook.path, { status: 500 });
  await text();
  await came(hook, 1);
  expect((await remove(hook.id)).body).toEqual({ webhook_id: hook.id, deleted: true });
  for (const path of ['', '/deliveries'])
    expectProblem(await api.get(ofWebhook(hook.id) + path), 404, 'not_found');
  expectProblem(await remove(hook.id), 404, 'not_found');
  await text();
  await omega.tick(day);
  expect(hook.received()).toHaveLength(1);
  for (const table of ['webhooks', 'webhook_deliveries', 'webhook_attempts'] as const) {
    const rows = await omega.omega.database.db
      .selectFrom(table)
      .select('webhook_id')
      .where('webhook_id', '=', hook.id)
      .execute();
    expect(rows, table).toEqual([]);
  }
});

describe('listWebhooks, getWebhook, listWebhookDeliveries, getWebhookDelivery', () => {
  test('deliveries are found by state, type and time', async () => {
    const hook = await webhook({ types: ['message.received', 'note.added'] });
    receiver.answers(hook.path, { status: 410 });
    const { body: first } = await text();
    await came(hook, 1);
    await api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    receiver.answers(hook.path, { status: 200 });
    await omega.tick(10 * minute);
    const since = new Date(omega.clock.now()).toISOString();
    await api.post(
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
    expect((await api.get(webhooks)).body.data).toEqual([(await api.get(ofWebhook(hook.id))).body]);
  });

  test('deliveries and their attempts are kept for 30 days', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    await omega.tick(29 * day);
    expect(await deliveries(hook.id)).toHaveLength(1);
    await omega.tick(2 * day);
    await forgetDeliveries(omega.omega.database.db, new Date(omega.clock.now()));
    expect(await deliveries(hook.id)).toEqual([]);
  });
});

describe('retryWebhookDelivery, replayWebhookDeliveries', () => {
  test('one is posted again, with its id, from the beginning of its schedule', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    const [delivery] = await deliveries(hook.id);
    receiver.answers(hook.path, { status: 500 }, { status: 200 });
    const { status, body } = await api.post(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}/retry`);
    expect(status).toBe(202);
    expect(body).toMatchObject({ state: 'pending', delivery_id: delivery.delivery_id, attempts: 1 });
    await came(hook, 2);
    await omega.tick(6 * second);
    await came(hook, 3);
    expect(new Set(hook.received().map(({ event }) => event.id)).size).toBe(1);
    await states(hook, ['delivered']);
    expect((await deliveries(hook.id))[0]).toMatchObject({ attempts: 3 });
  });

  test('an event that is no longer kept cannot come again: 409 before, failed where it went since', async () => {
    const hook = await webhook(only);
    receiver.answers(hook.path, { status: 500 }, { status: 500 });
    await text();
    await came(hook, 1);
    const [{ delivery_id, sequence }] = await deliveries(hook.id);
    await omega.omega.database.db
      .deleteFrom('events')
      .where('business_id', '=', 1001)
      .where('sequence', '<=', sequence)
      .execute();
    // Its next attempt comes; the receiver is not to blame for what was not posted.
    await omega.tick(10 * second);
    await states(hook, ['failed']);
    const at = `${ofWebhook(hook.id)}/deliveries/${delivery_id}`;
    expect((await api.get(at)).body).toMatchObject({ error: 'event_expired', event: null });
    expectProblem(await api.post(`${at}/retry`), 409, 'conflict');
    const replayed = await api.post(`${ofWebhook(hook.id)}/replay`, { delivery_ids: [delivery_id] });
    expect(replayed.body).toMatchObject({ replayed: 0 });
    receiver.answers(hook.path, { status: 200 });
    await text();
    await came(hook, 2);
  });
  test('all that failed, and nothing else', async () => {
    const hook = await webhook(only);
    await text();
    await came(hook, 1);
    receiver.answers(hook.path, { status: 410 });
    await text();
    await came(hook, 2);
    await states(hook, ['delivered', 'failed']);
    await api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    receiver.answers(hook.path, { status: 200 });
    const { status, body } = await api.post(`${ofWebhook(hook.id)}/replay`, { state: 'failed' });
    expect(status).toBe(202);
    expect(body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 3);
    await states(hook, ['delivered', 'delivered']);
  });

  test('a range of numbers or of time, also from before the webhook was', async () => {
    await omega.tick(10 * minute);
    const since = new Date(omega.clock.now()).toISOString();
    for (let i = 0; i < 3; i++) await text(`early ${i}`);
    await omega.settled();
    await omega.tick(10 * minute);
    const until = new Date(omega.clock.now()).toISOString();
    await text('too late');
    await omega.settled();
    const hook = await webhook(only);
    const early = () =>
      hook
        .received()
        .map(({ event }) => event.data.message.content)
        .sort();
    const byTime = await api.post(`${ofWebhook(hook.id)}/replay`, { since, until });
    expect(byTime.body).toEqual({ replayed: 3, next_sequence: null });
    await came(hook, 3);
    expect(early()).toEqual(['early 0', 'early 1', 'early 2']);
    const numbers = (await deliveries(hook.id))
      .map(({ sequence }) => sequence as number)
      .sort((a, b) => a - b);
    const byNumber = await api.post(`${ofWebhook(hook.id)}/replay`, {
      from_sequence: numbers[1],
      to_sequence: numbers[1],
    });
    expect(byNumber.body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 4);
    const none = await api.post(`${ofWebhook(hook.id)}/replay`, { since, until, types: ['client.merged'] });
    expect(none.body).toEqual({ replayed: 0, next_sequence: null });
    const [one] = await deliveries(hook.id);
    const byId = await api.post(`${ofWebhook(hook.id)}/replay`, { delivery_ids: [one.delivery_id] });
    expect(byId.body).toEqual({ replayed: 1, next_sequence: null });
    await came(hook, 5);
  });

  test('more than 1,000 take several calls, each of which tells where the next goes on', async () => {
    const { body: one } = await api.post('/messages', {
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
      await api.post('/sms/record', {
        client_id: 501,
        to: '+12025550123',
        direction: 'outbound',
        content: 'x',
      });
    const hook = await webhook({ types: ['message.recorded'] });
    // Only that they are chosen is looked at here.
    await api.call('PATCH', ofWebhook(hook.id), { url: `${receiver.url}/thousand` });
    let [from, replayed, calls] = [1 as number | null, 0, 0];
    while (from !== null) {
      const { body } = await api.post(`${ofWebhook(hook.id)}/replay`, { from_sequence: from });
      expect(body.replayed).toBeLessThanOrEqual(1_000);
      replayed += body.replayed;
      from = body.next_sequence;
      calls++;
    }
    expect(calls).toBeGreaterThan(1);
    expect(replayed).toBeGreaterThanOrEqual(1_005);
    await until(() => expect(receiver.at('/thousand')).toHaveLength(replayed));
    expect(new Set(receiver.at('/thousand').map(({ event }) => event.id)).size).toBe(replayed);
  });

  test('what is to be replayed must be said, and in one way', async () => {
    const hook = await webhook(only);
    const replay = (body: object) => api.post(`${ofWebhook(hook.id)}/replay`, body);
    expectProblem(await replay({}), 422, 'invalid_parameters');
    expectProblem(await replay({ until: '2026-01-01T00:00:00Z' }), 422, 'invalid_parameters');
    const delivery_ids = ['0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e52'];
    expectProblem(await replay({ delivery_ids, state: 'failed' }), 422, 'invalid_parameters');
    expectProblem(await replay({ delivery_ids }), 404, 'not_found');
  });
});

test('a key without the scope manage, and one of another business, see no webhook', async () => {
  const hook = await webhook(only);
  const { key: reader } = await createKey(omega.omega.database.db, {
    businessId: 1001,
    name: 'reader',
    scopes: ['read', 'send'],
    now: new Date(omega.clock.now()),
  });
  expectProblem(await omega.as(reader).get(ofWebhook(hook.id)), 403, 'forbidden');
  const other = await omega.business({ business_id: 3003 });
  expectProblem(await other.api.get(ofWebhook(hook.id)), 403, 'forbidden');
  expectProblem(await other.api.get(`/businesses/3003/webhooks/${hook.id}`), 404, 'not_found');
  expect(key).toBeTruthy();
});
