import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDueRuns } from '../../server/retention/index.ts';
import { purgeBatch } from '../../server/retention/purge.ts';
import { expectProblem, faultsOf } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { postAsTwilio, publicUrl, twilioAccount } from '../support/twilio-calls.ts';

let omega: RunningOmega;
const day = 86_400_000;
const word = 'Wurzelwerk';
const phone = '+12025550141';

beforeAll(async () => {
  omega = await startOmega({ publicUrl });
});
afterAll(() => omega.close());

const ofBusiness = (id: number) => `/businesses/${id}/retention`;
const keep = (api: Client, id: number, days: number | null) =>
  api.call('PUT', ofBusiness(id), { message_days: days });
const daysAgo = (days: number) => new Date(omega.clock.now() - days * day).toISOString();
const startRuns = async () => {
  const { database, queue } = omega.omega;
  const started = await startDueRuns({ db: database.db, queue, clock: omega.clock });
  await omega.settled();
  return started;
};
const db = () => omega.omega.database.db;

/** The tables of which a row still holds the word. */
async function tablesWith(text: string): Promise<string[]> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(db());
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } =
      await sql`select 1 from ${sql.table(name)} t where t::text ilike ${`%${text}%`} limit 1`.execute(db());
    if (rows.length > 0) found.push(name);
  }
  return found.sort();
}

/** Records so many old messages of a business at once. */
async function recordOld(api: Client, count: number, content: string, days: number): Promise<void> {
  const { body } = await api.post('/messages', {
    messages: Array.from({ length: count }, (_, i) => ({
      channel: 'sms',
      direction: 'inbound',
      from: phone,
      content: `${content} ${i}`,
      occurred_at: daysAgo(days),
    })),
  });
  expect(body.results?.find((one: { error?: object }) => one.error)).toBeUndefined();
  expect(body.failed, JSON.stringify(body).slice(0, 600)).toBe(0);
}

describe('getRetention and setRetention', () => {
  let api: Client;
  beforeAll(async () => {
    ({ api } = await omega.business({ business_id: 1001 }));
  });

  test('content is kept for ever unless told, and nothing is due', async () => {
    const { status, body } = await api.get(ofBusiness(1001));
    expect(status).toBe(200);
    expect(body).toEqual({
      business_id: 1001,
      message_days: null,
      last_run_at: null,
      last_run_purged: null,
      messages_purged: 0,
      running_since: null,
      next_run_at: null,
      updated_at: null,
    });
    await recordOld(api, 1, 'Old as the hills', 3000);
    await startRuns();
    expect(await tablesWith('Old as the hills')).toContain('messages');
  });

  test('a day at least and ten years at most, or null; it must be said', async () => {
    for (const [body, fault] of [
      [{}, 'message_days required'],
      [{ message_days: 0 }, 'message_days too_small'],
      [{ message_days: 3651 }, 'message_days too_large'],
      [{ message_days: 1.5 }, 'message_days invalid_type'],
    ] as const) {
      const answer = await api.call('PUT', ofBusiness(1001), body);
      expectProblem(answer, 422, 'invalid_parameters');
      expect(faultsOf(answer)).toEqual([fault]);
    }
  });

  test('is set, shown, told in an event once, and taken back', async () => {
    const answer = await keep(api, 1001, 365);
    expect(answer.status).toBe(200);
    const now = omega.clock.now();
    expect(answer.body).toMatchObject({
      message_days: 365,
      next_run_at: new Date(now + 3_600_000).toISOString(),
      updated_at: new Date(now).toISOString(),
    });
    await keep(api, 1001, 365);
    expect((await keep(api, 1001, null)).body).toMatchObject({ message_days: null, next_run_at: null });
    const events = await db()
      .selectFrom('events')
      .select(['changed', 'data'])
      .where('type', '=', 'retention.changed')
      .where('business_id', '=', 1001)
      .orderBy('sequence')
      .execute();
    expect(events).toEqual([
      { changed: { message_days: { from: null, to: 365 } }, data: { message_days: 365 } },
      { changed: { message_days: { from: 365, to: null } }, data: { message_days: null } },
    ]);
    await omega.settled();
  });

  test('is for those who manage', async () => {
    const { body } = await api.post('/authentication/token', { staff_id: 12346 });
    const bearer = { authorization: `Bearer ${body.token}` };
    expect((await omega.as(null).get(ofBusiness(1001), bearer)).status).toBe(200);
    const answer = await omega.as(null).call('PUT', ofBusiness(1001), { message_days: 1 }, bearer);
    expectProblem(answer, 403, 'forbidden');
  });
});

