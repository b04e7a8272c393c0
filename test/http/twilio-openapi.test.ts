import { getHttpOperationsFromSpec } from '@stoplight/prism-http';
import { createServer } from '@stoplight/prism-http-server';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTwilio } from '../../server/twilio/index.ts';
import { withListsInForms } from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

/**
 * Prism in Twilio's place, on nothing but Twilio's own OpenAPI: it refuses (422) a request that is not as that has
 * it, and answers with the examples that stand there, which Omega must be able to read.
 */
let omega: RunningOmega;
let api: Client;
let url: string;
let closePrism: () => Promise<void>;
const complaints: string[] = [];
/** As in the examples. */
const accountSid = `AC${'a'.repeat(32)}`;
const number = '+18089255327';

beforeAll(async () => {
  const logger = Object.assign(pino({ level: 'error' }, { write: (line: string) => complaints.push(line) }), {
    success: () => undefined,
  });
  const server = createServer(await getHttpOperationsFromSpec(withListsInForms()), {
    cors: false,
    components: { logger: logger as never },
    config: {
      mock: { dynamic: false },
      validateRequest: true,
      // Twilio's own examples do not keep to Twilio's own formats (a `uri` that is a path).
      validateResponse: false,
      checkSecurity: true,
      errors: false,
      isProxy: false,
      upstreamProxy: undefined,
    } as never,
  });
  url = await server.listen(0, '127.0.0.1');
  closePrism = () => server.close();
  omega = await startOmega({ publicUrl: 'https://omega.example', carrierDeadlineMs: 10_000 });
  ({ api } = await omega.business({
    business_id: 5001,
    senders: [
      { channel: 'sms', address: number, provider: 'twilio' },
      { channel: 'whatsapp', address: number, provider: 'twilio' },
    ],
    providers: { twilio: { account_sid: accountSid, auth_token: 'token', api_base_url: url } },
  }));
});
afterAll(async () => {
  await omega.close();
  await closePrism();
});

it('onboarding reads the account and the number of the examples, which cannot text, and sets its URL', async () => {
  const { body } = await api.get('/business/5001/onboarding');
  const [webhooks, test] = ['provider_webhooks', 'test_message'].map((name) =>
    body.steps.find((step: { name: string }) => step.name === name),
  );
  expect(webhooks).toMatchObject({ status: 'done' });
  expect(test).toMatchObject({ status: 'failed', error: `${number}: cannot text.` });
  expect(complaints).toEqual([]);
});

it.each([
  ['SMS', { content: 'See you at 9, Ana 😀' }],
  ['MMS', { content: 'Here', media_urls: ['https://lotus.example/map.png'] }],
  ['WhatsApp', { content: 'See you at 9', channel: 'whatsapp' }],
])('%s is accepted, under the id of the example', async (what, text) => {
  const { body } = await api.post('/sms/queue', { to: `+1202555016${what.length}`, ...text });
  await omega.settled();
  const { attempts } = (await api.get(`/messages/${body.message_id}/timeline`)).body;
  expect(attempts).toMatchObject([{ state: 'accepted', provider_message_id: `SM${'a'.repeat(32)}` }]);
  expect(complaints).toEqual([]);
});

it("Twilio's list is read", async () => {
  const twilio = createTwilio({
    db: omega.omega.database.db,
    clock: omega.clock,
    apiUrl: 'https://omega.example/omega',
  });
  const message = {
    businessId: 5001,
    messageId: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
    attemptNo: 1,
    supersededAttempts: 0,
    channel: 'sms',
    from: number,
    to: '+12025550123',
    content: 'Not among the examples',
    subject: null,
    mediaUrls: [],
    mail: null,
  };
  const account = { account_sid: accountSid, auth_token: 'token', api_base_url: url };
  const find = (since: string) => twilio.find(message, new Date(since), account, AbortSignal.timeout(10_000));
  // The examples are older than that.
  expect(await find('2026-03-10T14:00:00Z')).toEqual({ kind: 'absent' });
  expect(complaints).toEqual([]);
  // What has these words is not among those that are newer. (The example's own link to its next page does not
  // keep to Twilio's format of a time, of which Prism complains.)
  expect(await find('2010-01-01T00:00:00Z')).toMatchObject({ kind: 'unknown' });
});
