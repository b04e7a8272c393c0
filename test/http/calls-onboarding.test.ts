import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountSid, authToken, type FakeTwilio, startFakeTwilio } from '../support/fake-twilio.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let twilio: FakeTwilio;
const number = '+12125550100';
const numberSid = `PN${'c3'.repeat(16)}`;
const twiml_app_sid = `AP${'d4'.repeat(16)}`;

beforeAll(async () => {
  omega = await startOmega({ publicUrl: 'https://omega.example' });
  twilio = await startFakeTwilio(() => omega.clock.now());
  twilio.apps.add(twiml_app_sid);
  // Its calls go to another app until then.
  const voiceApp = `AP${'a7'.repeat(16)}`;
  twilio.numbers.set(number, { sid: numberSid, sms: true, voiceApp, smsUrl: '' });
});
afterAll(async () => {
  await omega.close();
  await twilio.close();
});

/** Onboards a business that calls, and tells how its steps with Twilio went. */
async function onboard(businessId: number, address: string, more: object = {}) {
  twilio.asked.length = 0;
  await omega.business({
    business_id: businessId,
    senders: [{ channel: 'voice', address, provider: 'twilio' }],
    providers: {
      twilio: {
        account_sid: accountSid,
        auth_token: authToken,
        api_key_sid: `SK${'e5'.repeat(16)}`,
        api_key_secret: 'secret',
        twiml_app_sid,
        api_base_url: twilio.url,
        ...more,
      },
    },
  });
  const { body } = await omega.platform.get(`/business/${businessId}/onboarding`);
  // What Prism found wrong in a request of ours, by Twilio's own OpenAPI.
  expect(await twilio.violations()).toEqual([]);
  return body.steps.filter(({ name }: { name: string }) => /webhooks|test/.test(name));
}

test('onboarding sets where the number and the TwiML App are answered, by requests that Twilio’s OpenAPI allows', async () => {
  expect(await onboard(1001, number)).toMatchObject([{ status: 'done' }, { status: 'done' }]);
  const urls = {
    VoiceUrl: 'https://omega.example/omega/voice-calls/twiml#rc=1&rp=ct,rt,5xx',
    VoiceMethod: 'POST',
    StatusCallback: 'https://omega.example/omega/twilio/voice/status#rc=5&rp=ct,rt,5xx',
    StatusCallbackMethod: 'POST',
  };
  const set = twilio.asked
    .filter(({ method }) => method === 'POST')
    .map(({ path, form }) => [
      path.replace(`/2010-04-01/Accounts/${accountSid}`, ''),
      Object.fromEntries(form),
    ]);
  expect(set).toEqual([
    [`/IncomingPhoneNumbers/${numberSid}.json`, { ...urls, VoiceApplicationSid: twiml_app_sid }],
    [`/Applications/${twiml_app_sid}.json`, urls],
  ]);
});

test.each([
  ['a number of another account', '+12125550111', {}, /\+12125550111: is no number/, /Active numbers/],
  [
    'a TwiML App that is not there',
    number,
    { twiml_app_sid: `AP${'0'.repeat(32)}` },
    /no TwiML App/,
    /TwiML apps/,
  ],
  ['a number that cannot call', '+12125550122', {}, /cannot call/, /Voice capability/],
  [
    'another app’s number',
    number,
    { twiml_app_sid: undefined },
    /answered by the TwiML App/,
    /choose Webhook/,
  ],
])('%s is told with its remedy', async (_, address, more, error, remedy) => {
  twilio.numbers.set('+12125550122', { sid: `PN${'f6'.repeat(16)}`, sms: true, voice: false, smsUrl: '' });
  const steps = await onboard(1002, address, more);
  expect(steps.find(({ status }: { status: string }) => status === 'failed')).toMatchObject({
    error: expect.stringMatching(error),
    remedy: expect.stringMatching(remedy),
  });
});
