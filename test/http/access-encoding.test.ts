import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let key: string;
beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega?.close());

async function postBytes(...parts: (string | number[])[]): Promise<Answer> {
  const response = await fetch(`${omega.url}/sms/queue`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: Buffer.concat(parts.map((part) => Buffer.from(part as string))),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

describe('a JSON body', () => {
  test.each([
    ['a lone continuation byte', [0x80]],
    ['ISO 8859-1', [0xe9]],
    ['half a character', [0xe2, 0x82]],
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
  ])('that is no UTF-8 (%s) is 400, and nothing is kept of it', async (_what, bytes) => {
    const answer = await postBytes('{"to":"+12025550123","content":"caf', bytes, '"}');
    expectProblem(answer, 400, 'invalid_encoding');
    const { db } = omega.omega.database;
    expect(await db.selectFrom('messages').selectAll().where('content', 'like', 'caf%').execute()).toEqual(
      [],
    );
  });

  test('in UTF-8 is kept to the letter, also where it holds U+FFFD itself', async () => {
    const content = 'naïve 👩‍💻 \ufffd end';
    const { status, body } = await postBytes(JSON.stringify({ to: '+12025550124', content }));
    expect(status).toBe(202);
    const { db } = omega.omega.database;
    const row = await db
      .selectFrom('messages')
      .select('content')
      .where('message_id', '=', body.message_id)
      .executeTakeFirst();
    expect(row?.content).toBe(content);
  });

  test.each(['', '{', '{"content":1,}', '{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{}}}'])(
    'that is no JSON of ours (%s) is 400',
    async (text) => {
      expectProblem(await postBytes(text), 400, 'invalid_json');
    },
  );
});

test('metadata comes back as it was given, whatever its keys hold', async () => {
  const metadata = { 'a\nb': 1, 'c\u2028d': [2], '': 3, '🙂': { 'e\r\nf': null } };
  const { status, body } = await api.post('/sms/record', {
    client_id: 501,
    to: '+12025550125',
    direction: 'outbound',
    content: 'Noted',
    metadata,
  });
  expect(status).toBe(201);
  const page = await api.get(`/businesses/1001/clients/501/conversations/${body.conversation_id}/messages`);
  expect(page.body.data[0].metadata).toEqual(metadata);
});
