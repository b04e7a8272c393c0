import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../contract/index.ts';
import {
  type ContractRequest,
  guarded,
  slotsOf,
  type Things,
  unknownIdFields,
  wire,
} from '../support/contract-requests.ts';
import { dumpBusiness } from '../support/dump.ts';
import { type Answer, type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { readyFor } from '../support/ready.ts';
import { businessWithThings } from '../support/things.ts';

let omega: RunningOmega;
let byKey: Client;
let bySession: Client;
let own: Things;
let others: Things;

/** Of the same kinds and lengths as real ones, and nobody's. */
const nobodys: Things = {
  business_id: 9009,
  client_id: 90092,
  other_client_id: 90093,
  staff_id: 90090,
  location_id: 90091,
  conversation_id: '0198c2a4-0000-7000-8000-00000000dead',
  message_id: '0198c2a4-0000-7000-8000-00000000beef',
  last_message_id: '0198c2a4-0000-7000-8000-00000000bee1',
  provider_message_id: 'SM-of-9009',
  attachment_id: '0198c2a4-0000-7000-8000-00000000afff',
  import_id: '0198c2a4-0000-7000-8000-00000000ab1e',
  session_id: '0198c2a4-0000-7000-8000-00000000cafe',
  receipt_id: '0198c2a4-0000-7000-8000-00000000face',
  token: `oms_${'A'.repeat(43)}`,
  phone: '+13035559009',
  sender: '+12025559009',
  link: 'nobodys',
};

beforeAll(async () => {
  omega = await startOmega();
  await omega.tick(Date.parse('2026-12-01T09:00:00Z') - omega.clock.now());
  const a = await businessWithThings(omega, 1001);
  own = a.things;
  byKey = a.api;
  others = (await businessWithThings(omega, 2002)).things;
  // A manager who is in nobody's way: ending the sessions of `own.staff_id` leaves this one.
  const staffId = own.staff_id + 7;
  await omega.platform.post('/business/onboard', {
    business_id: own.business_id,
    name: 'Lotus Yoga',
    country: 'US',
    time_zone: 'America/New_York',
    staffs: [{ staff_id: staffId, name: 'Rosa Lind', role: 'manager' }],
  });
  const { body } = await byKey.post('/authentication/token', { staff_id: staffId });
  bySession = clientOf(omega.url, null);
  const plain = bySession.call;
  bySession.call = (method, path, sent, headers) =>
    plain(method, path, sent, { ...headers, authorization: `Bearer ${body.token}` });
  await omega.settled();
});
afterAll(() => omega.close());

const send = (row: Operation, client: Client, request: ContractRequest): Promise<Answer> => {
  const { path, body, headers } = wire(row, request);
  return client.call(row.method, path, body, headers);
};

/** An answer without what differs between any two requests, and without the very ids that were sent. */
function comparable(answer: Answer, sent: Things): { status: number; text: string } {
  const { request_id: _, ...body } = answer.body;
  let text = JSON.stringify(body);
  for (const [name, thing] of Object.entries(sent)) text = text.replaceAll(String(thing), `<sent ${name}>`);
  text = text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<id>')
    .replaceAll(/oms_[\w-]{43}/g, '<token>')
    // A client that Omega makes: 2^40 upward.
    .replaceAll(/\b[1-9]\d{12,15}\b/g, '<client>');
  return { status: answer.status, text };
}

test('every field of the contract that looks like an id is known to this walk', () => {
  expect(unknownIdFields()).toEqual([]);
});

const walked = guarded.filter(([, row]) => row.auth !== 'platform');

describe("another business's id in any place answers as one that nobody has, and changes nothing there", () => {
  test.each(walked)('%s', async (id, row) => {
    const slots = slotsOf(row, own);
    const before = await dumpBusiness(omega.omega.database.db, others.business_id);
    for (const [i, { place }] of slots.entries()) {
      const ready = await readyFor(id, { omega, api: byKey, things: own });
      const slot = slotsOf(row, ready)[i]!;
      expect(slot.place).toBe(place);
      // With one's own ids it works: so what is refused below is refused for the id.
      const base = await send(row, byKey, slot.base);
      expect(Object.keys(row.output), `${slot.place}: ${JSON.stringify(base.body)}`).toContain(
        String(base.status),
      );
      for (const [who, client] of Object.entries({ key: byKey, session: bySession })) {
        const theirs = comparable(await send(row, client, slot.naming(others)), others);
        const unknown = comparable(await send(row, client, slot.naming(nobodys)), nobodys);
        expect(theirs, `${id} ${slot.place} with a ${who}`).toEqual(unknown);
      }
    }
    await omega.settled();
    expect(await dumpBusiness(omega.omega.database.db, others.business_id)).toEqual(before);
  });
});

describe("another business's ids in every place at once are refused as those that nobody has", () => {
  test.each(walked)('%s', async (id, row) => {
    const slots = slotsOf(row, await readyFor(id, { omega, api: byKey, things: own }));
    // An operation that names nothing cannot name another's.
    if (slots.length === 0) return;
    const all = (things: Things): ContractRequest => {
      const requests = slots.map((slot) => [slot.place.split('.'), slot.naming(things)] as const);
      const merged = structuredClone(requests[0]![1]) as unknown as Record<string, Record<string, unknown>>;
      for (const [[part, name], request] of requests)
        merged[part!]![name!] = (request as unknown as typeof merged)[part!]![name!];
      return merged as unknown as ContractRequest;
    };
    const before = await dumpBusiness(omega.omega.database.db, others.business_id);
    const theirs = await send(row, byKey, all(others));
    const namesBusiness = slots.some((slot) => slot.place.endsWith('.business_id'));
    expect(theirs.status).toBe(namesBusiness ? 403 : 404);
    expect(comparable(theirs, others)).toEqual(comparable(await send(row, byKey, all(nobodys)), nobodys));
    expect(await dumpBusiness(omega.omega.database.db, others.business_id)).toEqual(before);
  });
});

test('every table of a tenant has business_id first in its key', async () => {
  const { rows } = await sql<{ table: string; first: string }>`
    select k.table_name as table, k.column_name as first from information_schema.key_column_usage k
    join information_schema.table_constraints c using (constraint_schema, constraint_name)
    where c.constraint_type = 'PRIMARY KEY' and c.table_schema = 'public' and k.ordinal_position = 1
      and k.table_name in (select table_name from information_schema.columns where column_name = 'business_id')
    order by 1`.execute(omega.omega.database.db);
  // Looked up before the tenant is known: a credential, a carrier's callback, a lost job, a carrier's own books.
  const global = new Set([
    'api_keys',
    'carrier_events',
    'dead_letters',
    'simulator_messages',
    'webhook_receipts',
  ]);
  const tenants = rows.filter(({ table }) => !global.has(table));
  expect(tenants.length).toBeGreaterThan(15);
  expect(tenants.filter(({ first }) => first !== 'business_id')).toEqual([]);
});
