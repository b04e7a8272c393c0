/**
 * SIGKILL between Twilio's acceptance and our note of it, which Twilio has no key against. The suite runs the short
 * form; 200 messages are
 *
 *   CRASH_ROUNDS=20 npm test -- test/crash/twilio.test.ts
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crashRounds, crashTimes } from '../support/crash.ts';
import { eventually } from '../support/eventually.ts';
import { accountSid, authToken, type FakeTwilio, startFakeTwilio } from '../support/fake-twilio.ts';
import { lotus } from '../support/lotus.ts';
import { rowsOf, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProcess } from '../support/process.ts';

let postgres: TestPostgres;
let twilio: FakeTwilio;
const number = '+15005550006';

beforeAll(async () => {
  postgres = await startPostgres();
  twilio = await startFakeTwilio(Date.now);
  twilio.numbers.set(number, { sid: `PN${'c3'.repeat(16)}`, sms: true, smsUrl: '' });
});
afterAll(async () => {
  await twilio?.close();
  await postgres?.stop();
});

const rounds = crashRounds(1);
const perRound = 10;

test(
  'killed once Twilio has accepted, no text is sent again: each is found in its list',
  async () => {
    const database = {
      kind: 'postgres' as const,
      url: await postgres.createDatabase('twilio'),
      poolSize: 10,
    };
    const child = { database, ...crashTimes, carrierDeadlineMs: 1_500, leaseS: 4 };
    let omega = await startProcess(child);
    await omega.platform.post('/business/onboard', {
      ...lotus,
      senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
      providers: { twilio: { account_sid: accountSid, auth_token: authToken, api_base_url: twilio.url } },
    });
    for (let round = 0; round < rounds; round++) {
      twilio.answer = () => ({ kind: 'nothing', accepted: true });
      const expected = (round + 1) * perRound;
      for (let i = 0; i < perRound; i++) {
        const to = `+1202555${String(1000 + round * perRound + i)}`;
        await omega.platform.post('/sms/queue', { business_id: 1001, to, content: `Round ${round}` });
      }
      await eventually(() => expect(twilio.messages).toHaveLength(expected), 5);
      await omega.kill();
      twilio.answer = () => ({ kind: 'created' });
      omega = await startProcess(child);
      const accepted = `select 1 from attempts where state = 'accepted' and provider_message_id is not null`;
      await eventually(async () => expect(await rowsOf(database.url, accepted)).toHaveLength(expected), 100);
    }
    expect(twilio.posts()).toHaveLength(rounds * perRound);
    const sids = await rowsOf<{ provider_message_id: string }>(
      database.url,
      'select provider_message_id from messages',
    );
    expect(sids.map((row) => row.provider_message_id).sort()).toEqual(
      twilio.messages.map(({ sid }) => sid).sort(),
    );
    expect(await twilio.violations()).toEqual([]);
    await omega.kill();
  },
  120_000 + rounds * 60_000,
);
