import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readMailId } from '../../server/mail/ids.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';
import { type SendGridPeer, sendGridKey, startSendGrid } from '../support/sendgrid.ts';

let omega: RunningOmega;
let sendGrid: SendGridPeer;
let lotus: Client;

const plan = (businessId: number, address: string, account: Record<string, unknown> = {}) => ({
  business_id: businessId,
  staffs: [],
  locations: [],
  senders: [{ channel: 'email' as const, address, name: 'Lotus „Yoga“', provider: 'sendgrid' as const }],
  providers: { sendgrid: { api_key: sendGridKey, api_base_url: sendGrid.url, ...account } },
});

beforeAll(async () => {
  sendGrid = await startSendGrid();
  omega = await startOmega({ carrierDeadlineMs: 2_000, publicUrl: 'https://omega.example' });
  lotus = (await omega.business(plan(1001, 'hello@lotus.example'))).api;
});
afterAll(async () => {
  await omega.close();
  await sendGrid.close();
});
beforeEach(() => {
  sendGrid.taken.length = 0;
  sendGrid.requests.length = 0;
  sendGrid.answers.length = 0;
});

let count = 0;
const someone = () => `client-${++count}@example.com`;

async function send(body: object = {}, api = lotus) {
  const answer = await api.post('/email/queue', {
    to: someone(),
    subject: 'Your class',
    text: 'At 9!',
    ...body,
  });
  expect(answer.status).toBe(202);
  await omega.settled();
  return answer.body as { message_id: string; conversation_id: string };
}

const messageOf = ({ message_id }: { message_id: string }) =>
  omega.omega.database.db
    .selectFrom('messages')
    .selectAll()
    .where('message_id', '=', message_id)
    .executeTakeFirstOrThrow();

describe('a mail through SendGrid', () => {
  test('is asked for as its documentation says, with all that was given and our ids', async () => {
    const to = someone();
    const sent = await send({
      to,
      subject: 'Ваш урок 🧘',
      text: 'Bis morgen!',
      html: '<p>Bis <b>morgen</b>!</p>',
      cc: ['mum@example.com'],
      bcc: ['audit@lotus.example'],
      reply_to: 'desk@lotus.example',
      attachments: [
        { filename: 'März.ics', content_type: 'text/calendar; method=REQUEST', content: 'QkVHSU4=' },
      ],
    });
    const { mail_id, ...message } = await messageOf(sent);
    expect(sendGrid.requests).toEqual(['POST /v3/mail/send']);
    expect(sendGrid.taken).toEqual([
      {
        personalizations: [
          {
            to: [{ email: to }],
            cc: [{ email: 'mum@example.com' }],
            bcc: [{ email: 'audit@lotus.example' }],
            custom_args: { omega_message_id: sent.message_id, omega_business_id: '1001' },
          },
        ],
        from: { email: 'hello@lotus.example', name: 'Lotus „Yoga“' },
        reply_to: { email: 'desk@lotus.example' },
        subject: 'Ваш урок 🧘',
        content: [
          { type: 'text/plain', value: 'Bis morgen!' },
          { type: 'text/html', value: '<p>Bis <b>morgen</b>!</p>' },
        ],
        attachments: [
          { content: 'QkVHSU4=', filename: 'März.ics', type: 'text/calendar', disposition: 'attachment' },
        ],
        headers: { 'Message-ID': `<${mail_id}>` },
      },
    ]);
    expect(readMailId(mail_id!, testSecrets)).toEqual({ messageId: sent.message_id });
    expect(message).toMatchObject({ status: 'sending', provider_message_id: 'Ua9z9lSTSaqYBWJe_1' });
  });

  test('has the button of RFC 8058 when it is marketing', async () => {
    await send({ category: 'marketing' });
    expect(sendGrid.taken[0]!.headers).toMatchObject({
      'List-Unsubscribe': expect.stringMatching(
        /^<https:\/\/omega\.example\/omega\/email\/unsubscribe\/[\w-]+>$/,
      ),
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    });
  });
});

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const errors = (message: string, field: string | null = null) => ({
  errors: [{ message, field, help: null }],
});