describe('setRetention: what is older goes', () => {
  let api: Client;
  let mail: { message_id: string; conversation_id: string; client_id: number };
  let failed: string;
  let inbound: string;
  let waiting: string;
  let purged: { last_run_purged: number };
  const messageOf = (id: string) =>
    db().selectFrom('messages').selectAll().where('message_id', '=', id).executeTakeFirstOrThrow();

  beforeAll(async () => {
    ({ api } = await omega.business({
      business_id: 2002,
      senders: [
        { channel: 'sms', address: '+15005550006', provider: 'simulator' },
        { channel: 'sms', address: '+12125550199', provider: 'twilio' },
        { channel: 'email', address: 'hello@lotus.example', provider: 'simulator' },
      ],
      providers: { twilio: twilioAccount },
    }));
    mail = (
      await api.post('/email/queue', {
        to: `${word}@example.com`,
        subject: `${word} one`,
        text: `${word} two`,
        html: `<p>${word} three</p>`,
        cc: [`cc-${word}@example.com`],
        reply_to: `reply-${word}@example.com`,
        attachments: [{ filename: `${word}.txt`, content_type: 'text/plain', content: btoa(word) }],
        metadata: { who: word },
        external_ref: { type: 'appointment', id: word },
      })
    ).body;
    failed = (await api.post('/sms/queue', { to: '+15005550011', content: `${word} four` })).body.message_id;
    await omega.settled();
    await api.post('/sms/status', {
      message_id: failed,
      status: 'undelivered',
      error_code: '30003',
      error_message: `${word} is out of reach`,
    });
    const { body } = await api.post('/simulator/inbound', {
      from: phone,
      to: '+15005550006',
      content: `${word} five`,
      media_urls: [`https://media.example/${word}.jpg`],
    });
    inbound = body.message_id;
    await api.post('/simulator/inbound', { from: phone, to: '+15005550006', content: 'STOP' });
    await api.post(`/businesses/2002/clients/${body.client_id}/conversations/${body.conversation_id}/note`, {
      content: `${word} six`,
    });
    // Posted by a carrier: one becomes a message, one is refused for its business, one is doubted.
    const text = { MessageSid: `SM${'4'.repeat(32)}`, To: '+12125550199', Body: word, NumMedia: '0' };
    await postAsTwilio(omega, '/twilio/sms/incoming', { ...text, From: '+12025550142' });
    await postAsTwilio(
      omega,
      '/twilio/sms/incoming?business_id=2002',
      { ...text, From: word },
      { signature: 'of nobody' },
    );
    waiting = (
      await api.post('/sms/queue', {
        to: '+12025550143',
        content: 'Wartezimmer',
        send_at: new Date(omega.clock.now() + 40 * day).toISOString(),
      })
    ).body.message_id;
    await omega.settled();
    expect((await tablesWith(word)).length).toBeGreaterThan(8);
    await keep(api, 2002, 30);
    await omega.settled();
    // Nothing is that old yet.
    expect((await api.get(ofBusiness(2002))).body).toMatchObject({ last_run_purged: 0, messages_purged: 0 });
    expect((await messageOf(inbound)).content).toBe(`${word} five`);

    await omega.tick(31 * day);
    await startRuns();
    purged = (await api.get(ofBusiness(2002))).body;
  });

  test('no table holds a word of it but those of the clients, nor do webhooks that were doubted', async () => {
    expect(await tablesWith(word)).toEqual(['addresses', 'client_addresses', 'clients']);
    const receipts = await db()
      .selectFrom('webhook_receipts')
      .selectAll()
      .where('business_id', '=', 2002)
      .execute();
    expect(receipts).toEqual([]);
    const found = await api.get(`/businesses/2002/search?q=${word}`);
    expect(found.body.data).toEqual([]);
  });

  test('is counted, and when it ran is shown', async () => {
    expect(purged).toMatchObject({
      last_run_at: new Date(omega.clock.now()).toISOString(),
      last_run_purged: 6,
      messages_purged: 6,
      running_since: null,
    });
  });

  test('messages stay with their status, dates, counts and timeline', async () => {
    const row = await messageOf(mail.message_id);
    expect(row).toMatchObject({
      content: '[erased]',
      subject: null,
      html: null,
      attachments: [],
      to_address: null,
      from_address: 'hello@lotus.example',
      status: 'delivered',
      attempts: 1,
    });
    expect(row.delivered_at).not.toBeNull();
    const timeline = await api.get(`/messages/${mail.message_id}/timeline`);
    expect(timeline.body.entries.map((entry: { kind: string }) => entry.kind)).toEqual(
      expect.arrayContaining(['queued', 'attempt.claimed', 'status.delivered']),
    );
    const { body: client } = await api.get(`/businesses/2002/clients/${mail.client_id}`);
    expect(client).toMatchObject({
      counts: { messages_out: 1 },
      addresses: [{ address: `${word}@example.com`.toLowerCase() }],
    });
  });

  test('unread stays unread, and the consent ledger stays whole', async () => {
    const row = await messageOf(inbound);
    expect(row).toMatchObject({ content: '[erased]', from_address: null, unread: true, media_urls: [] });
    const conversation = await db()
      .selectFrom('conversations')
      .select('unread_count')
      .where('conversation_id', '=', row.conversation_id)
      .executeTakeFirstOrThrow();
    expect(conversation.unread_count).toBe(2);
    const consents = await api.get(`/businesses/2002/consents?address=${encodeURIComponent(phone)}`);
    expect(consents.body.data).toMatchObject([{ state: 'revoked', evidence: { content: 'STOP' } }]);
    expect((await api.post('/sms/queue', { to: phone, content: 'Hello' })).body.status).toBe('suppressed');
  });

  test('what waits is left alone and sent; its days are counted from then', async () => {
    expect(await messageOf(waiting)).toMatchObject({ status: 'scheduled', content: 'Wartezimmer' });
    await omega.tick(10 * day);
    await startRuns();
    expect(await messageOf(waiting)).toMatchObject({ status: 'delivered', content: 'Wartezimmer' });
    await omega.tick(29 * day);
    await startRuns();
    expect((await messageOf(waiting)).content).toBe('Wartezimmer');
    await omega.tick(2 * day);
    await startRuns();
    expect((await messageOf(waiting)).content).toBe('[erased]');
  });

  test('nothing that lost its content is sent again', async () => {
    const retry = await api.post(`/messages/${failed}/retry`, { force: true });
    expectProblem(retry, 409, 'conflict');
    expect(retry.body.detail).toContain('content');
    const { body } = await api.post('/messages/retry', {
      business_id: 2002,
      message_ids: [failed],
      force: true,
    });
    expect(body).toMatchObject({ retried: 0, skipped: [{ message_id: failed, reason: 'erased' }] });
  });
});

