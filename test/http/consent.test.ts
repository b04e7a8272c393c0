import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let next = 2000;
const newPhone = () => `+1202555${next++}`;
const text = (from: string, content: string) =>
  api.post('/simulator/inbound', { from, to: '+15005550006', content });
const queue = (to: string, more: object = {}) =>
  api.post('/sms/queue', { to, content: 'See you at 9', ...more });
const ledger = async (address: string) =>
  (await api.get(`/businesses/1001/consents?address=${encodeURIComponent(address)}`)).body.data;
const conversation = async (answer: { body: { client_id: number; conversation_id: string } }) =>
  (
    await api.get(
      `/businesses/1001/clients/${answer.body.client_id}/conversations/${answer.body.conversation_id}/messages?order=oldest`,
    )
  ).body.data;

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'sms_keywords.json'), 'utf8'),
);

describe('keywords', () => {
  it.each([
    ...vectors.twilio_default_opt_out,
    ...vectors.aws_required_opt_out,
    ...vectors.telnyx_opt_out,
    'opt out',
    ' Stop. ',
  ])('%s stops everything, with the message as evidence', async (word) => {
    const phone = newPhone();
    const answer = await text(phone, word);
    expect(await ledger(phone)).toMatchObject([
      {
        state: 'revoked',
        category: 'all',
        source: 'keyword',
        evidence: { message_id: answer.body.message_id, content: word },
      },
    ]);
    expect((await queue(phone)).body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
  });

  it('START restores, and nothing but keywords changes anything', async () => {
    const phone = newPhone();
    await text(phone, 'STOP');
    await text(phone, 'please stop calling it yoga');
    expect((await queue(phone)).body.status).toBe('suppressed');
    await text(phone, 'Start');
    expect((await queue(phone)).body.status).toBe('queued');
    expect(await ledger(phone)).toHaveLength(2);
  });

  it('YES opts in again after an opt-out, and is a plain answer otherwise', async () => {
    const phone = newPhone();
    await text(phone, 'YES');
    expect(await ledger(phone)).toEqual([]);
    await text(phone, 'STOP');
    await text(phone, 'yes');
    expect(await ledger(phone)).toMatchObject([{ state: 'granted' }, { state: 'revoked' }]);
    expect((await queue(phone)).body.status).toBe('queued');
  });

  it('an opt-out is not confirmed a second time: the carrier does that', async () => {
    const phone = newPhone();
    const answer = await text(phone, 'STOP');
    await text(phone, 'STOP');
    await omega.settled();
    expect(
      (await conversation(answer)).filter((one: { direction: string }) => one.direction === 'outbound'),
    ).toEqual([]);
  });

  it('HELP is answered once, with who writes and how to stop', async () => {
    const phone = newPhone();
    const answer = await text(phone, 'HELP');
    await text(phone, 'help');
    await omega.settled();
    const replies = (await conversation(answer)).filter(
      (one: { direction: string }) => one.direction === 'outbound',
    );
    expect(replies).toHaveLength(1);
    expect(replies[0]).toMatchObject({ status: 'delivered', sender_type: 'automation' });
    expect(replies[0].content).toMatch(/Lotus Yoga.*Reply STOP/);
  });

  it('what is queued when STOP comes is not sent', async () => {
    const phone = newPhone();
    const at = new Date(omega.clock.now() + 60_000).toISOString();
    const queued = await queue(phone, { send_at: at });
    await text(phone, 'STOP');
    await omega.tick(61_000);
    const [message] = await conversation(queued);
    expect(message).toMatchObject({ status: 'suppressed', reason: 'opted_out', attempts: 0 });
  });
});

describe('CANCEL after a message about an appointment', () => {
  it('opts out, and tells staff in a note and an event that it may mean a cancellation', async () => {
    const phone = newPhone();
    const reminder = await queue(phone, { external_ref: { type: 'appointment', id: '8841' } });
    await omega.settled();
    await omega.tick(2 * 3_600_000);
    await text(phone, 'Cancel');
    expect((await queue(phone)).body.status).toBe('suppressed');
    const note = (await conversation(reminder)).find((one: { channel: string }) => one.channel === 'note');
    expect(note).toMatchObject({ sender_type: 'automation', direction: 'internal' });
    expect(note.content).toMatch(/“Cancel” opted this client out.*within 2 h.*appointment 8841/);
    const event = await omega.omega.database.db
      .selectFrom('events')
      .selectAll()
      .where('type', '=', 'appointment.possible_cancellation')
      .executeTakeFirstOrThrow();
    expect(event.data).toMatchObject({
      external_ref: { type: 'appointment', id: '8841' },
      about_message_id: reminder.body.message_id,
    });
  });

  it('says nothing of an old word that is told today, after a reminder of today', async () => {
    const phone = newPhone();
    const reminder = await queue(phone, { external_ref: { type: 'appointment', id: '2' } });
    await omega.settled();
    await api.post('/messages', {
      channel: 'sms',
      direction: 'inbound',
      from: phone,
      content: 'STOP',
      occurred_at: new Date(omega.clock.now() - 30 * 86_400_000).toISOString(),
    });
    const notes = (await conversation(reminder)).filter((one: { channel: string }) => one.channel === 'note');
    expect(notes).toEqual([]);
  });

  it('says nothing where there was no such message, or long ago', async () => {
    const phone = newPhone();
    const reminder = await queue(phone, { external_ref: { type: 'appointment', id: '1' } });
    await omega.settled();
    await omega.tick(49 * 3_600_000);
    await text(phone, 'CANCEL');
    expect(
      (await conversation(reminder)).filter((one: { channel: string }) => one.channel === 'note'),
    ).toEqual([]);
  });
});

describe('recordConsent, listConsents: POST and GET /businesses/{business_id}/consents', () => {
  it('keeps marketing apart from the rest, and a STOP above both', async () => {
    const phone = newPhone();
    const consent = (state: string, category: string) =>
      api.post('/businesses/1001/consents', {
        address: phone,
        channel: 'sms',
        category,
        state,
        source: 'front_desk',
        evidence: { by: 'Mia' },
      });
    expect((await consent('revoked', 'marketing')).body).toMatchObject({
      address: phone,
      state: 'revoked',
      evidence: { by: 'Mia' },
    });
    expect((await queue(phone, { category: 'marketing' })).body.status).toBe('suppressed');
    expect((await queue(phone)).body.status).toBe('queued');
    await text(phone, 'STOP');
    await consent('granted', 'marketing');
    expect((await queue(phone, { category: 'marketing' })).body.status).toBe('suppressed');
    await text(phone, 'START');
    expect((await queue(phone)).body.status).toBe('queued');
  });

  it("takes a client's address on the channel, and says what is missing", async () => {
    const queued = await api.post('/sms/queue', { client_id: 700, to: newPhone(), content: 'hi' });
    expect(queued.status).toBe(202);
    const made = await api.post('/businesses/1001/consents', {
      client_id: 700,
      channel: 'sms',
      state: 'revoked',
      source: 'voicemail',
    });
    expect(made.status).toBe(201);
    expect(made.body.client_id).toBe(700);
    const noMail = await api.post('/businesses/1001/consents', {
      client_id: 700,
      channel: 'email',
      state: 'revoked',
      source: 'form',
    });
    expect([noMail.status, noMail.body.code]).toEqual([422, 'no_address']);
    const unknown = await api.post('/businesses/1001/consents', {
      client_id: 701,
      channel: 'sms',
      state: 'revoked',
      source: 'form',
    });
    expect(unknown.status).toBe(404);
    const nobody = await api.post('/businesses/1001/consents', {
      channel: 'sms',
      state: 'revoked',
      source: 'form',
    });
    expect(nobody.body.errors[0].path).toBe('client_id');
  });

  it('lists newest first, page by page, by client, channel and state', async () => {
    const phone = newPhone();
    for (const word of ['STOP', 'START', 'STOP']) {
      await text(phone, word);
      await omega.tick(10);
    }
    const path = `/businesses/1001/consents?limit=2&address=${encodeURIComponent(phone)}`;
    const first = await api.get(path);
    const second = await api.get(`${path}&cursor=${first.body.next_cursor}`);
    const states = [...first.body.data, ...second.body.data].map((entry: { state: string }) => entry.state);
    expect(states).toEqual(['revoked', 'granted', 'revoked']);
    expect((await api.get(`${path}&state=granted`)).body.data).toHaveLength(1);
    expect((await api.get(`${path}&channel=email`)).body.data).toHaveLength(0);
  });

  it('21610 from the carrier writes the ledger', async () => {
    await queue('+15005550004');
    await omega.settled();
    expect(await ledger('+15005550004')).toMatchObject([
      { state: 'revoked', source: 'carrier', evidence: { error_code: '21610' } },
    ]);
    expect((await queue('+15005550004')).body.status).toBe('suppressed');
  });
});

describe('quiet hours', () => {
  // The clock of the tests stands at 11:00 in New York, and moves on by hours with the tests above.
  const at = (iso: string) => omega.clock.setTime(new Date(iso));

  it('hold marketing back until 08:00 where the client is, and nothing else', async () => {
    await at('2026-06-02T03:30:00.000Z'); // 23:30 in New York
    const phone = newPhone();
    const offer = await queue(phone, { category: 'marketing' });
    expect(offer.body).toMatchObject({ status: 'scheduled', reason: 'window' });
    expect((await queue(phone)).body.status).toBe('queued');
    const shown = (await conversation(offer)).find(
      (one: { category: string }) => one.category === 'marketing',
    );
    expect(shown).toMatchObject({ send_at: '2026-06-02T12:00:00.000Z', reason: 'window' });
    await omega.tick(8 * 3_600_000);
    const before = (await conversation(offer)).find(
      (one: { category: string }) => one.category === 'marketing',
    );
    expect(before.status).toBe('scheduled');
    await omega.tick(3_600_000);
    const after = (await conversation(offer)).find(
      (one: { category: string }) => one.category === 'marketing',
    );
    expect(after).toMatchObject({ status: 'delivered', reason: null });
  });

  it('move what is scheduled into them to the morning', async () => {
    await at('2026-06-03T15:00:00.000Z');
    const offer = await queue(newPhone(), { category: 'marketing', send_at: '2026-06-04T02:00:00.000Z' });
    expect(offer.body.status).toBe('scheduled');
    const [shown] = await conversation(offer);
    expect(shown.send_at).toBe('2026-06-04T12:00:00.000Z');
  });

  it('hold for what is moved into them too, by its id and with its appointment', async () => {
    await at('2026-06-03T15:00:00.000Z');
    const offer = await queue(newPhone(), {
      category: 'marketing',
      send_at: '2026-06-04T15:00:00.000Z',
      external_ref: { type: 'appointment', id: 'late', starts_at: '2026-06-04T16:00:00.000Z' },
    });
    const path = `/messages/${offer.body.message_id}`;
    const moved = await api.post(`${path}/reschedule`, { send_at: '2026-06-05T02:30:00.000Z' });
    expect(moved.body).toMatchObject({ status: 'scheduled', send_at: '2026-06-05T12:00:00.000Z' });
    expect((await api.get(`${path}/timeline`)).body.message.reason).toBe('window');
    const later = await api.post('/external-refs/appointment/late', {
      action: 'moved',
      starts_at: '2026-06-05T06:00:00.000Z',
    });
    // 14 hours on from 08:00 is 22:00 in New York.
    expect(later.body.messages).toMatchObject([{ outcome: 'moved', send_at: '2026-06-06T12:00:00.000Z' }]);
    await api.post(`${path}/reschedule`, { send_at: '2026-06-05T15:00:00.000Z' });
    expect((await api.get(`${path}/timeline`)).body.message.reason).toBeNull();
    await api.post(`${path}/cancel`);
  });

  it('hold what was due before and held up into them, and show until when', async () => {
    await at('2026-06-07T15:00:00.000Z');
    const offer = await queue(newPhone(), { category: 'marketing', send_at: '2026-06-08T00:59:00.000Z' });
    await omega.tick(12 * 3_600_000); // 23:00 in New York
    const held = (await api.get(`/messages/${offer.body.message_id}/timeline`)).body;
    expect(held.message).toMatchObject({
      status: 'scheduled',
      reason: 'window',
      send_at: '2026-06-08T12:00:00.000Z',
      attempts: 0,
    });
    expect(held.entries.map((entry: { kind: string }) => entry.kind)).toContain('held');
    await omega.tick(10 * 3_600_000);
    const sent = (await api.get(`/messages/${offer.body.message_id}/timeline`)).body.message;
    expect(sent).toMatchObject({ status: 'delivered', reason: null, attempts: 1 });
  });

  it('are told beforehand by preflight, which decides the same', async () => {
    await at('2026-06-04T03:00:00.000Z');
    const { body } = await api.post('/messages/preflight', {
      to: newPhone(),
      content: 'Two for one',
      category: 'marketing',
    });
    expect(body).toMatchObject({ hours: { allowed: false }, send_at: '2026-06-04T12:00:00.000Z' });
  });
});
