import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forgetOldRequests } from '../../server/core/http/index.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, messagesOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let last = 0;
const newId = () => `request-${++last}`;
const newPhone = () => `+1202553${String(++last).padStart(4, '0')}`;
const queue = (body: object, headers?: Record<string, string>, caller = api): Promise<Answer> =>
  caller.post('/sms/queue', { content: 'See you at 9!', ...body }, headers);
const isReplay = (answer: Answer) => answer.headers.get('idempotency-replayed') === 'true';

describe('a request_id', () => {
  test('in the body or as Idempotency-Key is one thing: the same one gives the first answer again', async () => {
    const to = newPhone();
    const request_id = newId();
    const first = await queue({ to, request_id });
    expect(isReplay(first)).toBe(false);
    const again = [
      await queue({ to, request_id }),
      await queue({ to }, { 'idempotency-key': request_id }),
      await queue({ to, request_id }, { 'idempotency-key': request_id }),
      // Neither the order of the fields nor a business that goes without saying makes it another request.
      await api.post('/sms/queue', { request_id, to, content: 'See you at 9!', business_id: 1001 }),
    ];
    for (const answer of again) {
      expect({ status: answer.status, body: answer.body, replay: isReplay(answer) }).toEqual({
        status: 202,
        body: first.body,
        replay: true,
      });
      expect(answer.headers.get('x-request-id')).toBe(request_id);
    }
    await omega.settled();
    expect(await messagesOf(api, 1001, first.body)).toMatchObject([{ request_id, attempts: 1 }]);
    // Still the first answer, though the message has moved on.
    expect((await queue({ to, request_id })).body.status).toBe('queued');
  });

  test('is made by the server where none is given, and is in the answer, the header and the message', async () => {
    const answer = await queue({ to: newPhone() });
    expect(answer.body.request_id).toMatch(/^[0-9a-f-]{14}7[0-9a-f-]{21}$/);
    expect(answer.headers.get('x-request-id')).toBe(answer.body.request_id);
    expect((await messageOf(api, 1001, answer.body)).request_id).toBe(answer.body.request_id);
  });

  test('that differs between body and header is 422', async () => {
    const answer = await queue({ to: newPhone(), request_id: newId() }, { 'idempotency-key': newId() });
    expectProblem(answer, 422, 'invalid_parameters');
    expect(faultsOf(answer)).toEqual(['request_id invalid_format']);
  });

  test('has 1 to 128 of its characters', async () => {
    const longest = 'aZ09._:-'.repeat(16);
    expect((await queue({ to: newPhone(), request_id: longest })).body.request_id).toBe(longest);
    for (const request_id of ['', 'x'.repeat(129), 'two words', 'ümlaut', 'a/b', 'a\n']) {
      const inBody = await queue({ to: newPhone(), request_id });
      expectProblem(inBody, 422, 'invalid_parameters', JSON.stringify(request_id));
      expect(faultsOf(inBody)).toEqual(['request_id invalid_format']);
    }
    for (const header of ['', 'x'.repeat(129), 'two words', 'a/b', 'a, b']) {
      const answer = await queue({ to: newPhone() }, { 'idempotency-key': header });
      expectProblem(answer, 422, 'invalid_parameters', JSON.stringify(header));
      expect(faultsOf(answer)).toEqual(['Idempotency-Key invalid_format']);
    }
    const number = await queue({ to: newPhone(), request_id: 7 });
    expect(faultsOf(number)).toEqual(['request_id invalid_type']);
  });

  test('with another body is 422 and does nothing; so it is for another operation or another path', async () => {
    const to = newPhone();
    const request_id = newId();
    const { body } = await queue({ to, request_id });
    const others = [
      await queue({ to, request_id, content: 'See you at 10!' }),
      await queue({ to, request_id, metadata: {} }),
      await api.post('/sms/record', { to, request_id, content: 'See you at 9!', direction: 'outbound' }),
      await api.post('/businesses/1001/clients/7/conversations', { name: 'Eve', request_id }),
    ];
    for (const answer of others) {
      expectProblem(answer, 422, 'request_id_reused');
      expect(faultsOf(answer)).toEqual(['request_id conflict']);
      expect(answer.body.request_id).toBe(request_id);
    }
    expect(await messagesOf(api, 1001, body)).toHaveLength(1);

    const name = { name: 'Eve', request_id: newId() };
    expect((await api.post('/businesses/1001/clients/8/conversations', name)).status).toBe(201);
    expectProblem(await api.post('/businesses/1001/clients/9/conversations', name), 422, 'request_id_reused');
  });

  test('replays the status too: a 201 stays a 201', async () => {
    const body = { name: 'Eve', request_id: newId() };
    const [first, again] = [
      await api.post('/businesses/1001/clients/10/conversations', body),
      await api.post('/businesses/1001/clients/10/conversations', body),
    ];
    expect([first.status, again.status, isReplay(again)]).toEqual([201, 201, true]);
    expect(again.body).toEqual(first.body);
  });

  test('of one business is nothing to another', async () => {
    const there = await omega.business({ business_id: 2002 });
    const to = newPhone();
    const request_id = newId();
    const [mine, theirs] = [await queue({ to, request_id }), await queue({ to, request_id }, {}, there.api)];
    expect([mine.status, theirs.status]).toEqual([202, 202]);
    expect(isReplay(theirs)).toBe(false);
    expect(theirs.body.message_id).not.toBe(mine.body.message_id);
    const otherBody = await queue({ to, request_id: newId(), content: 'a' }, {}, there.api);
    expect(otherBody.status).toBe(202);
  });

  test('of one business is one, whichever of its callers repeats it', async () => {
    const to = newPhone();
    const request_id = newId();
    const first = await queue({ to, request_id });
    const byPlatform = await queue({ to, request_id, business_id: 1001 }, {}, omega.platform);
    expect(byPlatform.body).toEqual(first.body);
    expect(isReplay(byPlatform)).toBe(true);
  });

  test('on a read says nothing', async () => {
    const headers = { 'idempotency-key': newId() };
    for (let i = 0; i < 2; i++) {
      const answer = await api.get('/businesses/1001/conversations', headers);
      expect(answer.status).toBe(200);
      expect(isReplay(answer)).toBe(false);
      expect(answer.headers.get('x-request-id')).not.toBe(headers['idempotency-key']);
    }
  });
});

