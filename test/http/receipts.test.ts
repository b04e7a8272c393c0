import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { accountSid, authToken, postAsTwilio, publicUrl, signed } from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messagesOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;
const number = '+14155550100';
const rightToken = 'the token that the account has by now';

const onboard = (auth_token: string) =>
  omega.platform.post('/business/onboard', {
    business_id: 1001,
    name: 'Lotus Yoga',
    country: 'US',
    time_zone: 'America/New_York',
    senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
    providers: { twilio: { account_sid: accountSid, auth_token } },
  });

beforeAll(async () => {
  omega = await startOmega({ publicUrl, worker: false });
  const { body } = await onboard(authToken);
  api = omega.as(body.api_key);
});
afterAll(() => omega.close());

let made = 0;
/** A text of a client, as Twilio posts it. */
const text = (from: string, content: string) => {
  const sid = `SM${String(made++).padStart(32, '0')}`;
  return { MessageSid: sid, AccountSid: accountSid, From: from, To: number, Body: content, NumMedia: '0' };
};
const receipts = async (query: string) => (await omega.platform.get(`/webhook-receipts?${query}`)).body.data;

test('listWebhookReceipts, getWebhookReceipt: what is believed is kept as it came, its bytes and headers', async () => {
  const params = text('+12025550101', 'Sí, a las 10 👍');
  expect((await postAsTwilio(omega, '/twilio/sms/incoming', params)).status).toBe(200);
  const [head] = await receipts('business_id=1001&limit=1');
  expect(head).toMatchObject({
    source: 'twilio.sms.incoming',
    provider: 'twilio',
    business_id: 1001,
    state: 'applied',
    url: `${publicUrl}/omega/twilio/sms/incoming`,
    times: 1,
  });
  const { body } = await omega.platform.get(`/webhook-receipts/${head.receipt_id}`);
  expect(Object.fromEntries(new URLSearchParams(body.body))).toEqual(params);
  expect(Buffer.from(body.body_base64, 'base64').toString()).toBe(body.body);
  expect(body.size).toBe(Buffer.byteLength(body.body));
  expect(body.headers['x-twilio-signature']).toBe(signed(`${publicUrl}/omega/twilio/sms/incoming`, params));
});

describe('replayWebhookReceipt', () => {
  test('what was refused for its signature has had no effect, and has it once the credential is mended', async () => {
    const params = text('+12025550102', 'Can I move to 10?');
    const path = '/twilio/sms/incoming';
    for (let i = 0; i < 3; i++)
      expect((await postAsTwilio(omega, path, params, { token: rightToken })).status).toBe(403);
    expect((await api.get('/businesses/1001/conversations?client=%2B12025550102')).body.data).toEqual([]);
    const quarantined = await receipts('state=quarantined');
    // Three times the same is one receipt: nobody fills the database with one request.
    expect(quarantined).toHaveLength(1);
    expect(quarantined[0]).toMatchObject({ times: 3, note: expect.stringMatching(/token/) });
    const { receipt_id } = quarantined[0];

    const replay = () => omega.platform.post(`/webhook-receipts/${receipt_id}/replay`);
    expect((await replay()).body).toMatchObject({ state: 'quarantined' });
    expect((await onboard(rightToken)).status).toBe(202);
    expect((await replay()).body).toEqual({ receipt_id, state: 'applied', note: null });
    // And again: what was applied is not applied twice.
    expect((await replay()).body).toMatchObject({ state: 'applied' });
    const row = (await api.get('/businesses/1001/conversations?client=%2B12025550102')).body.data[0];
    expect(row).toMatchObject({ unread_count: 1, last_message: { preview: 'Can I move to 10?' } });
    expect((await messagesOf(api, 1001, { ...row, client_id: row.client.client_id })).length).toBe(1);
    expect(await receipts('state=quarantined')).toEqual([]);
    await onboard(authToken);
  });

  test('a receipt that is not there is 404', async () => {
    const nobodys = '0198c2a4-0000-7000-8000-00000000face';
    expectProblem(await omega.platform.get(`/webhook-receipts/${nobodys}`), 404, 'not_found');
    expectProblem(await omega.platform.post(`/webhook-receipts/${nobodys}/replay`), 404, 'not_found');
  });
});

test('bytes that are no form, no UTF-8, and no known content type are kept as they are', async () => {
  const bytes = Buffer.from([0xff, 0x00, 0xfe, 0x26, 0x3d, 0x0a]);
  for (const type of ['nonsense', 'application/x-www-form-urlencoded', undefined]) {
    const answer = await fetch(`${omega.url}/twilio/sms/status`, {
      method: 'POST',
      headers: { ...(type && { 'content-type': type }), 'x-twilio-signature': `of ${type}` },
      body: bytes,
    });
    expect(answer.status).toBe(403);
    const [{ receipt_id }] = await receipts('limit=1');
    const { body } = await omega.platform.get(`/webhook-receipts/${receipt_id}`);
    expect(body.body).toBeNull();
    expect(body.body_base64).toBe(bytes.toString('base64'));
  }
});

test('a password in a header is kept for replays, sealed, and never shown', async () => {
  const password = 'the-password-of-a-webhook';
  const authorization = `Basic ${Buffer.from(`hook:${password}`).toString('base64')}`;
  const answer = await fetch(`${omega.url}/email/webhooks/postmark`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: '{"RecordType":"Delivery"}',
  });
  expect(answer.status).toBe(403);
  const [{ receipt_id }] = await receipts('limit=1');
  const { body } = await omega.platform.get(`/webhook-receipts/${receipt_id}`);
  expect(body.headers.authorization).toBe('[hidden]');
  const { rows } = await sql<{ row: string }>`
    select to_jsonb(r)::text as row from webhook_receipts r where receipt_id = ${receipt_id}::uuid`.execute(
    omega.omega.database.db,
  );
  expect(rows[0]!.row).not.toContain(authorization.slice(6));
});

test('erasing a client takes away what their carrier posted of them', async () => {
  await postAsTwilio(omega, '/twilio/sms/incoming', text('+12025550103', 'My secret is 42'));
  const [{ receipt_id }] = await receipts('limit=1');
  const row = (await api.get('/businesses/1001/conversations?client=%2B12025550103')).body.data[0];
  expect((await api.call('DELETE', `/businesses/1001/clients/${row.client.client_id}`)).status).toBe(200);
  expectProblem(await omega.platform.get(`/webhook-receipts/${receipt_id}`), 404, 'not_found');
});
