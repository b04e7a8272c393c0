import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { providerRows } from '../../server/channels/reasons.data.ts';
import { explain } from '../../server/channels/reasons.ts';
import {
  type Answer,
  accountSid,
  authToken,
  callBack,
  type FakeTwilio,
  publicUrl,
  startFakeTwilio,
} from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

/** Nothing that Twilio's server says or does may take the worker down, or a text to a client twice. */
let omega: RunningOmega;
let twilio: FakeTwilio;
const number = '+15005550006';
/** What the first post to a number is answered; every other is accepted. */
const firstAnswer = new Map<string, Answer>();

const twilioCodes = providerRows
  .filter(({ provider }) => provider === 'twilio')
  .flatMap(({ codes }) => codes);
const pausing = twilioCodes.filter((code) => explain('twilio', code).effect === 'pause_account');

beforeAll(async () => {
  omega = await startOmega({ carrierDeadlineMs: 4_000, publicUrl });
  twilio = await startFakeTwilio(() => omega.clock.now());
  twilio.numbers.set(number, { sid: `PN${'c3'.repeat(16)}`, sms: true, smsUrl: '' });
  twilio.answer = (form) => {
    const to = form.get('To')!;
    const answer = firstAnswer.get(to);
    firstAnswer.delete(to);
    return answer ?? { kind: 'created' };
  };
});
afterAll(async () => {
  await omega.close();
  await twilio.close();
});

/** Onboards a business, or gives it its credentials anew. */
async function businessWith(businessId: number, baseUrl = twilio.url): Promise<Client> {
  const { api, key } = await omega.business({
    business_id: businessId,
    senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
    providers: { twilio: { account_sid: accountSid, auth_token: authToken, api_base_url: baseUrl } },
  });
  if (key !== undefined) clients.set(businessId, api);
  return clients.get(businessId)!;
}
const clients = new Map<number, Client>();

const html = '<!doctype html><title>Bad Gateway</title>';

let last = 0;
const newNumber = () => `+1303555${String(last++).padStart(4, '0')}`;

async function queue(api: Client, to: string): Promise<string> {
  const { status, body } = await api.post('/sms/queue', { to, content: 'See you at 9' });
  expect(status).toBe(202);
  return body.message_id;
}

async function messagesOf(businessId: number) {
  const rows = await omega.omega.database.db
    .selectFrom('messages')
    .select(['message_id', 'to_address', 'status', 'reason', 'error_code', 'attempts', 'provider_message_id'])
    .where('business_id', '=', businessId)
    .execute();
  return new Map(rows.map((row) => [row.to_address!, row]));
}

const acceptedTo = (to: string) => twilio.messages.filter((message) => message.to === to).length;
const postsTo = (to: string) => twilio.posts().filter(({ form }) => form.get('To') === to).length;
/** Long enough for the second attempt by every policy. */
async function hoursLater() {
  for (const seconds of [2, 10, 30, 60, 300, 900, 7_200]) await omega.tick(seconds * 1000);
}

// Many at once: what takes seconds takes a minute where everything else runs beside it.
const patient = { timeout: 120_000 };