describe('what went wrong is not pinned: the same request_id may come again', () => {
  test('after a 422 or a 404 of the write path', async () => {
    const request_id = newId();
    expectProblem(await queue({ request_id }), 422, 'invalid_parameters');
    expectProblem(await queue({ client_id: 888_888, request_id }), 404, 'not_found');
    expectProblem(await queue({ to: newPhone(), from: '+12025559999', request_id }), 422, 'no_sender');
    const right = await queue({ to: newPhone(), request_id });
    expect(right.status).toBe(202);
    expect(isReplay(right)).toBe(false);
  });

  test('after a 422 or a 404 of any other write', async () => {
    const request_id = newId();
    const path = '/businesses/1001/clients/11/conversations';
    expectProblem(await api.post(path, { request_id }), 404, 'not_found');
    expectProblem(await api.post(path, { phone: '1', request_id }), 422, 'invalid_parameters');
    expect((await api.post(path, { name: 'Eve', request_id })).status).toBe(201);
  });

  test('after a 401 or a 403', async () => {
    const to = newPhone();
    const request_id = newId();
    expectProblem(await queue({ to, request_id }, {}, omega.as(null)), 401, 'unauthorized');
    expectProblem(await queue({ to, request_id, business_id: 2002 }), 403, 'forbidden');
    expect((await queue({ to, request_id })).status).toBe(202);
  });

  test('after a 5xx: nothing was written, nothing inner is told, and repeating does it', async () => {
    const { db } = omega.omega.database;
    const to = newPhone();
    const request_id = newId();
    await sql`alter table message_timeline rename to message_timeline_away`.execute(db);
    const failed = await queue({ to, request_id });
    const failedToo = await api.post('/sms/status', {
      message_id: crypto.randomUUID(),
      status: 'sent',
      request_id,
    });
    await sql`alter table message_timeline_away rename to message_timeline`.execute(db);
    expectProblem(failed, 500, 'internal');
    expect(JSON.stringify(failed.body)).not.toMatch(/message_timeline|relation|insert|\.ts/i);
    expect(failed.body.request_id).toBe(request_id);
    expectProblem(failedToo, 404, 'not_found');
    const { body: found } = await api.get(`/businesses/1001/conversations?client=${encodeURIComponent(to)}`);
    expect(found.data).toEqual([]);
    const again = await queue({ to, request_id });
    expect([again.status, isReplay(again)]).toEqual([202, false]);
  });
});

