import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../server/core/db/index.ts';
import { createLog } from '../../server/core/log.ts';
import { claimMessages } from '../../server/messages/claim.ts';
import { giveUpAttempts } from '../../server/messages/claimed-besides.ts';
import { createCarrierEvents } from '../../server/messages/index.ts';
import { settleAttempts } from '../../server/messages/settle.ts';
import { type Client, type RunningOmega, startOmega, testSecrets } from '../support/omega.ts';

/** An Omega that takes messages and sends none: the tests play its worker, step by step. */
let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  const answer = await omega.platform.post('/business/onboard', {
    business_id: 1001,
    name: 'Lotus Yoga',
    country: 'US',
    time_zone: 'America/New_York',
    senders: [{ channel: 'sms', address: '+15005550006', provider: 'simulator' }],
  });
  api = omega.as(answer.body.api_key);
});
afterAll(() => omega.close());

const leaseMs = 30_000;
const now = () => new Date(omega.clock.now());
async function claim(messageId: string, at = now()) {
  const { db } = omega.omega.database;
  const { claimed, lost } = await inTransaction(db, (tx) =>
    claimMessages(tx, at, omega.omega.queue, [{ businessId: 1001, messageId }], leaseMs, testSecrets),
  );
  await inTransaction(db, (tx) => giveUpAttempts(tx, at, omega.omega.queue, lost));
  return claimed;
}
const settle = (
  messageId: string,
  attemptNo: number,
  outcome: Parameters<typeof settleAttempts>[3][number]['outcome'],
) =>
  inTransaction(omega.omega.database.db, (tx) =>
    settleAttempts(tx, now(), omega.omega.queue, [
      {
        message: { businessId: 1001, messageId, attemptNo, supersededAttempts: 0, provider: 'simulator' },
        outcome,
      },
    ]),
  );
const queue = async (body: object) => (await api.post('/sms/queue', { content: 'hi', ...body })).body;
const messageOf = (messageId: string) =>
  omega.omega.database.db
    .selectFrom('messages')
    .selectAll()
    .where('message_id', '=', messageId)
    .executeTakeFirstOrThrow();
const jobsFor = async (messageId: string, name: string) =>
  (
    await omega.omega.database.pglite!.query<{ start_after: Date }>(
      `select start_after from pgboss.job where name = $1 and data ->> 'message_id' = $2 and state = 'created' order by start_after`,
      [name, messageId],
    )
  ).rows;

describe('claiming', () => {
  it('a message that somebody is at work on is looked at again after the lease, not taken for lost', async () => {
    const { message_id } = await queue({ to: '+12025550101' });
    expect(await claim(message_id)).toHaveLength(1);
    expect(await claim(message_id)).toHaveLength(0);
    const attempts = await omega.omega.database.db
      .selectFrom('attempts')
      .selectAll()
      .where('message_id', '=', message_id)
      .execute();
    expect(attempts.map((attempt) => attempt.state)).toEqual(['claimed']);
    const later = new Date(omega.clock.now() + leaseMs + 1);
    expect(await claim(message_id, later)).toHaveLength(0);
    const orphaned = await omega.omega.database.db
      .selectFrom('attempts')
      .selectAll()
      .where('message_id', '=', message_id)
      .execute();
    expect(orphaned.map((attempt) => attempt.state)).toEqual(['unknown']);
    expect(await jobsFor(message_id, 'settle-attempt')).toHaveLength(1);
  });

  it('a job that fires before its message is due, by our clock, leaves another for then', async () => {
    const sendAt = new Date(omega.clock.now() + 60_000);
    const { message_id } = await queue({ to: '+12025550102', send_at: sendAt.toISOString() });
    const before = await jobsFor(message_id, 'send-message');
    expect(await claim(message_id)).toHaveLength(0);
    expect(await jobsFor(message_id, 'send-message')).toHaveLength(before.length + 1);
    expect(await claim(message_id, sendAt)).toHaveLength(1);
  });
});

describe('settling', () => {
  it('a carrier that never has the message is called with growing pauses, and not for ever', async () => {
    const { message_id } = await queue({ to: '+12025550103' });
    let attemptNo = 0;
    for (; attemptNo < 40; attemptNo++) {
      const [claimed] = await claim(message_id);
      if (!claimed) break;
      await settle(message_id, claimed.attemptNo, { kind: 'unknown', detail: '500' });
      await settle(message_id, claimed.attemptNo, { kind: 'absent' });
    }
    expect(attemptNo).toBeGreaterThan(3);
    expect(attemptNo).toBeLessThan(40);
    expect(await messageOf(message_id)).toMatchObject({ status: 'failed', reason: 'server_error' });
    const delays = (await jobsFor(message_id, 'send-message')).map(
      (job) => job.start_after.getTime() - omega.clock.now(),
    );
    expect(Math.max(...delays)).toBeGreaterThan(60_000);
  });

  it('an outcome that comes after somebody else settled the attempt changes nothing', async () => {
    const { message_id } = await queue({ to: '+12025550104' });
    const [claimed] = await claim(message_id);
    const accepted = { kind: 'accepted' as const, status: 'sent' as const, providerStatus: 'sent' };
    await settle(message_id, claimed!.attemptNo, { ...accepted, providerMessageId: 'SMfirst' });
    await settle(message_id, claimed!.attemptNo, { kind: 'refused', code: '21211', message: 'late' });
    await settle(message_id, claimed!.attemptNo, { ...accepted, providerMessageId: 'SMsecond' });
    expect(await messageOf(message_id)).toMatchObject({
      status: 'sent',
      provider_message_id: 'SMfirst',
      error_code: null,
    });
  });

  it('our own send, recorded by the host before its outcome, is settled all the same', async () => {
    const { message_id, client_id } = await queue({ to: '+12025550105' });
    const [claimed] = await claim(message_id);
    const recorded = {
      client_id,
      to: '+12025550105',
      direction: 'outbound',
      content: 'hi',
      provider: 'simulator',
      provider_message_id: 'SMtwice',
    };
    expect((await api.post('/sms/record', recorded)).status).toBe(201);
    await settle(message_id, claimed!.attemptNo, {
      kind: 'accepted',
      status: 'sent',
      providerStatus: 'sent',
      providerMessageId: 'SMtwice',
    });
    expect(await messageOf(message_id)).toMatchObject({ status: 'sent', provider_message_id: null });
  });
});

