import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  accountSid,
  authToken,
  basic,
  callBack,
  type FakeTwilio,
  serviceSid,
  startFakeTwilio,
} from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let twilio: FakeTwilio;
let api: Client;
const number = '+15005550006';
const whatsapp = '+15005550007';

beforeAll(async () => {
  omega = await startOmega({ carrierDeadlineMs: 400, publicUrl: 'https://omega.example' });
  twilio = await startFakeTwilio(() => omega.clock.now());
  twilio.numbers.set(number, { sid: `PN${'c3'.repeat(16)}`, sms: true, smsUrl: '' });
  twilio.pool.add(number);
  ({ api } = await omega.business({
    business_id: 2001,
    senders: [
      { channel: 'sms', address: number, provider: 'twilio' },
      { channel: 'whatsapp', address: whatsapp, provider: 'twilio' },
    ],
    providers: {
      twilio: {
        account_sid: accountSid,
        auth_token: authToken,
        messaging_service_sid: serviceSid,
        api_base_url: twilio.url,
      },
    },
  }));
});
afterAll(async () => {
  await omega.close();
  await twilio.close();
});
beforeEach(() => {
  twilio.answer = () => ({ kind: 'created' });
});
afterEach(() => {
  expect(twilio.violations).toEqual([]);
});

const messageOf = async (messageId: string) => {
  const { body } = await api.get(`/messages/${messageId}/timeline`);
  return body;
};

describe('onboarding with a Twilio account', () => {
  it('checks the account, its number and its service, and has texts posted to the public URL', async () => {
    const { body } = await api.get('/business/2001/onboarding');
    expect(body).toMatchObject({ status: 'complete' });
    const incoming = 'https://omega.example/omega/twilio/sms/incoming#rc=5&rp=ct,rt,5xx';
    expect(twilio.numbers.get(number)!.smsUrl).toBe(incoming);
    expect(twilio.service.inboundRequestUrl).toBe(incoming);
  });
});

describe('a text', () => {
  it('goes out once, from the number, through the service, and names its callback', async () => {
    const { body, status } = await api.post('/sms/queue', {
      to: '+12025550150',
      content: 'See you at 9 — Ana',
    });
    expect(status).toBe(202);
    await omega.settled();
    const posts = twilio.posts();
    const post = posts.at(-1)!;
    expect(Object.fromEntries(post.form)).toEqual({
      To: '+12025550150',
      From: number,
      MessagingServiceSid: serviceSid,
      Body: 'See you at 9 — Ana',
      StatusCallback: `https://omega.example/omega/twilio/sms/status?business_id=2001&message_id=${body.message_id}&attempt=1#rc=5&rp=ct,rt,5xx`,
      ValidityPeriod: '14400',
    });
    expect(post.authorization).toBe(basic(accountSid, authToken));
    const { message, attempts } = await messageOf(body.message_id);
    expect(message).toMatchObject({ status: 'sending', provider_message_id: twilio.messages.at(-1)!.sid });
    expect(attempts).toHaveLength(1);
  });
});
