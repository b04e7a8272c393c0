import { describe, expect, test } from 'vitest';
import { allScopes, createKey } from '../../server/access/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import type { Client } from '../support/omega.ts';
import {
  day,
  type MadeWebhook,
  minute,
  ofWebhook,
  only,
  webhooks,
  webhookTests,
} from '../support/webhooks.ts';

const tests = webhookTests();
const { webhook, remove, text, deliveries, until, came, verify } = tests;

describe('createWebhook', () => {
  test('has every event from now on posted, signed as the Standard Webhooks library reads it', async () => {
    await text('before');
    await tests.omega.settled();
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
    const request = { url: `${tests.receiver.url}/once`, request_id: 'webhook-once' };
    const first = await tests.api.post(webhooks, request);
    const again = await tests.api.post(webhooks, request);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const shown = [
      await tests.api.get(webhooks),
      await tests.api.get(ofWebhook(first.body.webhook_id)),
      await tests.api.call('PATCH', ofWebhook(first.body.webhook_id), { description: 'CRM' }),
    ];
    for (const { body } of shown) expect(JSON.stringify(body)).not.toContain('whsec');
    expect((await tests.api.get(webhooks)).body.data).toHaveLength(1);
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
      expectProblem(
        await tests.api.post(webhooks, { url: tests.receiver.url, secret: bad }),
        422,
        'invalid_parameters',
      );
  });

  test('a business has 20 at most, one that is deleted makes room', async () => {
    const hooks = await Promise.all(
      Array.from({ length: 24 }, () => tests.api.post(webhooks, { url: tests.receiver.url })),
    );
    expect(hooks.filter(({ status }) => status === 201)).toHaveLength(20);
    for (const hook of hooks.filter(({ status }) => status !== 201)) expectProblem(hook, 409, 'conflict');
    await remove(hooks.find(({ status }) => status === 201)!.body.webhook_id);
    expect((await tests.api.post(webhooks, { url: tests.receiver.url })).status).toBe(201);
  });

  test('a type that is none is refused and named', async () => {
    for (const types of [['message.recieved'], ['messages.*'], ['*'], ['message.']]) {
      const answer = await tests.api.post(webhooks, { url: tests.receiver.url, types });
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
  await tests.omega.settled();
  await came(named, 1);
  await tests.api.post('/sms/queue', { client_id: 501, to: '+12025550123', content: 'See you' });
  await until(() =>
    expect(kind.received().map(({ event }) => event.type)).toEqual(
      expect.arrayContaining(['message.received', 'message.queued', 'message.sent', 'message.delivered']),
    ),
  );
  await tests.omega.settled();
  expect(kind.received().every(({ event }) => event.type.startsWith('message.'))).toBe(true);
  expect(named.received()).toHaveLength(1);
  expect(none.received()).toHaveLength(0);
});

test('exclude_own: what was done with the key that made the webhook does not come back to it', async () => {
  const { key: otherKey } = await createKey(tests.omega.omega.database.db, {
    businessId: 1001,
    name: 'the calendar',
    scopes: allScopes,
    now: new Date(tests.omega.clock.now()),
  });
  const types = { types: ['message.recorded', 'message.received'] };
  const [own, all] = [await webhook({ ...types, exclude_own: true }), await webhook(types)];
  const record = (client: Client, content: string) =>
    client.post('/sms/record', { client_id: 501, to: '+12025550123', direction: 'outbound', content });
  expect((await record(tests.api, 'mine')).status).toBe(201);
  expect((await record(tests.omega.as(otherKey), "another's")).status).toBe(201);
  const { body: session } = await tests.api.post('/authentication/token', { staff_id: 12345 });
  const staff: Client = tests.omega.as(null);
  const bySession = await staff.post(
    '/sms/record',
    { client_id: 501, to: '+12025550123', direction: 'outbound', content: "a person's" },
    { authorization: `Bearer ${session.token}` },
  );
  expect(bySession.status).toBe(201);
  await text('from the client');
  const contents = (hook: MadeWebhook) =>
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
  const note = await tests.api.post(
    `/businesses/1001/clients/${body.client_id}/conversations/${body.conversation_id}/note`,
    { content: 'Owes us for March', sent_by: 12345 },
  );
  expect(note.status).toBe(200);
  const [post] = await came(hook, 1);
  expect(post!.body).not.toContain('Owes us');
  expect(post!.event.data).toMatchObject({ object: { message_id: note.body.message_id }, message: null });
  const [delivery] = await deliveries(hook.id);
  const shown = await tests.api.get(`${ofWebhook(hook.id)}/deliveries/${delivery.delivery_id}`);
  expect(JSON.stringify(shown.body)).not.toContain('Owes us');
});

describe('rotateWebhookSecret', () => {
  test('for a day both secrets sign, then the new one alone', async () => {
    const hook = await webhook(only);
    const { status, body } = await tests.api.post(`${ofWebhook(hook.id)}/rotate`);
    expect(status).toBe(200);
    expect(body.secret).not.toBe(hook.secret);
    expect(Date.parse(body.old_secret_until) - tests.omega.clock.now()).toBe(day);
    await text();
    const [both] = await came(hook, 1);
    expect(String(both!.headers['webhook-signature']).split(' ')).toHaveLength(2);
    for (const secret of [hook.secret, body.secret]) expect(verify(secret, both!)).toBeTruthy();
    await tests.omega.tick(day + 1);
    await text();
    const [, later] = await came(hook, 2);
    expect(verify(body.secret, later!)).toBeTruthy();
    expect(() => verify(hook.secret, later!)).toThrow();
  });

  test('with expire_now the old one signs no more', async () => {
    const hook = await webhook(only);
    const { body } = await tests.api.post(`${ofWebhook(hook.id)}/rotate`, { expire_now: true });
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
    tests.receiver.answers(hook.path, { status: 202, body: 'hush' });
    const { status, body } = await tests.api.post(`${ofWebhook(hook.id)}/test`);
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
    await tests.omega.settled();
    expect(other.received()).toEqual([]);
    expect(await deliveries(hook.id)).toMatchObject([
      { state: 'delivered', attempts: 1, type: 'webhook.test' },
    ]);
  });

  test('of one that fails it tells how, is not tried again and changes nothing, disabled or not', async () => {
    const hook = await webhook(only);
    const tested = async () => (await tests.api.post(`${ofWebhook(hook.id)}/test`)).body;
    tests.receiver.answers(hook.path, { status: 410 });
    expect(await tested()).toMatchObject({ delivered: false, status_code: 410, error: 'gone' });
    tests.receiver.answers(hook.path, 'hang');
    expect(await tested()).toMatchObject({ delivered: false, status_code: null, error: 'timeout' });
    expect((await tests.api.get(ofWebhook(hook.id))).body).toMatchObject({
      state: 'enabled',
      failing_since: null,
    });
    await tests.api.call('PATCH', ofWebhook(hook.id), { state: 'disabled' });
    tests.receiver.answers(hook.path, { status: 200 });
    expect(await tested()).toMatchObject({ delivered: true });
    await tests.omega.tick(day);
    expect(hook.received()).toHaveLength(3);
  });
});

describe('updateWebhook', () => {
  test('another URL, other types; what is left out stays', async () => {
    const hook = await webhook({ types: ['client.merged'], description: 'The CRM', exclude_own: true });
    const moved = `${tests.receiver.url}/moved`;
    const { body } = await tests.api.call('PATCH', ofWebhook(hook.id), {
      url: moved,
      types: ['message.received'],
    });
    expect(body).toMatchObject({ url: moved, ...only, description: 'The CRM', exclude_own: true });
    await text();
    await until(() => expect(tests.receiver.at(new URL(moved).pathname)).toHaveLength(1));
    const all = await tests.api.call('PATCH', ofWebhook(hook.id), { types: null, description: null });
    expect(all.body).toMatchObject({ types: null, description: null });
  });

  test('disabled, nothing is posted; enabled again it begins at now, and a replay brings the rest', async () => {
    const hook = await webhook(only);
    const { body } = await tests.api.call('PATCH', ofWebhook(hook.id), { state: 'disabled' });
    expect(body).toMatchObject({ state: 'disabled', disabled_reason: 'by_request' });
    const since = new Date(tests.omega.clock.now()).toISOString();
    await tests.omega.tick(minute);
    const { body: missed } = await text('while away');
    await tests.omega.settled();
    const enabled = await tests.api.call('PATCH', ofWebhook(hook.id), { state: 'enabled' });
    expect(enabled.body).toMatchObject({ state: 'enabled', disabled_reason: null, disabled_at: null });
    await text('back again');
    await came(hook, 1);
    expect(hook.received()[0]!.event.data.message.content).toBe('back again');
    const replayed = await tests.api.post(`${ofWebhook(hook.id)}/replay`, { since });
    expect(replayed.status).toBe(202);
    await until(() =>
      expect(hook.received().map(({ event }) => event.data.object.message_id)).toContain(missed.message_id),
    );
  });
});

test('deleteWebhook: nothing more is posted, and the record of its deliveries goes', async () => {
  const hook = await webhook(only);
  tests.receiver.answers(hook.path, { status: 500 });
  await text();
  await came(hook, 1);
  expect((await remove(hook.id)).body).toEqual({ webhook_id: hook.id, deleted: true });
  for (const path of ['', '/deliveries'])
    expectProblem(await tests.api.get(ofWebhook(hook.id) + path), 404, 'not_found');
  expectProblem(await remove(hook.id), 404, 'not_found');
  await text();
  await tests.omega.tick(day);
  expect(hook.received()).toHaveLength(1);
  for (const table of ['webhooks', 'webhook_deliveries', 'webhook_attempts'] as const) {
    const rows = await tests.omega.omega.database.db
      .selectFrom(table)
      .select('webhook_id')
      .where('webhook_id', '=', hook.id)
      .execute();
    expect(rows, table).toEqual([]);
  }
});

test('a key without the scope manage, and one of another business, see no webhook', async () => {
  const hook = await webhook(only);
  const { key: reader } = await createKey(tests.omega.omega.database.db, {
    businessId: 1001,
    name: 'reader',
    scopes: ['read', 'send'],
    now: new Date(tests.omega.clock.now()),
  });
  expectProblem(await tests.omega.as(reader).get(ofWebhook(hook.id)), 403, 'forbidden');
  const other = await tests.omega.business({ business_id: 3003 });
  expectProblem(await other.api.get(ofWebhook(hook.id)), 403, 'forbidden');
  expectProblem(await other.api.get(`/businesses/3003/webhooks/${hook.id}`), 404, 'not_found');
});