describe('what SendGrid answers', () => {
  test.each([
    [400, errors('The subject is required.', 'subject'), 'invalid_request'],
    [403, errors('access forbidden'), 'account_config'],
    [403, errors('The from address does not match a verified Sender Identity.', 'from'), 'sender_config'],
    [413, errors('content too large'), 'invalid_request'],
    [302, {}, 'account_config'],
  ])('%i %j is failed: %s', async (status, body, reason) => {
    sendGrid.answers.push(json(status, body, { location: 'http://127.0.0.1:9/elsewhere' }));
    const sent = await send();
    expect(await messageOf(sent)).toMatchObject({ status: 'failed', reason, attempts: 1 });
    expect(sendGrid.requests).toHaveLength(1);
  });

  test('a key that is repeated in the answer is not kept', async () => {
    sendGrid.answers.push(json(400, errors(`Bad request: authorization: Bearer ${sendGridKey}`)));
    const { error_message } = await messageOf(await send());
    expect(error_message).toContain('authorization: Bearer [hidden]');
  });

  test('429 waits as long as it is told to, and sends then', async () => {
    sendGrid.answers.push(json(429, errors('too many requests'), { 'retry-after': '600' }));
    const sent = await send();
    await omega.tick(599_000);
    expect(await messageOf(sent)).toMatchObject({ status: 'sending', attempts: 1 });
    await omega.tick(20 * 60_000);
    expect(await messageOf(sent)).toMatchObject({ status: 'sending', attempts: 2, error_code: null });
    expect(sendGrid.taken).toHaveLength(1);
  });

  test.each<[string, (response: ServerResponse) => unknown]>([
    ['500', json(500, errors('internal server error'))],
    [
      '503 in HTML',
      (response) => response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>503</h1>'),
    ],
    ['200, which is none of its answers', json(200, { ok: true })],
    ['a reset', (response) => response.socket!.resetAndDestroy()],
    ['nothing', () => {}],
    ['half a header', (response) => response.socket!.end('HTTP/1.1 2')],
  ])('%s: nobody knows, it is shown, and never sent again by itself', async (_, answer) => {
    sendGrid.answers.push((response) => answer(response));
    const sent = await send();
    for (const delayS of [2, 10, 30, 60, 300, 900]) await omega.tick((delayS + 1) * 1000);
    expect(await messageOf(sent)).toMatchObject({ status: 'failed', reason: 'no_answer', attempts: 1 });
    expect(sendGrid.requests.filter((request) => request.startsWith('POST'))).toHaveLength(1);
  });

  test.each<[string, (response: ServerResponse) => unknown]>([
    ['10 MB', (response) => response.writeHead(202, { 'x-message-id': 'big' }).end('x'.repeat(10_000_000))],
    [
      'one byte at a time',
      (response) => {
        response.writeHead(202, { 'x-message-id': 'slow' });
        const drip = setInterval(() => response.write('.'), 100);
        response.on('close', () => clearInterval(drip));
      },
    ],
  ])('202 with %s behind it is taken: the status is the answer', async (_, answer) => {
    sendGrid.answers.push((response) => answer(response));
    expect(await messageOf(await send())).toMatchObject({
      status: 'sending',
      provider_message_id: expect.stringMatching(/^big|slow$/),
    });
  });

  test('401 is failed, and what comes behind waits until the key is taken again', async () => {
    sendGrid.answers.push(
      json(401, errors('The provided authorization grant is invalid, expired, or revoked')),
    );
    expect(await messageOf(await send())).toMatchObject({ status: 'failed', reason: 'account_config' });
    const waiting = await send();
    expect(await messageOf(waiting)).toMatchObject({ status: 'queued', attempts: 0 });
    expect(sendGrid.taken).toHaveLength(0);
    for (const minutes of [1, 5, 5]) await omega.tick(minutes * 60_000);
    expect(await messageOf(waiting)).toMatchObject({ status: 'sending', attempts: 1 });
    expect(sendGrid.taken).toHaveLength(1);
  });

  test('a mail that had no answer is found by our id, where the business has Email Activity', async () => {
    sendGrid.answers.push((response) => response.socket!.resetAndDestroy());
    sendGrid.answers.push(
      json(200, { messages: [{ msg_id: 'Ua9z9lSTSaqYBWJe_Xfc-Q.recvd-1.0', status: 'processed' }] }),
    );
    const sent = await send();
    await omega.tick(3_000);
    expect(await messageOf(sent)).toMatchObject({
      status: 'sending',
      provider_message_id: 'Ua9z9lSTSaqYBWJe_Xfc-Q',
    });
    const query = new URL(sendGrid.requests.at(-1)!.split(' ')[1]!, sendGrid.url).searchParams.get('query');
    expect(query).toBe(`unique_args['omega_message_id']="${sent.message_id}"`);
  });

  test('nobody there: it has not got the mail, which is sent when it is back', async () => {
    const gone = await startSendGrid();
    const { api } = await omega.business(plan(1005, 'hello@gone.lotus.example', { api_base_url: gone.url }));
    await gone.close();
    const sent = await send({}, api);
    expect(await messageOf(sent)).toMatchObject({ status: 'sending', attempts: 1 });
    await omega.platform.post('/business/onboard', {
      ...plan(1005, 'hello@gone.lotus.example'),
      name: 'L',
      country: 'US',
      time_zone: 'America/New_York',
    });
    await omega.tick(60_000);
    expect(await messageOf(sent)).toMatchObject({ status: 'sending', attempts: 2 });
    expect(sendGrid.taken).toHaveLength(1);
  });
});

describe('the onboarding checks', () => {
  const failed = async (businessId: number, api: Client) => {
    const { body } = await api.get(`/business/${businessId}/onboarding`);
    return body.steps.find((step: { status: string }) => step.status === 'failed');
  };

  test('the key, what it may do, and whether SendGrid knows the sender', async () => {
    expect(await failed(1001, lotus)).toBeUndefined();
    const single = await omega.business(plan(1002, 'single@other.example'));
    expect(await failed(1002, single.api)).toBeUndefined();
    const stranger = await omega.business(plan(1003, 'hello@stranger.example'));
    expect(await failed(1003, stranger.api)).toMatchObject({
      error: 'hello@stranger.example: SendGrid does not know it as a sender.',
      remedy: expect.stringContaining('Sender Authentication'),
    });
    const wrong = await omega.business(plan(1004, 'hello@lotus.example', { api_key: 'SG.wrong' }));
    expect(await failed(1004, wrong.api)).toMatchObject({
      error: 'SendGrid refuses the API key.',
      remedy: expect.stringContaining('Mail Send: Full Access'),
    });
    sendGrid.answers.push(json(200, { scopes: ['stats.read'] }));
    const limited = await omega.business(plan(1006, 'hello@lotus.example'));
    expect(await failed(1006, limited.api)).toMatchObject({
      error: expect.stringContaining('may not send mail'),
    });
  });
});
