import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

/** Whom the staff answered does not wait any more; an answer that nobody got is none. */
let omega: RunningOmega;
let api: Client;

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

let people = 0;
/** A client who wrote and waits. */
async function asking(phone = `+1202555${String(7000 + people++)}`) {
  await omega.tick(1000);
  const { body } = await api.post('/simulator/inbound', {
    from: phone,
    to: '+15005550006',
    content: 'At 9?',
  });
  await omega.settled();
  const { conversation_id, client_id } = body;
  const since = new Date(omega.clock.now()).toISOString();
  const place = `/businesses/1001/clients/${client_id}/conversations/${conversation_id}`;
  const waiting = async () => (await api.post(`/businesses/1001/clients/${client_id}/conversations`)).body;
  const answer = async (more: object = {}) => {
    await omega.tick(1000);
    const sent = await api.post('/sms/queue', { client_id, content: 'Yes, 9', sent_by: 12345, ...more });
    expect(sent.status).toBe(202);
    return sent.body;
  };
  expect((await waiting()).waiting_since).toBe(since);
  return { client_id, place, since, phone, waiting, answer };
}
const optOut = (address: string, state = 'revoked') =>
  api.post('/businesses/1001/consents', { address, channel: 'sms', state, source: 'front_desk' });

describe('who waits for an answer', () => {
  test('is answered by the staff, not by what goes out by itself', async () => {
    const client = await asking();
    await api.post('/sms/queue', { client_id: client.client_id, content: 'A reminder' });
    expect((await client.waiting()).waiting_since).toBe(client.since);
    await client.answer();
    expect((await client.waiting()).waiting_since).toBeNull();
  });

  test('goes on waiting where the answer is suppressed at once', async () => {
    const client = await asking();
    await optOut(client.phone);
    expect((await client.answer()).status).toBe('suppressed');
    expect((await client.waiting()).waiting_since).toBe(client.since);
  });

  test('waits again where the opt-out comes before the answer is sent', async () => {
    const client = await asking();
    const later = new Date(omega.clock.now() + 60_000).toISOString();
    const { message_id } = await client.answer({ send_at: later });
    expect((await client.waiting()).waiting_since).toBeNull();
    await optOut(client.phone);
    await omega.tick(61_000);
    const { body } = await api.get(`/messages/${message_id}/timeline`);
    expect(body.message).toMatchObject({ status: 'suppressed', reason: 'opted_out', attempts: 0 });
    expect((await client.waiting()).waiting_since).toBe(client.since);
  });

  test('waits again where the answer is canceled, alone or with its appointment', async () => {
    const client = await asking();
    const later = { send_at: new Date(omega.clock.now() + 3_600_000).toISOString() };
    const { message_id } = await client.answer(later);
    expect((await client.waiting()).waiting_since).toBeNull();
    await api.post(`/messages/${message_id}/cancel`);
    expect((await client.waiting()).waiting_since).toBe(client.since);
    await client.answer({ ...later, external_ref: { type: 'appointment', id: 'w1' } });
    expect((await client.waiting()).waiting_since).toBeNull();
    await api.post('/external-refs/appointment/w1', { action: 'canceled' });
    expect((await client.waiting()).waiting_since).toBe(client.since);
  });

  test('waits again where a recorded answer did not arrive, and is answered where it did after all', async () => {
    const client = await asking();
    await client.answer();
    const { body } = await api.post('/sms/record', {
      client_id: client.client_id,
      direction: 'inbound',
      content: 'Or 10?',
      occurred_at: new Date(omega.clock.now()).toISOString(),
    });
    expect(body.status).toBe('received');
    const since = (await client.waiting()).waiting_since;
    await omega.tick(1000);
    const recorded = await api.post('/sms/record', {
      client_id: client.client_id,
      direction: 'outbound',
      content: '10 it is',
      sent_by: 12345,
      status: 'sent',
    });
    expect((await client.waiting()).waiting_since).toBeNull();
    const report = (status: string) =>
      api.post('/sms/status', { message_id: recorded.body.message_id, status });
    await report('undelivered');
    expect((await client.waiting()).waiting_since).toBe(since);
    await report('delivered');
    expect((await client.waiting()).waiting_since).toBeNull();
  });

  test('waits again where the answer fails, and is answered again by its retry', async () => {
    const client = await asking();
    // Delivered after a minute: until then it may still fail.
    const { message_id } = await client.answer({ to: '+15005550010' });
    await omega.settled();
    await api.post('/sms/status', { message_id, status: 'undelivered', error_code: '30003' });
    expect((await client.waiting()).waiting_since).toBe(client.since);
    expect((await api.post(`/messages/${message_id}/retry`)).status).toBe(202);
    expect((await client.waiting()).waiting_since).toBeNull();
  });

  test('does not wait again for what was closed without an answer', async () => {
    const client = await asking();
    await api.post(`${client.place}/status`, { status: 'closed' });
    await client.answer({ to: '+15005550001' });
    await omega.settled();
    const row = await client.waiting();
    expect(row).toMatchObject({ status: 'open', waiting_since: null });
  });
});