it('each code of the table, as the answer to a send, ends where the table says', patient, async () => {
  const api = await businessWith(3001);
  const to = new Map(
    twilioCodes.filter((code) => !pausing.includes(code)).map((code) => [code, newNumber()]),
  );
  to.set('99999', newNumber());
  for (const [code, address] of to) {
    const status = code === '20429' ? 429 : 400;
    firstAnswer.set(address, { kind: 'refused', status, code: Number(code), message: `No: ${code}` });
  }
  await Promise.all([...to.values()].map((address) => queue(api, address)));
  await omega.settled();
  await hoursLater();
  const messages = await messagesOf(3001);
  for (const [code, address] of to) {
    const { reason, retryable } = explain('twilio', code);
    const posts = postsTo(address);
    expect({ code, ...messages.get(address), posts }).toMatchObject(
      retryable
        ? { code, status: 'sending', posts: 2, attempts: 2 }
        : { code, status: 'failed', reason, error_code: code, posts: 1 },
    );
    expect(acceptedTo(address), code).toBe(retryable ? 1 : 0);
  }
  // What the code says of consent holds from now on.
  const { body } = await api.post('/sms/queue', { to: to.get('21610'), content: 'Hi' });
  expect(body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
});

it('each code of the table, told later by a callback, says what the table says', patient, async () => {
  const api = await businessWith(3002);
  const to = new Map(twilioCodes.map((code) => [code, newNumber()]));
  await Promise.all([...to.values()].map((address) => queue(api, address)));
  await omega.settled();
  for (const [code, address] of to) {
    const message = twilio.messages.find((one) => one.to === address)!;
    await callBack(omega, message, 'undelivered', { ErrorCode: code });
  }
  const messages = await messagesOf(3002);
  for (const [code, address] of to) {
    const { reason } = explain('twilio', code);
    expect(messages.get(address)).toMatchObject({ status: 'undelivered', reason, error_code: code });
  }
});

it.each(pausing)('code %s fails its message and pauses the account', async (code) => {
  const api = await businessWith(3003);
  const to = newNumber();
  firstAnswer.set(to, { kind: 'refused', status: 403, code: Number(code) });
  await queue(api, to);
  await omega.settled();
  expect((await messagesOf(3003)).get(to)).toMatchObject({ status: 'failed', error_code: code });
  const waits = newNumber();
  await queue(api, waits);
  await omega.settled();
  expect(postsTo(waits)).toBe(0);
});

it.each([401, 403])('a %i without a code does so too', async (status) => {
  const api = await businessWith(3003);
  const [to, waits] = [newNumber(), newNumber()];
  firstAnswer.set(to, { kind: 'raw', status, type: 'text/html', body: html });
  await queue(api, to);
  await omega.settled();
  const message = (await messagesOf(3003)).get(to);
  expect(message).toMatchObject({ status: 'failed', reason: 'account_config', error_code: null });
  await queue(api, waits);
  await omega.settled();
  expect(postsTo(waits)).toBe(0);
});

const nonsense: Record<string, Answer> = {
  'HTML with 200': { kind: 'raw', status: 200, type: 'text/html', body: html },
  'HTML with 502': { kind: 'raw', status: 502, type: 'text/html', body: html },
  'a 500 with a code': { kind: 'refused', status: 500, code: 20500 },
  'a 503': { kind: 'refused', status: 503, code: 20503, retryAfter: '1' },
  'a 408': { kind: 'raw', status: 408, type: 'text/plain', body: '' },
  'a redirect': { kind: 'raw', status: 302, type: 'text/plain', body: 'elsewhere' },
  'half a JSON': { kind: 'raw', status: 201, type: 'application/json', body: '{"sid":"SM0123' },
  'a JSON cut off': { kind: 'cut' },
  'another JSON': { kind: 'raw', status: 201, type: 'application/json', body: '[1,2]' },
  'wrong types': { kind: 'raw', status: 201, type: 'application/json', body: '{"sid":7,"status":{}}' },
  'an empty body': { kind: 'raw', status: 201, type: 'application/json', body: '' },
  null: { kind: 'raw', status: 201, type: 'application/json', body: 'null' },
  '10 MB': { kind: 'bytes', count: 10 * 1024 * 1024 },
  nothing: { kind: 'nothing' },
  'a byte now and then': { kind: 'drip', everyMs: 50 },
  'a reset': { kind: 'reset' },
};

it(
  'nonsense is an outcome that is not known: found where Twilio has it, sent again where not, never both',
  patient,
  async () => {
    const api = await businessWith(3004);
    const cases = Object.entries(nonsense).flatMap(([what, answer]) =>
      [true, false].map((accepted) => ({ what, accepted, to: newNumber(), answer })),
    );
    for (const { to, answer, accepted } of cases) firstAnswer.set(to, { ...answer, accepted });
    await Promise.all(cases.map(({ to }) => queue(api, to)));
    await omega.settled();
    await hoursLater();
    const messages = await messagesOf(3004);
    for (const { what, accepted, to } of cases) {
      const { status, provider_message_id } = messages.get(to)!;
      const [message, ...more] = twilio.messages.filter((one) => one.to === to);
      expect({ what, accepted, status, sid: provider_message_id, more, posts: postsTo(to) }).toEqual({
        what,
        accepted,
        status: 'sending',
        sid: message!.sid,
        more: [],
        posts: accepted ? 1 : 2,
      });
    }
  },
);

it('a server that is not reached has nothing: the text waits, and goes when it is back', async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  const api = await businessWith(3005, `http://127.0.0.1:${port}`);
  const to = newNumber();
  const id = await queue(api, to);
  await omega.settled();
  const { body } = await api.get(`/messages/${id}/timeline`);
  expect(body.message.status).toBe('sending');
  expect(body.attempts[0]).toMatchObject({ state: 'refused', error_code: null });
  expect(body.attempts[0].error_message).toContain('not reached');
  await businessWith(3005);
  await hoursLater();
  expect((await messagesOf(3005)).get(to)).toMatchObject({ status: 'sending', reason: null });
  expect(acceptedTo(to)).toBe(1);
});

describe('after all that', () => {
  it('the worker lives', async () => {
    const api = await businessWith(3006);
    const to = newNumber();
    await queue(api, to);
    await omega.settled();
    expect(acceptedTo(to)).toBe(1);
  });

  it("no text was accepted twice, by the log of Twilio's server", () => {
    const ids = twilio.messages.map(({ statusCallback }) =>
      new URL(statusCallback!).searchParams.get('message_id'),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(150);
  });

  it("each request was as Twilio's OpenAPI has it, by Prism, which tells one that is not", async () => {
    expect(await twilio.violations()).toEqual([]);
    await fetch(`${twilio.url}/2010-04-01/Accounts/${accountSid}/Messages.json`, {
      method: 'POST',
      headers: { authorization: 'Basic x', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'To=%2B12025550100&ValidityPeriod=soon',
    });
    expect(await twilio.violations()).toHaveLength(1);
  });
});
