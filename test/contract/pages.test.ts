import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperationId } from '../../contract/index.ts';
import { operations, type Things, wire } from '../support/contract-requests.ts';
import { type Answer, type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { businessWithThings } from '../support/things.ts';

let omega: RunningOmega;
let api: Client;
let things: Things;
let made = 0;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api, things } = await businessWithThings(omega, 1001));
});
afterAll(() => omega.close());

/** How a list gets one row more, and what tells its rows apart. */
interface List {
  row: string;
  write: () => Promise<Answer>;
  query?: Record<string, unknown>;
  /** Where the answer has its rows; `data` unless told. */
  rows?: string;
  /** For a list that is as long as it will ever be: what it is made with. Others write beside it. */
  fill?: () => Promise<Answer>;
}

const text = () => ({ direction: 'outbound', content: `See you tomorrow, ${made++}` });
const toClient = () => api.post('/sms/record', { ...text(), client_id: things.client_id });
const toNewClient = () => api.post('/sms/record', { ...text(), to: `+1404555${2000 + made}` });
const newClient = () => api.call('PUT', `/businesses/1001/clients/${70_000 + made++}`, { name: 'Ana Lima' });
const onboard = (more: object) =>
  omega.platform.post('/business/onboard', {
    business_id: 1001,
    name: 'Lotus Yoga',
    country: 'US',
    time_zone: 'America/New_York',
    ...more,
  });
const importOf = (rows: string) =>
  api.call('POST', '/businesses/1001/clients/import', rows, { 'content-type': 'application/x-ndjson' });
const consent = () =>
  api.post('/businesses/1001/consents', {
    client_id: things.client_id,
    channel: 'sms',
    category: 'marketing',
    state: made++ % 2 === 0 ? 'revoked' : 'granted',
    source: 'front_desk',
  });
const sevenAtOnce = () =>
  api.post('/messages', {
    messages: Array.from({ length: 7 }, () => ({ ...text(), channel: 'sms', client_id: things.client_id })),
    request_id: `seven-${made++}`,
  });
const ofRequest: List = { row: 'message_id', write: toClient, fill: sevenAtOnce };
const found: List = { row: 'message_id', write: toClient, query: { q: 'tomorrow' } };

const lists: Partial<Record<OperationId, List>> = {
  listConversations: { row: 'conversation_id', write: toNewClient },
  listMessages: { row: 'message_id', write: toClient },
  listBusinessMessages: { row: 'message_id', write: toClient },
  listLocations: {
    row: 'location_id',
    write: () => onboard({ locations: [{ location_id: 80_000 + made++, name: 'Pier' }] }),
  },
  listStaffs: {
    row: 'staff_id',
    write: () => onboard({ staffs: [{ staff_id: 80_000 + made++, name: 'Rosa Lind' }] }),
  },
  listSenders: {
    row: 'sender_id',
    write: () =>
      api.call('PUT', '/businesses/1001/senders', {
        channel: 'sms',
        address: `+1202556${1000 + made++}`,
        provider: 'simulator',
      }),
  },
  listConsents: { row: 'consent_id', write: consent },
  getMessagesByRequest: ofRequest,
  getBusinessMessagesByRequest: ofRequest,
  searchMessages: found,
  searchConversationMessages: found,
  searchBusiness: found,
  listClients: { row: 'client_id', write: newClient },
  listClientImports: { row: 'import_id', write: () => importOf('') },
  listClientImportErrors: {
    row: 'row',
    write: () => importOf('{"client_id":0}\n'),
    fill: () => importOf('{"client_id":0}\n'.repeat(7)),
  },
  listWebhookReceipts: {
    row: 'receipt_id',
    // Nobody's signature: each is kept in quarantine.
    write: async () => {
      const body = `MessageSid=SM${made++}&MessageStatus=sent`;
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const answer = await clientOf(omega.url, null).call('POST', '/twilio/sms/status', body, form);
      expect(answer.status).toBe(403);
      return { ...answer, status: 200 };
    },
  },
  listChanges: { row: 'sequence', write: newClient },
  listWebhooks: {
    row: 'webhook_id',
    write: () => api.post('/businesses/1001/webhooks', { url: 'https://crm.example/hooks' }),
  },
  listWebhookDeliveries: {
    row: 'delivery_id',
    write: () => api.post(`/businesses/1001/webhooks/${things.webhook_id}/test`),
  },
  exportClient: { row: 'message_id', write: toClient, rows: 'messages' },
};

describe('the pages of a list show each row once that was there, while others write', () => {
  const paged = operations.filter(([, row]) => row.input.query?.properties.cursor && !row.eventStream);

  test.each(paged)('%s', async (id, operation) => {
    const list = lists[id];
    if (!list) throw new Error(`How does ${id} get a row more? Say it in \`lists\`.`);
    const { row, write, query, rows = 'data', fill } = list;
    const written = fill ? [await fill()] : await Promise.all(Array.from({ length: 7 }, write));
    for (const answer of written) expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    const { request_id, import_id } = fill ? written[0]!.body : things;
    const named: Record<string, unknown> = { ...things, request_id, import_id };
    const params = Object.fromEntries(
      Object.keys(operation.input.params?.properties ?? {}).map((name) => [name, named[name]]),
    );
    const needed = operation.input.query?.required?.includes('conversation_id') && {
      conversation_id: things.conversation_id,
    };
    const page = async (more: object) => {
      const { path } = wire(operation, {
        params,
        query: { ...query, ...needed, ...more },
        body: undefined,
      });
      const { status, body } = await (operation.auth === 'platform' ? omega.platform : api).get(path);
      expect(status, JSON.stringify(body)).toBe(200);
      const ids: unknown[] = body[rows].map((one: Record<string, unknown>) => one[row]);
      // A list that can grow at its end has a cursor there too, to come back with.
      return { ids, cursor: body.has_more ? body.next_cursor : null };
    };

    const there = (await page({ limit: 100 })).ids;
    expect(there.length).toBeGreaterThanOrEqual(7);
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const one = await page({ limit: 3, ...(cursor && { cursor }) });
      seen.push(...one.ids);
      cursor = one.cursor ?? undefined;
      // One row a page of three: a list that grows at its end comes to its end too.
      if (cursor) expect((await write()).status).toBeLessThan(300);
    } while (cursor);
    expect(new Set(seen).size, 'no row twice').toBe(seen.length);
    expect(
      there.filter((one) => !seen.includes(one)),
      'no row left out',
    ).toEqual([]);
  });
});