describe('setRetention: a run', () => {
  test('of many messages goes on where it stopped, is safe to do twice, and is counted once', async () => {
    const { api } = await omega.business({ business_id: 3003 });
    await recordOld(api, 450, 'Holunder', 10);
    await recordOld(api, 5, 'Himbeere', 3);
    await db()
      .insertInto('retention')
      .values({
        business_id: 3003,
        message_days: 7,
        created_at: new Date(omega.clock.now()),
        updated_at: new Date(omega.clock.now()),
      })
      .execute();
    const now = new Date(omega.clock.now());
    const step = () =>
      db()
        .transaction()
        .execute((tx) => purgeBatch(tx, now, 3003));
    const left = async () =>
      (
        await sql<{
          n: number;
        }>`select count(*)::int as n from messages where business_id = 3003 and content like 'Holunder%'`.execute(
          db(),
        )
      ).rows[0]!.n;
    expect(await step()).toBe(true);
    expect(await left()).toBe(250);
    // A worker dies in the middle of the next: all of its batch is there again.
    await expect(
      db()
        .transaction()
        .execute(async (tx) => {
          await purgeBatch(tx, now, 3003);
          throw new Error('killed');
        }),
    ).rejects.toThrow('killed');
    expect(await left()).toBe(250);
    expect((await api.get(ofBusiness(3003))).body).toMatchObject({
      last_run_at: null,
      messages_purged: 200,
      running_since: now.toISOString(),
    });
    expect(await step()).toBe(true);
    expect(await step()).toBe(false);
    expect(await left()).toBe(0);
    const done = { last_run_purged: 450, messages_purged: 450, running_since: null };
    expect((await api.get(ofBusiness(3003))).body).toMatchObject(done);
    expect(await step()).toBe(false);
    expect((await api.get(ofBusiness(3003))).body).toMatchObject({
      last_run_purged: 0,
      messages_purged: 450,
    });
    expect(await tablesWith('Himbeere')).toContain('messages');
  });

  test('gets past what waits, however much of it there is', async () => {
    const { api } = await omega.business({ business_id: 3004 });
    await recordOld(api, 401, 'Brombeere', 10);
    // As it is while a message is on its way.
    await sql`update messages set status = 'queued', direction = 'outbound' where business_id = 3004 and content <> 'Brombeere 400'`.execute(
      db(),
    );
    await keep(api, 3004, 7);
    await omega.settled();
    expect((await api.get(ofBusiness(3004))).body).toMatchObject({ last_run_purged: 1 });
  });

  test('keeps every business to its own days, and is due again in an hour for those that have any', async () => {
    const one = await omega.business({ business_id: 3005 });
    const two = await omega.business({ business_id: 3006 });
    for (const { api } of [one, two]) await recordOld(api, 3, 'Johannisbeere', 20);
    await keep(one.api, 3005, 10);
    await keep(two.api, 3006, 40);
    await omega.settled();
    const purged = async ({ api, businessId }: typeof one) =>
      (await api.get(ofBusiness(businessId))).body.messages_purged;
    expect([await purged(one), await purged(two)]).toEqual([3, 0]);
    await startRuns();
    await recordOld(one.api, 2, 'Johannisbeere', 20);
    expect(await startRuns(), 'not before they are due').toBe(0);
    await omega.tick(3_600_000);
    expect(await startRuns()).toBeGreaterThanOrEqual(2);
    expect([await purged(one), await purged(two)]).toEqual([5, 0]);
  });

  test('ends where the business decides to keep what is left', async () => {
    const { api } = await omega.business({ business_id: 3007 });
    await recordOld(api, 300, 'Stachelbeere', 20);
    await keep(api, 3007, 10);
    await keep(api, 3007, null);
    const now = new Date(omega.clock.now());
    expect(
      await db()
        .transaction()
        .execute((tx) => purgeBatch(tx, now, 3007)),
    ).toBe(false);
    await omega.settled();
    expect((await api.get(ofBusiness(3007))).body).toMatchObject({ running_since: null, next_run_at: null });
  });
});
