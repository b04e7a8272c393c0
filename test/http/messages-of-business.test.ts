import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;

const minute = 60_000;
const inMs = (ms: number) => new Date(omega.clock.now() + ms).toISOString();
const phone = (i: number) => `+1202555${String(3000 + i)}`;
const list = async (query: Record<string, string>) => {
  const { status, body } = await api.get(`/businesses/1001/messages?${new URLSearchParams(query)}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body as { data: Message[]; next_cursor: string | null; has_more: boolean };
};

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  const { api: other } = await omega.business({ business_id: 1002 });
  await other.post('/sms/queue', { to: phone(1), content: 'Of another business', send_at: inMs(minute) });
  for (const [i, minutes] of [30, 10, 20].entries())
    await api.post('/sms/queue', { to: phone(i), content: `in ${minutes}`, send_at: inMs(minutes * minute) });
  await api.post('/sms/queue', { to: '+15005550012', content: 'To a landline' });
  await api.post('/sms/queue', { to: phone(5), content: 'Arrives' });
  await omega.settled();
});
afterAll(() => omega.close());

describe('listBusinessMessages', () => {
  test('scheduled: over all clients, by when they are due, soonest first', async () => {
    const { data, has_more } = await list({ status: 'scheduled' });
    expect(data.map(({ content }) => content)).toEqual(['in 10', 'in 20', 'in 30']);
    expect(has_more).toBe(false);
    const some = await list({ status: 'scheduled', since: inMs(15 * minute), until: inMs(25 * minute) });
    expect(some.data.map(({ content }) => content)).toEqual(['in 20']);
  });

  test('failed and undelivered: with their reason and advice, by when they failed', async () => {
    const { data } = await list({ status: 'undelivered' });
    expect(data).toMatchObject([
      { content: 'To a landline', reason: 'landline', advice: expect.any(String) },
    ]);
    expect((await list({ status: 'failed' })).data).toEqual([]);
  });

  test('everything: newest first unless told, by channel and direction', async () => {
    const newest = await list({ direction: 'outbound', channel: 'sms' });
    expect(newest.data.map(({ business_id }) => business_id)).toEqual([1001, 1001, 1001, 1001, 1001]);
    const oldest = await list({ order: 'oldest' });
    expect(oldest.data.map(({ message_id }) => message_id)).toEqual(
      newest.data.map(({ message_id }) => message_id).reverse(),
    );
    expect((await list({ channel: 'email' })).data).toEqual([]);
  });

  test('a filter that hardly any message meets: pages that are short, and each match once', async () => {
    const many = Array.from({ length: 1_000 }, (_, i) => ({
      channel: 'sms',
      direction: 'outbound',
      content: `history ${i}`,
      to: phone(100),
      status: 'delivered',
    }));
    for (const at of [0, 1, 2]) {
      const answer = await api.post('/messages', { messages: many, request_id: `history-${at}` });
      expect(answer.body).toMatchObject({ accepted: 1_000 });
      await api.post('/messages', {
        channel: 'webchat',
        direction: 'inbound',
        from: `visitor-${at}`,
        content: `rare ${at}`,
      });
    }
    const found: string[] = [];
    let pages = 0;
    let cursor: string | null = null;
    do {
      const page = await list({ channel: 'webchat', limit: '2', ...(cursor && { cursor }) });
      found.push(...page.data.map(({ content }) => content));
      expect(page.has_more).toBe(page.next_cursor !== null);
      cursor = page.next_cursor;
      pages++;
    } while (cursor);
    expect(found.sort()).toEqual(['rare 0', 'rare 1', 'rare 2']);
    expect(pages).toBeGreaterThan(1);
  });

  test('a cursor belongs to its filters', async () => {
    const { next_cursor } = await list({ limit: '1' });
    const answer = await api.get(
      `/businesses/1001/messages?channel=sms&cursor=${encodeURIComponent(next_cursor!)}`,
    );
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'cursor' }] } });
  });
});
