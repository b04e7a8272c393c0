import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../contract/index.ts';
import {
  type ContractRequest,
  exampleRequest,
  guarded,
  slotsOf,
  type Things,
  unknownIdFields,
  wire,
} from '../support/contract-requests.ts';
import { dumpBusiness } from '../support/dump.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, clientOf, type RunningOmega, startOmega } from '../support/omega.ts';
import { readyFor } from '../support/ready.ts';
import { businessWithThings, nobodysNewClient, withNewClient } from '../support/things.ts';

let omega: RunningOmega;
let byKey: Client;
let bySession: Client;
let own: Things;
let byOther: Client;
let others: Things;
let turn = 0;

/** Another business's things and nobody's, with ids that no request of this file has named before. */
async function strangers(): Promise<{ theirs: Things; nobodys: Things }> {
  turn++;
  return { theirs: await withNewClient(byOther, others, turn), nobodys: nobodysNewClient(nobody, turn) };
}

/** Of the same kinds and lengths as real ones, and nobody's. */
const nobody: Things = {
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
  sender_id: '0198c2a4-0000-7000-8000-00000000fade',
  receipt_id: '0198c2a4-0000-7000-8000-00000000face',
  webhook_id: '0198c2a4-0000-7000-8000-0000000ab1e5',
  delivery_id: '0198c2a4-0000-7000-8000-0000000ab1e6',
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
  const b = await businessWithThings(omega, 2002);
  others = b.things;
  byOther = b.api;
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
function comparable(answer: Answer, strange: Things[]): { status: number; text: string } {
  const { request_id: _, ...body } = answer.body;
  let text = JSON.stringify(body);
  // The longest first: a business's number may be the beginning of its client's.
  const named = strange
    .flatMap((things) => Object.entries(things).map(([name, thing]) => [name, String(thing)] as const))
    .sort(([, a], [, b]) => b.length - a.length);
  for (const [name, thing] of named) text = text.replaceAll(thing, `<sent ${name}>`);
  text = text
    .replaceAll(/"provider_message_id":"(SM[0-9a-f]{32}|[^"]*@[^"]*)"/g, '"provider_message_id":"<id>"')
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
    const { theirs, nobodys } = await strangers();
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
      if (place.includes('.0.')) expect(base.body.failed, place).toBe(0);
      for (const [who, client] of Object.entries({ key: byKey, session: bySession })) {
        const both = [theirs, nobodys];
        const asTheirs = comparable(await send(row, client, slot.naming(theirs)), both);
        const asUnknown = comparable(await send(row, client, slot.naming(nobodys)), both);
        expect(asTheirs, `${id} ${slot.place} with a ${who}`).toEqual(asUnknown);
      }
    }
    await omega.settled();
    expect(await dumpBusiness(omega.omega.database.db, others.business_id)).toEqual(before);
  });
});

describe("another business's ids in every place at once are refused as those that nobody has", () => {
  test.each(walked)('%s', async (id, row) => {
    const slots = slotsOf(row, await readyFor(id, { omega, api: byKey, things: own })).filter(
      // A body is one item or a list of them; the list's places are walked above.
      ({ place }) => !place.includes('.0.'),
    );
    const { theirs, nobodys } = await strangers();
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
    const answer = await send(row, byKey, all(theirs));
    const namesBusiness = slots.some((slot) => slot.place.endsWith('.business_id'));
    expect(answer.status).toBe(namesBusiness ? 403 : 404);
    const both = [theirs, nobodys];
    expect(comparable(answer, both)).toEqual(comparable(await send(row, byKey, all(nobodys)), both));
    expect(await dumpBusiness(omega.omega.database.db, others.business_id)).toEqual(before);
  });
});

describe("another business's cursor is refused as one that was made up", () => {
  const paged = walked.filter(([, row]) => row.input.query?.properties.cursor && !row.eventStream);

  test.each(paged)('%s', async (_, row) => {
    const needed = (things: Things) => {
      const { query, ...rest } = exampleRequest(row, things);
      const required = new Set<string>(row.input.query?.required ?? []);
      return {
        ...rest,
        query: Object.fromEntries(Object.entries(query).filter(([name]) => required.has(name))),
      };
    };
    const page = (client: Client, things: Things, more: object) => {
      const request = needed(things);
      return send(row, client, { ...request, query: { ...request.query, ...more } });
    };
    const { body } = await page(byOther, others, { limit: 1 });
    expect(body.next_cursor, 'their list has more rows than one').toEqual(expect.any(String));
    const again = await page(byOther, others, { limit: 1, cursor: body.next_cursor });
    expect(again.status, 'it is good where it was given').toBe(200);
    for (const cursor of [body.next_cursor, `${body.next_cursor}x`, 'made-up']) {
      const answer = await page(byKey, own, { limit: 1, cursor });
      expectProblem(answer, 422, 'invalid_parameters', cursor);
      expect(answer.body.errors.map((fault: { path: string }) => fault.path)).toEqual(['cursor']);
    }
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