describe('at the same moment', () => {
  test('100 of one request_id are one message, one answer, and one send', async () => {
    const text = { to: newPhone(), request_id: newId() };
    const answers = await Promise.all(Array.from({ length: 100 }, () => queue(text)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers.filter((answer) => !isReplay(answer))).toHaveLength(1);
    await omega.settled();
    expect(await messagesOf(api, 1001, answers[0]!.body)).toMatchObject([
      { status: 'delivered', attempts: 1 },
    ]);
    const accepted = await omega.omega.database.db
      .selectFrom('simulator_messages')
      .select('message_id')
      .where('to_address', '=', text.to)
      .execute();
    expect(accepted).toHaveLength(1);
  });

  test('of one request_id and several bodies one is done, and the others are told so', async () => {
    const request_id = newId();
    const to = newPhone();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => queue({ to, request_id, content: `Body ${i % 4}` })),
    );
    const done = answers.filter(({ status }) => status === 202);
    expect(done).toHaveLength(5);
    for (const answer of answers.filter(({ status }) => status !== 202))
      expectProblem(answer, 422, 'request_id_reused');
    expect(await messagesOf(api, 1001, done[0]!.body)).toHaveLength(1);
  });

  test('bad ones and good ones do not touch each other', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        queue(i % 3 === 0 ? { client_id: 900_000 + i } : { to: newPhone() }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? 404 : 202)),
    );
  });
});

test('an answer is kept for 30 days', async () => {
  const to = newPhone();
  const request_id = newId();
  const first = await queue({ to, request_id });
  const { db } = omega.omega.database;
  await omega.tick(30 * 86_400_000);
  await forgetOldRequests(db, new Date(omega.clock.now()));
  expect((await queue({ to, request_id })).body).toEqual(first.body);
  await omega.tick(1);
  expect(await forgetOldRequests(db, new Date(omega.clock.now()))).toBeGreaterThan(0);
  const later = await queue({ to, request_id });
  expect([later.status, isReplay(later)]).toEqual([202, false]);
  expect(later.body.message_id).not.toBe(first.body.message_id);
});

test('every answer carries X-Request-Id: of success and of every error, of pages and of nothing', async () => {
  const anyone = omega.as(null);
  const json = { 'content-type': 'application/json' };
  const answers: [number, Answer][] = [
    [200, await anyone.get('/health')],
    [200, await anyone.get('/openapi.json')],
    [200, await api.get('/businesses/1001/conversations')],
    [202, await queue({ to: newPhone() })],
    [400, await api.post('/sms/queue', '{', json)],
    [401, await anyone.get('/businesses/1001/conversations')],
    [403, await api.get('/businesses/2002/conversations')],
    [404, await api.get('/nowhere')],
    [404, await api.get('/%zz')],
    [405, await api.call('DELETE', '/health')],
    [413, await api.post('/sms/queue', { content: 'x'.repeat(2_000_000) })],
    [415, await api.post('/sms/queue', 'x', { 'content-type': 'text/plain' })],
    [422, await queue({})],
  ];
  for (const [status, answer] of answers) {
    expect(answer.status).toBe(status);
    expect(answer.headers.get('x-request-id'), String(status)).toMatch(/^[\w.:-]{1,128}$/);
    if (status >= 400) expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'));
  }
  const ids = answers.map(([, answer]) => answer.headers.get('x-request-id'));
  expect(new Set(ids).size).toBe(ids.length);
});