describe("carriers' events", () => {
  const events = () =>
    createCarrierEvents({
      db: omega.omega.database.db,
      queue: omega.omega.queue,
      clock: omega.clock,
      secrets: testSecrets,
      log: createLog({ level: 'silent', pretty: false }),
    });
  const inbound = (providerMessageId: string, from: string, content: string) => ({
    provider: 'simulator',
    businessId: 1001,
    raw: { Body: content },
    kind: 'inbound' as const,
    providerMessageId,
    channel: 'sms',
    from,
    to: '+15005550006',
    content,
    subject: null,
    mediaUrls: [],
    occurredAt: null,
    requestId: null,
  });

  it('with a NUL or half a character are kept and become messages', async () => {
    const applied = await events().receive(inbound('SMnul', '+12025550106', 'a\0b\ud800c'));
    expect(applied.state).toBe('applied');
    const message = await omega.omega.database.db
      .selectFrom('messages')
      .select('content')
      .where('provider_message_id', '=', 'SMnul')
      .executeTakeFirstOrThrow();
    expect(message.content).toBe('ab\ufffdc');
  });

  it.each(['40404', 'AMAZON', '+5215512345678'])(
    'from %s become messages: what is refused is lost',
    async (from) => {
      const applied = await events().receive(inbound(`SM${from}`, from, 'Your code is 1234'));
      expect(applied.state).toBe('applied');
    },
  );

  it('one that cannot be applied holds up no other, and ends refused', async () => {
    const { db } = omega.omega.database;
    const at = new Date(omega.clock.now() - 120_000);
    const keep = (id: string, payload: object) =>
      db
        .insertInto('carrier_events')
        .values({
          carrier_event_id: id,
          provider: 'simulator',
          kind: 'inbound',
          business_id: 1001,
          provider_message_id: id,
          payload: JSON.stringify(payload),
          state: 'kept',
          received_at: at,
        })
        .execute();
    const [bad, good] = ['0198c2a4-0000-7c3a-9f57-000000000001', '0198c2a4-0000-7c3a-9f57-000000000002'];
    await keep(bad!, {
      ...inbound('SMbad', '+12025550107', 'x'),
      mediaUrls: undefined,
      occurredAt: 'not a time',
    });
    await keep(good!, inbound('SMgood', '+12025550107', 'good'));
    for (let i = 0; i < 6; i++) await events().resume();
    const states = await db
      .selectFrom('carrier_events')
      .select(['carrier_event_id', 'state'])
      .where('carrier_event_id', 'in', [bad!, good!])
      .orderBy('carrier_event_id')
      .execute();
    expect(states.map((row) => row.state)).toEqual(['refused', 'applied']);
  });

  it('a callback that came before its message was recorded is applied once it is', async () => {
    const parked = await events().receive({
      provider: 'twilio',
      businessId: 1001,
      raw: {},
      kind: 'status',
      messageId: null,
      providerMessageId: 'SMearly',
      status: 'delivered',
      providerStatus: 'delivered',
      errorCode: null,
      errorMessage: null,
      occurredAt: null,
    });
    expect(parked.state).toBe('parked');
    await api.post('/sms/record', {
      to: '+12025550108',
      direction: 'outbound',
      content: 'x',
      provider: 'twilio',
      provider_message_id: 'SMearly',
    });
    await events().resume();
    const message = await omega.omega.database.db
      .selectFrom('messages')
      .select('status')
      .where('provider_message_id', '=', 'SMearly')
      .executeTakeFirstOrThrow();
    expect(message.status).toBe('delivered');
  });
});

describe('recording', () => {
  it('the same carrier message again, under another number, makes no client and no conversation', async () => {
    const body = {
      to: '+12025550109',
      direction: 'inbound',
      content: 'x',
      provider: 'twilio',
      provider_message_id: 'SMdup',
    };
    const first = await api.post('/sms/record', body);
    const again = await api.post('/sms/record', { ...body, to: '+12025550110' });
    expect(again.body).toMatchObject({ message_id: first.body.message_id, client_id: first.body.client_id });
    expect((await api.get('/businesses/1001/conversations?client=%2B12025550110')).body.data).toEqual([]);
  });

  it('an old START that is recorded today lifts no newer STOP', async () => {
    const text = (content: string, occurred_at?: string) =>
      api.post('/sms/record', { to: '+12025550111', direction: 'inbound', content, occurred_at });
    await text('STOP');
    await text('START', '2024-01-01T00:00:00Z');
    expect((await queue({ to: '+12025550111' })).status).toBe('suppressed');
  });
});
