import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let key: string;

beforeAll(async () => {
  omega = await startOmega();
  ({ api, key } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const base = '/businesses/1001/clients';
const ndjson = { 'content-type': 'application/x-ndjson' };
const csv = { 'content-type': 'text/csv; charset=utf-8' };

const send = (body: string, type: Record<string, string> = ndjson, requestId?: string): Promise<Answer> =>
  api.call('POST', `${base}/import`, body, { ...type, ...(requestId && { 'idempotency-key': requestId }) });
const lines = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** All that is known of every client, whatever the times. */
async function everyone(businessId = 1001): Promise<unknown> {
  const { db } = omega.omega.database;
  const clients = await db
    .selectFrom('clients')
    .select([
      'client_id',
      'name',
      'location_id',
      'time_zone',
      'language',
      'tags',
      'metadata',
      'sort_name',
      'search_words',
    ])
    .where('business_id', '=', businessId)
    .orderBy('client_id')
    .execute();
  const addresses = await db
    .selectFrom('client_addresses')
    .select(['client_id', 'kind', 'address', 'is_primary', 'position'])
    .where('business_id', '=', businessId)
    .orderBy('client_id')
    .orderBy('kind')
    .orderBy('address')
    .execute();
  return { clients, addresses };
}

describe('importClients: an import', () => {
  test('of 5,000 clients writes each, and again changes none', async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => ({
      client_id: 10_000 + i,
      name: `Client ${i}`,
      phones: [`+1202${String(5_000_000 + i)}`],
      emails: [`client${i}@example.com`],
      tags: ['imported'],
    }));
    const first = await send(lines(rows));
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({
      status: 'complete',
      rows: 5_000,
      created: 5_000,
      failed: 0,
      last_row: 5_000,
      errors: [],
    });
    const after = await everyone();
    const second = await send(lines(rows));
    expect(second.body).toMatchObject({ created: 0, updated: 0, unchanged: 5_000 });
    expect(await everyone()).toEqual(after);
  });

  test('listClientImportErrors: names what is wrong with which row, and writes the others', async () => {
    const answer = await send(
      [
        '{"client_id":1,"name":"Fine"}',
        '{"client_id":2,',
        '',
        '{"client_id":3,"phone":"+12025550101"}',
        '{"client_id":4,"phones":["+12025550101","?"],"emails":["x"]}',
        '{"client_id":5,"location_id":99}',
        '[1]',
        '{"client_id":"6"}',
        '{"name":"Nobody"}',
        '{"client_id":7,"name":"\\u0000"}',
        '{"client_id":8,"__proto__":{"x":1}}',
        '{"client_id":9,"name":"Last, and no line end"}',
      ].join('\n'),
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: 'complete', rows: 11, created: 2, failed: 9, last_row: 12 });
    expect(answer.body.errors.map((error: { row: number; path: string }) => [error.row, error.path])).toEqual(
      [
        [2, ''],
        [4, 'phone'],
        [5, 'phones.1'],
        [5, 'emails.0'],
        [6, 'location_id'],
        [7, ''],
        [8, 'client_id'],
        [9, 'client_id'],
        [10, 'name'],
        [11, '__proto__'],
      ],
    );
    expect((await api.get(`${base}/9`)).body.name).toBe('Last, and no line end');
  });
});

