import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf, rowOf } from '../support/reading.ts';

let omega: RunningOmega;
let api: Client;
const queued = new Map<string, { message_id: string; conversation_id: string; client_id: number }>();

/** When all of them were handed over. */
let start: number;
const until = (ms: number) => omega.tick(start + ms - omega.clock.now());
const number = (digits: string) => `+1500555${digits}`;
const magic = '0001 0002 0003 0004 0009 0010 0011 0012 0013 0014 0015 0016 0017 0018'.split(' ');

beforeAll(async () => {
  // One number never answers; the others have the time of a slow machine.
  omega = await startOmega({ carrierDeadlineMs: 1_500 });
  ({ api } = await omega.business({ business_id: 1001 }));
  for (const digits of magic) {
    const { status, body } = await api.post('/sms/queue', { to: number(digits), content: `To ${digits}` });
    expect(status).toBe(202);
    queued.set(digits, body);
  }
  start = omega.clock.now();
  await omega.settled();
});
afterAll(() => omega.close());

const now = (digits: string): Promise<Message> => messageOf(api, 1001, queued.get(digits)!);
const of = (table: 'attempts' | 'simulator_messages' | 'message_timeline', digits: string) =>
  omega.omega.database.db
    .selectFrom(table)
    .selectAll()
    .where('message_id', '=', queued.get(digits)!.message_id)
    .execute();
/** Every status that was reported, in the order in which it came, with whether it moved the message. */
const reports = async (digits: string) => {
  const rows = await omega.omega.database.db
    .selectFrom('message_timeline')
    .select(['kind', 'data'])
    .where('message_id', '=', queued.get(digits)!.message_id)
    .where('kind', 'like', 'status.%')
    .orderBy('entry_id')
    .execute();
  return rows
    .filter(({ data }) => data.source === 'carrier')
    .map(({ kind, data }) => `${kind.slice('status.'.length)} ${data.applied}`);
};

