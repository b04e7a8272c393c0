import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { askCarriers } from '../../server/businesses/index.ts';
import { createTwilio } from '../../server/twilio/index.ts';
import { statusOf as wordOf } from '../../server/twilio/outcome.ts';
import {
  accountSid,
  authToken,
  basic,
  callBack,
  type FakeTwilio,
  publicUrl,
  serviceSid,
  startFakeTwilio,
} from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

const vectors: {
  our_ordering_cases: { arrive: string[]; final: string; events_recorded?: number }[];
  message_statuses: string[];
} = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'twilio_webhook_params.json'), 'utf8'),
);
let omega: RunningOmega;
let twilio: FakeTwilio;
let api: Client;
const number = '+15005550006';
const whatsapp = '+15005550007';
const senders = [
  { channel: 'sms' as const, address: number, provider: 'twilio' as const },
  { channel: 'whatsapp' as const, address: whatsapp, provider: 'twilio' as const },
];

beforeAll(async () => {
  omega = await startOmega({ carrierDeadlineMs: 2_000, publicUrl });
  twilio = await startFakeTwilio(() => omega.clock.now());
  twilio.numbers.set(number, { sid: `PN${'c3'.repeat(16)}`, sms: true, smsUrl: '' });
  twilio.pool.add(number);
  ({ api } = await omega.business({
    business_id: 2001,
    senders,
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
afterEach(async () => {
  expect(await twilio.violations()).toEqual([]);
});

let last = 100;
/** Queues a text to a number of its own, and has it handed over. */
async function text(more: Record<string, unknown> = {}): Promise<{ id: string; to: string }> {
  const to = `+12025550${last++}`;
  const { body, status } = await api.post('/sms/queue', { to, content: 'See you at 9', ...more });
  expect(status).toBe(202);
  await omega.settled();
  return { id: body.message_id, to };
}

/** Until Omega has asked Twilio's list as often as it does. */
const untilAskedOut = async () => {
  for (const seconds of [2, 10, 30, 60, 300, 900]) await omega.tick(seconds * 1000);
};

const timeline = async (id: string) => (await api.get(`/messages/${id}/timeline`)).body;
const statusOf = async (id: string) => (await timeline(id)).message.status;
const postsTo = (to: string) => twilio.posts().filter(({ form }) => form.get('To') === to);
const sentTo = (to: string) => twilio.messages.find((message) => message.to === to)!;

describe('onboarding with a Twilio account', () => {
  const onboard = (business_id: number, more: Record<string, unknown>, sender = number) =>
    omega.platform.post('/business/onboard', {
      business_id,
      name: 'Lotus Yoga',
      country: 'US',
      time_zone: 'America/New_York',
      senders: [{ channel: 'sms', address: sender, provider: 'twilio' }],
      providers: {
        twilio: { account_sid: accountSid, auth_token: authToken, api_base_url: twilio.url, ...more },
      },
    });
  const failedStep = async (businessId: number) => {
    await omega.settled();
    const { body } = await omega.platform.get(`/business/${businessId}/onboarding`);
    return body.steps.find((step: { status: string }) => step.status === 'failed');
  };

  it('checks the account, its number and its service, and has texts posted to the public URL', async () => {
    const { body } = await api.get('/business/2001/onboarding');
    expect(body).toMatchObject({ status: 'complete' });
    const incoming = 'https://omega.example/omega/twilio/sms/incoming#rc=5&rp=ct,rt,5xx';
    expect(twilio.numbers.get(number)!.smsUrl).toBe(incoming);
    expect(twilio.service.inboundRequestUrl).toBe(incoming);
  });

  it.each([
    ['a wrong token', { auth_token: 'wrong' }, number, 'refuses the auth token', 'Account Dashboard'],
    ['a number of somebody else', {}, '+15005550055', '+15005550055: is no number of this', 'Active numbers'],
    ['a number that cannot text', {}, '+15005550056', '+15005550056: cannot text', 'SMS capability'],
    [
      'a number outside of the pool',
      { messaging_service_sid: serviceSid },
      '+15005550057',
      'not in the sender pool',
      'Sender Pool',
    ],
    [
      'no such messaging service',
      { messaging_service_sid: `MG${'d4'.repeat(16)}` },
      number,
      'no messaging service MGd4',
      'Messaging, Services',
    ],
  ])('says what is wrong, and what to do: %s', async (what, more, sender, error, remedy) => {
    twilio.numbers.set('+15005550056', { sid: `PN${'c4'.repeat(16)}`, sms: false, smsUrl: '' });
    twilio.numbers.set('+15005550057', { sid: `PN${'c5'.repeat(16)}`, sms: true, smsUrl: '' });
    const businessId = 2100 + what.length;
    await onboard(businessId, more, sender);
    const step = await failedStep(businessId);
    expect(step.error).toContain(error);
    expect(step.remedy).toContain(remedy);
  });

  it('notices in every later check where Twilio calls back at another place, until it is onboarded again', async () => {
    const [pooled, alone, appSid] = ['+15005550058', '+15005550059', `AP${'d6'.repeat(16)}`];
    twilio.numbers.set(pooled, { sid: `PN${'c6'.repeat(16)}`, sms: true, smsUrl: '' });
    twilio.numbers.set(alone, { sid: `PN${'c7'.repeat(16)}`, sms: true, smsUrl: '' });
    twilio.pool.add(pooled).add(alone);
    twilio.apps.add(appSid);
    const again = () =>
      omega.business({
        business_id: 2200,
        senders: [
          { channel: 'sms', address: pooled, provider: 'twilio' },
          { channel: 'voice', address: pooled, provider: 'twilio' },
          { channel: 'voice', address: alone, provider: 'twilio' },
        ],
        providers: {
          twilio: {
            account_sid: accountSid,
            auth_token: authToken,
            api_key_sid: `SK${'e5'.repeat(16)}`,
            api_key_secret: 'secret',
            messaging_service_sid: serviceSid,
            twiml_app_sid: appSid,
            api_base_url: twilio.url,
          },
        },
      });
    const { db } = omega.omega.database;
    const { secrets } = omega.omega;
    const apiUrl = 'https://omega.example/omega';
    const carriers = new Map([['twilio', createTwilio({ db, clock: omega.clock, apiUrl })]]);
    const problems = async () => {
      const checks = await askCarriers({ db, secrets, carriers, apiUrl }, 2200, 'check');
      const found = checks.flatMap((check) => check.problems);
      for (const { remedy } of found) expect(remedy).toContain('post the onboarding again');
      return found.map(({ about, error }) => `${about}: ${error}`);
    };
    const elsewhere = 'https://elsewhere.example/hook';
    await again();
    expect(await problems()).toEqual([]);

    // By hand, without the fragment, it is ours all the same.
    twilio.service.inboundRequestUrl = `${apiUrl}/twilio/sms/incoming`;
    // Its service speaks for it, so what stands at the number is not called.
    twilio.numbers.get(pooled)!.smsUrl = elsewhere;
    expect(await problems()).toEqual([]);
    twilio.service.useInboundWebhookOnNumber = true;
    expect(await problems()).toEqual([
      expect.stringContaining(`${pooled}: A text is posted to POST ${elsewhere}`),
    ]);
    twilio.numbers.get(pooled)!.smsApp = appSid;
    expect(await problems()).toEqual([`${pooled}: has its texts answered by the TwiML App ${appSid}.`]);
    // Twilio's OpenAPI does not have the empty value that clears it, so it is cleared here and not by us.
    twilio.numbers.get(pooled)!.smsApp = undefined;
    twilio.service = { inboundRequestUrl: null };
    expect(await problems()).toEqual([expect.stringContaining(`${serviceSid} is posted to nowhere`)]);
    await again();
    expect(await problems()).toEqual([]);

    const otherApp = `AP${'d7'.repeat(16)}`;
    Object.assign(twilio.numbers.get(pooled)!, { voiceUrl: elsewhere, statusCallback: '' });
    twilio.numbers.get(alone)!.voiceApp = otherApp;
    twilio.appCalls.get(appSid)!.voiceUrl = elsewhere;
    expect(await problems()).toEqual([
      expect.stringContaining(`${pooled}: A call is posted to POST ${elsewhere}`),
      expect.stringContaining(`${pooled}: The status of a call is posted to nowhere`),
      `${alone}: has its calls answered by the TwiML App ${otherApp}.`,
      expect.stringContaining(`null: A call through the TwiML App ${appSid} is posted to POST ${elsewhere}`),
    ]);
    await again();
    expect(await problems()).toEqual([]);
  });
});

describe('a text', () => {
  it('goes out once, from the number, through the service, and names its callback', async () => {
    const { id, to } = await text({ content: 'See you at 9 — Ana' });
    const [post, ...more] = postsTo(to);
    expect(more).toEqual([]);
    expect(Object.fromEntries(post!.form)).toEqual({
      To: to,
      From: number,
      MessagingServiceSid: serviceSid,
      Body: 'See you at 9 — Ana',
      StatusCallback: `https://omega.example/omega/twilio/sms/status?business_id=2001&message_id=${id}&attempt=1#rc=5&rp=ct,rt,5xx`,
      ValidityPeriod: '14400',
    });
    expect(post!.authorization).toBe(basic(accountSid, authToken));
    const { message, attempts } = await timeline(id);
    expect(message).toMatchObject({ status: 'sending', provider_message_id: sentTo(to).sid });
    expect(attempts).toHaveLength(1);
  });

  it('keeps no secret that a proxy on the way repeats in its answer', async () => {
    const proof = basic(accountSid, authToken);
    const echo = `Bad request: authorization: ${proof} (${authToken})`;
    for (const status of [400, 502]) {
      twilio.answer = () => ({
        kind: 'raw',
        status,
        type: 'application/json',
        body: JSON.stringify({ message: echo }),
      });
      const { id } = await text();
      const told = JSON.stringify([
        await timeline(id),
        (await api.get('/businesses/2001/changes?from=oldest&limit=100')).body,
      ]);
      expect(told).not.toContain(authToken);
      expect(told).not.toContain(proof.replace('Basic ', ''));
      expect(told).toContain('authorization: Basic [hidden] ([hidden])');
    }
  });

  it('with pictures is an MMS', async () => {
    const media = ['https://lotus.example/map.png', 'https://lotus.example/a.jpg'];
    const { to } = await text({ media_urls: media });
    expect(postsTo(to)[0]!.form.getAll('MediaUrl')).toEqual(media);
  });

  it('by WhatsApp goes to the WhatsApp address, from the WhatsApp sender', async () => {
    const { to } = await text({ channel: 'whatsapp' });
    const { form } = postsTo(`whatsapp:${to}`)[0]!;
    expect(form.get('From')).toBe(`whatsapp:${whatsapp}`);
    expect(form.has('MessagingServiceSid')).toBe(false);
  });

  it('with an API key goes out with that, and never with the token', async () => {
    const key = { api_key_sid: `SK${'e5'.repeat(16)}`, api_key_secret: 'its secret' };
    const { api: keyed } = await omega.business({
      business_id: 2002,
      senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
      providers: {
        twilio: { account_sid: accountSid, auth_token: authToken, api_base_url: `${twilio.url}/`, ...key },
      },
    });
    await keyed.post('/sms/queue', { to: '+12025550099', content: 'Hi' });
    await omega.settled();
    expect(postsTo('+12025550099')[0]!.authorization).toBe(basic(key.api_key_sid, key.api_key_secret));
  });
});

describe('what Twilio tells of a text', () => {
  it.each(vectors.our_ordering_cases)(
    '$arrive ends as $final',
    async ({ arrive, final, events_recorded }) => {
      const { id, to } = await text();
      for (const status of arrive) expect((await callBack(omega, sentTo(to), status)).status).toBe(200);
      expect(await statusOf(id)).toBe(final);
      if (events_recorded === undefined) return;
      const events = await omega.omega.database.db
        .selectFrom('events')
        .select('data')
        .where('business_id', '=', 2001)
        .where('type', '=', `message.${final}`)
        .execute();
      expect(events.filter(({ data }) => data.message_id === id)).toHaveLength(events_recorded);
    },
  );

  it.each(vectors.message_statuses)('%s is a word that Omega knows', (word) => {
    if (word === 'received' || word === 'receiving') expect(wordOf(word)).toBeNull();
    else expect(wordOf(word)).toMatch(/^(sending|sent|delivered|read|undelivered|failed)$/);
  });

  it('keeps its code, and what it means', async () => {
    const { id, to } = await text();
    await callBack(omega, sentTo(to), 'undelivered', { ErrorCode: '30006' });
    const { message } = await timeline(id);
    expect(message).toMatchObject({ status: 'undelivered', error_code: '30006', reason: 'landline' });
  });

  it('counts when it comes before the answer to the send', async () => {
    twilio.answer = () => ({ kind: 'nothing', accepted: true });
    const { body } = await api.post('/sms/queue', { to: '+12025550098', content: 'Hi' });
    await expect.poll(() => twilio.messages.some(({ to }) => to === '+12025550098')).toBe(true);
    await callBack(omega, sentTo('+12025550098'), 'delivered');
    await omega.settled();
    await omega.tick(3_600_000);
    const { message, attempts } = await timeline(body.message_id);
    expect(message).toMatchObject({ status: 'delivered', provider_message_id: sentTo('+12025550098').sid });
    expect(attempts).toHaveLength(1);
    expect(postsTo('+12025550098')).toHaveLength(1);
  });
});

describe('an outcome that is not known', () => {
  it('is found in the list, and not sent again', async () => {
    twilio.answer = () => ({ kind: 'reset', accepted: true });
    const { id, to } = await text();
    expect((await timeline(id)).attempts[0].state).toBe('unknown');
    twilio.answer = () => ({ kind: 'created' });
    await omega.tick(60_000);
    const { message, attempts } = await timeline(id);
    expect(attempts.map(({ state }: { state: string }) => state)).toEqual(['accepted']);
    expect(message.provider_message_id).toBe(sentTo(to).sid);
    expect(postsTo(to)).toHaveLength(1);
  });

  it('is sent again only when the list does not have it, some time later', async () => {
    twilio.answer = () => ({ kind: 'reset' });
    const { id, to } = await text();
    twilio.answer = () => ({ kind: 'created' });
    await omega.tick(2_000);
    await omega.tick(10_000);
    expect(postsTo(to)).toHaveLength(1);
    await untilAskedOut();
    expect(postsTo(to)).toHaveLength(2);
    expect(twilio.messages.filter((message) => message.to === to)).toHaveLength(1);
    const { attempts } = await timeline(id);
    expect(attempts.map(({ state }: { state: string }) => state)).toEqual(['absent', 'accepted']);
  });

  it('is not taken for absent while a call that a held-up worker began late may still be worked on', async () => {
    twilio.answer = () => ({ kind: 'reset' });
    const { id, to } = await text();
    twilio.answer = () => ({ kind: 'created' });
    await omega.tick(2_000);
    // Begun 20 s after the claim, as late as a lease allows, it may be taken 15 s later.
    await omega.tick(33_000);
    expect((await timeline(id)).attempts[0].state).toBe('unknown');
    await untilAskedOut();
    expect(postsTo(to)).toHaveLength(2);
  });

  it('of two equal texts is each its own: one is there, one is not, and nobody knows which', async () => {
    const accepted = [true, false];
    twilio.answer = () => ({ kind: 'reset', accepted: accepted.shift() });
    const to = '+12025550097';
    const [one, two] = await Promise.all(
      ['a', 'b'].map((request_id) => api.post('/sms/queue', { to, content: 'Hi', request_id })),
    );
    await omega.settled();
    twilio.answer = () => ({ kind: 'created' });
    await untilAskedOut();
    // Neither is sent a second time; its callback says which one it was.
    expect(postsTo(to)).toHaveLength(2);
    await callBack(omega, sentTo(to), 'delivered');
    const named = new URL(sentTo(to).statusCallback!).searchParams.get('message_id');
    const ids = [one!.body.message_id, two!.body.message_id];
    expect(await statusOf(named!)).toBe('delivered');
    const other = (await timeline(ids.find((id) => id !== named))).message;
    expect(other).toMatchObject({ status: 'failed', reason: 'no_answer' });
  });

  it.each([
    ['that differ in a mark alone', 'See you at 10!', 'See you at 10?', '+12025550096'],
    ['of symbols alone', '👍', '🎉', '+12025550095'],
  ])(
    'of two texts %s, of which one is there, is settled for neither but by its callback',
    async (_, there, absent, to) => {
      twilio.answer = (form) => ({ kind: 'reset', accepted: form.get('Body') === there });
      const [, two] = await Promise.all(
        [there, absent].map((content) => api.post('/sms/queue', { to, content })),
      );
      await omega.settled();
      twilio.answer = () => ({ kind: 'created' });
      await untilAskedOut();
      expect(postsTo(to)).toHaveLength(2);
      await callBack(omega, sentTo(to), 'delivered');
      const named = new URL(sentTo(to).statusCallback!).searchParams.get('message_id')!;
      expect((await timeline(named)).message).toMatchObject({ content: there, status: 'delivered' });
      const other = (await timeline(two!.body.message_id)).message;
      expect(other).toMatchObject({ content: absent, status: 'failed', reason: 'no_answer' });
    },
  );

  it('is not settled by another message to the same number', async () => {
    const { to } = await text({ content: 'One' });
    twilio.answer = () => ({ kind: 'reset' });
    const { body } = await api.post('/sms/queue', { to, content: 'Two' });
    await omega.settled();
    twilio.answer = () => ({ kind: 'created' });
    await untilAskedOut();
    const { message } = await timeline(body.message_id);
    expect(sentTo(to).sid).not.toBe(message.provider_message_id);
    expect(twilio.messages.filter((sent) => sent.to === to).map(({ body: words }) => words)).toEqual([
      'One',
      'Two',
    ]);
  });
});

describe('an account that Twilio refuses', () => {
  it('is paused: what waits stays in the queue without asking Twilio, and goes once the account is well', async () => {
    const providers = {
      twilio: { account_sid: accountSid, auth_token: authToken, api_base_url: twilio.url },
    };
    const { api: paused } = await omega.business({
      business_id: 2003,
      senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
      providers,
    });
    twilio.answer = () => ({ kind: 'refused', status: 401, code: 20003, message: 'Authenticate' });
    const first = await paused.post('/sms/queue', { to: '+12025550090', content: 'Hi' });
    await omega.settled();
    const failed = (await paused.get(`/messages/${first.body.message_id}/timeline`)).body.message;
    expect(failed).toMatchObject({ status: 'failed', reason: 'account_config', error_code: '20003' });

    const before = twilio.asked.length;
    const waiting = await Promise.all(
      [91, 92, 93].map((n) => paused.post('/sms/queue', { to: `+120255500${n}`, content: 'Hi' })),
    );
    await omega.settled();
    expect(twilio.asked).toHaveLength(before);
    const read = async (id: string) => (await paused.get(`/messages/${id}/timeline`)).body.message;
    for (const { body } of waiting)
      expect(await read(body.message_id)).toMatchObject({ status: 'queued', reason: 'account_config' });

    twilio.answer = () => ({ kind: 'created' });
    await omega.tick(60_000);
    await omega.tick(240_000);
    for (const { body } of waiting)
      expect(await read(body.message_id)).toMatchObject({ status: 'sending', reason: null });
  });
});