describe('getClientImport, listClientImports and listClientImportErrors', () => {
  test('tell afterwards what the import answered, page by page', async () => {
    const answer = await send(lines(Array.from({ length: 9 }, (_, i) => ({ name: `Nobody ${i}` }))));
    expect(answer.body).toMatchObject({ rows: 9, failed: 9 });
    expect((await api.get(`${base}/imports/${answer.body.import_id}`)).body).toEqual(answer.body);
    const { errors: _, more_errors: __, ...summary } = answer.body;
    const listed = await api.get(`${base}/imports?request_id=${answer.body.request_id}`);
    expect(listed.body).toEqual({ data: [summary], next_cursor: null, has_more: false });
    const pages = await api.get(`${base}/imports/${answer.body.import_id}/errors?limit=4`);
    expect(pages.body.data).toEqual(answer.body.errors.slice(0, 4));
    const next = await api.get(
      `${base}/imports/${answer.body.import_id}/errors?limit=100&cursor=${encodeURIComponent(pages.body.next_cursor)}`,
    );
    expect([...pages.body.data, ...next.body.data]).toEqual(answer.body.errors);
  });

  test('reads CSV as spreadsheets write it', async () => {
    const answer = await send(
      '\uFEFFclient_id,Name,phones,email,location_id,time_zone,language,tags,metadata\r\n' +
        '21,"Lima, Ana",(202) 555-0121; +12025550122,ana@example.com,1,America/New_York,pt-BR,a;b,"{""since"":2019}"\r\n' +
        '22,"Two\nlines",,,,,,,\r\n' +
        '23,stray"quote,,,,,,,\r\n' +
        '24,"closed"twice,,,,,,,\r\n' +
        '\r\n' +
        '25,too,few\r\n' +
        'x26,Not a number,,,,,,,\r\n' +
        '27,José,,,,,,,\r\n',
      csv,
    );
    expect(answer.body).toMatchObject({ format: 'csv', rows: 7, created: 3, failed: 4 });
    expect(answer.body.errors.map((error: { row: number }) => error.row)).toEqual([4, 5, 7, 8]);
    expect((await api.get(`${base}/21`)).body).toMatchObject({
      name: 'Lima, Ana',
      location_id: 1,
      tags: ['a', 'b'],
      metadata: { since: 2019 },
      addresses: [{ address: '+12025550121' }, { address: '+12025550122' }, { address: 'ana@example.com' }],
    });
    expect((await api.get(`${base}/22`)).body.name).toBe('Two\nlines');
    expect((await api.get(`${base}/27`)).body.name).toBe('José');
  });

  test.each([
    ['name,phones\n', 'has no column client_id'],
    ['client_id,nickname\n', 'column 2'],
    ['client_id,phone,phones\n', 'the same field'],
  ])('refuses a CSV whose header cannot be used: %j', async (text, message) => {
    const answer = await send(`${text}1,2,3\n`, csv);
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain(message);
  });

  test('a later row about the same client has the last word', async () => {
    const answer = await send(
      lines([
        { client_id: 31, name: 'First', phones: ['+12025550131'] },
        { client_id: 32, name: 'Other' },
        { client_id: 31, name: 'Second' },
      ]),
    );
    expect(answer.body).toMatchObject({ created: 2, updated: 1, failed: 0 });
    expect((await api.get(`${base}/31`)).body).toMatchObject({
      name: 'Second',
      addresses: [{ address: '+12025550131' }],
    });
  });

  test('a row too long for memory is that row alone', async () => {
    const answer = await send(
      `{"client_id":41}\n{"client_id":42,"name":"${'x'.repeat(600_000)}"}\n{"client_id":43}\n`,
    );
    expect(answer.body).toMatchObject({ rows: 3, created: 2, failed: 1 });
    expect(answer.body.errors[0]).toMatchObject({ row: 2 });
    const asCsv = await send(`client_id,name\n44,"${'x'.repeat(600_000)}\n45,Fine\n`, csv);
    expect(asCsv.body.errors[0]).toMatchObject({ row: 2 });
    expect((await api.get(`${base}/45`)).status).toBe(200);
  });

  test('takes NDJSON and CSV and nothing else', async () => {
    expect((await api.post(`${base}/import`, { client_id: 1 })).status).toBe(415);
    expect((await api.call('POST', `${base}/import`)).status).toBe(415);
    expect((await send('', ndjson)).body).toMatchObject({ status: 'complete', rows: 0 });
    expect((await api.call('PUT', `${base}/1`, 'x', csv)).status).toBe(415);
  });

  test('the same request id gives the first answer again, another stream is refused', async () => {
    const body = lines([{ client_id: 51, name: 'Once' }]);
    const first = await send(body, ndjson, 'import-51');
    const again = await send(body, ndjson, 'import-51');
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect((await send('client_id\n51\n', csv, 'import-51')).body.code).toBe('request_id_reused');
    const other = await send(lines([{ client_id: 51, name: 'Twice' }]), ndjson, 'import-51');
    expect([other.status, other.body.code]).toEqual([422, 'request_id_reused']);
    expect((await api.get(`${base}/51`)).body.name).toBe('Once');
  });

  test('listClientImports, getClientImport: shows its progress while it runs, keeps what was reached when the stream breaks, and starts again', async () => {
    const http = request(`${omega.url}${base}/import`, {
      method: 'POST',
      headers: { ...ndjson, 'x-api-key': key, 'idempotency-key': 'import-broken' },
    });
    http.on('error', () => undefined);
    const rows = Array.from({ length: 700 }, (_, i) => ({ client_id: 60_000 + i, name: `Broken ${i}` }));
    http.write(lines(rows));
    const running = await until(async () => {
      const list = await api.get(`${base}/imports?request_id=import-broken`);
      return list.body.data[0]?.rows > 0 ? list.body.data[0] : null;
    });
    expect(running.status).toBe('running');
    expect((await send(lines(rows), ndjson, 'import-broken')).body.code).toBe('request_in_progress');
    http.destroy();
    const broken = await until(async () => {
      const { body } = await api.get(`${base}/imports/${running.import_id}`);
      return body.status === 'interrupted' ? body : null;
    });
    const reached = broken.last_row as number;
    expect(broken).toMatchObject({ rows: reached, created: reached, failed: 0 });
    expect(broken.note).toContain('broke off');
    expect((await api.get(`${base}/${60_000 + reached - 1}`)).status).toBe(200);
    expect((await api.get(`${base}/${60_000 + reached}`)).status).toBe(404);

    const again = await send(lines(rows), ndjson, 'import-broken');
    expect(again.body).toMatchObject({
      import_id: running.import_id,
      status: 'complete',
      unchanged: reached,
      created: 700 - reached,
    });
  });

  test('one whose server ended shows as interrupted, and its request id starts it again', async () => {
    const { db } = omega.omega.database;
    const now = new Date(omega.clock.now());
    const importId = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e99';
    await db
      .insertInto('client_imports')
      .values({
        business_id: 1001,
        import_id: importId,
        request_id: 'import-lost',
        format: 'ndjson',
        status: 'running',
        started_at: now,
        updated_at: new Date(now.getTime() - 120_000),
      })
      .execute();
    await db
      .insertInto('requests')
      .values({
        business_id: 1001,
        request_id: 'import-lost',
        operation: 'importClients',
        fingerprint: 'x',
        created_at: now,
      })
      .execute();
    expect((await api.get(`${base}/imports/${importId}`)).body.status).toBe('interrupted');
    const again = await send(lines([{ client_id: 71 }]), ndjson, 'import-lost');
    expect(again.body).toMatchObject({ import_id: importId, status: 'complete', created: 1 });
  });

  test('takes a key that may manage, and another business sees nothing of it', async () => {
    const { import_id } = (await send(lines([{ client_id: 72 }]))).body;
    const other = await omega.business({ business_id: 1002 });
    for (const path of ['', '/errors']) {
      expect((await other.api.get(`/businesses/1002/clients/imports/${import_id}${path}`)).status).toBe(404);
      expect((await other.api.get(`${base}/imports/${import_id}${path}`)).status).toBe(403);
    }
  });

  test("a row that names another business's location is answered as one that names a location that nobody has", async () => {
    await omega.business({
      business_id: 1004,
      locations: [{ location_id: 77_001, name: 'Theirs' }],
      senders: [],
      staffs: [],
    });
    const reports = [];
    for (const location_id of [77_001, 77_002]) {
      const { body } = await send(lines([{ client_id: 73, location_id }]));
      expect(body).toMatchObject({ created: 0, failed: 1 });
      reports.push((await api.get(`${base}/imports/${body.import_id}/errors`)).body.data);
    }
    expect(JSON.stringify(reports[0]).replaceAll('77001', '77002')).toBe(JSON.stringify(reports[1]));
    expect((await api.get(`${base}/73`)).status).toBe(404);
  });

  test('property: twice leaves what once leaves', async () => {
    const row = fc.record(
      {
        client_id: fc.integer({ min: 80_000, max: 80_005 }),
        name: fc.option(fc.string({ minLength: 1, maxLength: 20 })),
        phones: fc.array(fc.constantFrom('+12025550181', '+12025550182', '(202) 555-0183', '?'), {
          maxLength: 3,
        }),
        emails: fc.array(fc.constantFrom('a@example.com', 'B@example.com'), { maxLength: 2 }),
        tags: fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 }),
        metadata: fc.dictionary(fc.constantFrom('k', 'l'), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 }),
      },
      { requiredKeys: ['client_id'] },
    );
    const { api: small } = await omega.business({ business_id: 1003 });
    const bring = (body: string) => small.call('POST', '/businesses/1003/clients/import', body, ndjson);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(row, { selector: (one) => one.client_id, maxLength: 6 }),
        async (rows) => {
          const body = lines(rows);
          const once = await bring(body);
          const after = await everyone(1003);
          const twice = await bring(body);
          expect(twice.body.created + twice.body.updated).toBe(0);
          expect(twice.body.failed).toBe(once.body.failed);
          expect(await everyone(1003)).toEqual(after);
        },
      ),
      { numRuns: 25 },
    );
  });
});

/** Waits for what the stream's other end does meanwhile; polls the API as a caller would. */
async function until<T>(look: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
  }
}