describe('the numbers that Twilio refuses fail at once, with its code and our reason, after one attempt', () => {
  test.each([
    ['0001', '21211', 'invalid_address'],
    ['0002', '21612', 'sender_config'],
    ['0003', '21408', 'region_not_permitted'],
    ['0004', '21610', 'opted_out'],
    ['0009', '21614', 'invalid_address'],
  ])('…%s: %s is %s', async (digits, error_code, reason) => {
    expect(await now(digits)).toMatchObject({
      status: 'failed',
      provider: 'simulator',
      provider_message_id: null,
      error_code,
      error_message: expect.stringMatching(/.{10,}/),
      reason,
      retryable: false,
      advice: expect.stringMatching(/.{10,}/),
      attempts: 1,
      failed_at: expect.any(String),
      sent_at: null,
    });
    expect(await of('attempts', digits)).toMatchObject([{ attempt_no: 1, state: 'refused', error_code }]);
    expect(await of('simulator_messages', digits)).toEqual([]);
  });

  test('…0004 opts the client out: the next text is suppressed and the carrier is not asked', async () => {
    const { body } = await api.post('/sms/queue', { to: number('0004'), content: 'Once more' });
    expect(body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
    await omega.settled();
    const message = await messageOf(api, 1001, body);
    expect(message).toMatchObject({
      status: 'suppressed',
      attempts: 0,
      reason: 'opted_out',
      retryable: null,
    });
    expect(message.advice).toContain('START');
  });

  test('a failure is what the conversation shows', async () => {
    expect(await rowOf(api, 1001, queued.get('0001')!)).toMatchObject({
      status: 'open',
      last_message: { direction: 'outbound', status: 'failed' },
    });
  });
});

describe('the numbers that are accepted and do not arrive end undelivered, with the code that tells why', () => {
  test.each([
    ['0011', '30003', 'unreachable'],
    ['0012', '30006', 'landline'],
    ['0013', '30007', 'filtered'],
  ])('…%s: %s is %s', async (digits, error_code, reason) => {
    expect(await now(digits)).toMatchObject({
      status: 'undelivered',
      provider_status: 'undelivered',
      error_code,
      error_message: expect.stringMatching(/.{10,}/),
      reason,
      retryable: reason === 'unreachable',
      attempts: 1,
      sent_at: expect.any(String),
      delivered_at: null,
      failed_at: expect.any(String),
    });
    expect(await of('simulator_messages', digits)).toHaveLength(1);
    expect(await reports(digits)).toEqual(['sent true', 'undelivered true']);
  });
});

describe('callbacks as carriers send them', () => {
  test('…0014, every one twice: harmless', async () => {
    expect(await now('0014')).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(await reports('0014')).toEqual(['sent true', 'sent false', 'delivered true', 'delivered false']);
    expect(await of('simulator_messages', '0014')).toHaveLength(1);
  });

  test('…0015, in reverse order: delivered, and the late sent changes nothing', async () => {
    expect(await now('0015')).toMatchObject({ status: 'delivered', provider_status: 'delivered' });
    expect(await reports('0015')).toEqual(['delivered true', 'sent false']);
  });
});

// Time goes on from test to test: all the texts were handed over at the same moment.
describe('what takes time', () => {
  test('…0010 is sent at once and delivered not yet', async () => {
    expect(await now('0010')).toMatchObject({ status: 'sent', delivered_at: null });
  });

  test('…0016: the carrier never answers, so nobody says that it was sent; its callback settles it, with one accept', async () => {
    expect(await now('0016')).toMatchObject({ status: 'sending', attempts: 1, provider_message_id: null });
    expect(await of('attempts', '0016')).toMatchObject([{ state: 'unknown' }]);
    const [accepted, ...others] = await of('simulator_messages', '0016');
    expect(others).toEqual([]);
    await until(1_000);
    expect(await now('0016')).toMatchObject({
      status: 'delivered',
      attempts: 1,
      provider_message_id: (accepted as { provider_message_id: string }).provider_message_id,
    });
    expect(await of('attempts', '0016')).toMatchObject([{ state: 'accepted' }]);
  });

  test('…0018: 429 asked for two seconds, which are waited', async () => {
    await until(1_999);
    expect(await now('0018')).toMatchObject({ status: 'sending', attempts: 1, error_code: null });
    expect(await of('attempts', '0018')).toMatchObject([{ state: 'refused', error_code: '20429' }]);
    expect(await of('simulator_messages', '0018')).toEqual([]);
  });

  test('…0018 is then accepted, once, and delivered', async () => {
    // Two seconds, and as many again of jitter at most.
    await until(4_000);
    expect(await now('0018')).toMatchObject({ status: 'delivered', attempts: 2, reason: null });
    expect(await of('attempts', '0018')).toMatchObject([{ state: 'refused' }, { state: 'accepted' }]);
    expect(await of('simulator_messages', '0018')).toHaveLength(1);
  });

  test('…0017: after each 500 the carrier is asked whether it has it; not having it, it gets it again, and accepts once', async () => {
    // Asked after 2 s, tried again within 4 s; asked after 2 s, tried again within 8 s.
    for (const ms of [6_000, 8_000, 10_000, 18_000]) await until(ms);
    expect(await now('0017')).toMatchObject({ status: 'delivered', attempts: 3 });
    expect(await of('attempts', '0017')).toMatchObject([
      { attempt_no: 1, state: 'absent' },
      { attempt_no: 2, state: 'absent' },
      { attempt_no: 3, state: 'accepted' },
    ]);
    expect(await of('simulator_messages', '0017')).toHaveLength(1);
  });

  test('…0010 is delivered after a minute', async () => {
    await until(59_999);
    expect((await now('0010')).status).toBe('sent');
    await until(60_000);
    expect(await now('0010')).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  test('a day later nothing was tried again, and each was accepted once at most', async () => {
    await omega.tick(86_400_000);
    for (const digits of magic) {
      const { status, attempts } = await now(digits);
      const tries = { '0017': 3, '0018': 2 }[digits] ?? 1;
      expect({ digits, attempts, ends: ['delivered', 'undelivered', 'failed'].includes(status) }).toEqual({
        digits,
        attempts: tries,
        ends: true,
      });
      expect((await of('simulator_messages', digits)).length).toBeLessThanOrEqual(1);
    }
  });
});

describe('POST /simulator/inbound', () => {
  test('is 404 where the simulator is switched off', async () => {
    const without = await startOmega({ simulator: false, worker: false });
    const there = await without.business({ business_id: 1001 });
    const answer = await there.api.post('/simulator/inbound', {
      from: '+12025550123',
      to: '+15005550006',
      content: 'Hi',
    });
    await without.close();
    expectProblem(answer, 404, 'not_found');
    expect(answer.body.detail).toContain('OMEGA_SIMULATOR');
  });
});
