import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contract } from '../../contract/index.ts';
import { impersonalTables, personalData } from '../../server/identity/personal-data.ts';
import { showNobody } from '../../server/identity/traces.ts';
import { dumpText } from '../support/dump.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
const base = '/businesses/1001/clients';

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
});
afterAll(() => omega.close());

const inbound = async (from: string, content: string, more = {}) => {
  const answer = await api.post('/simulator/inbound', { from, to: '+15005550006', content, ...more });
  expect(answer.status).toBe(201);
  return answer.body as { client_id: number; conversation_id: string };
};
const erase = (id: number, requestId?: string) =>
  api.call('DELETE', `${base}/${id}`, undefined, requestId ? { 'idempotency-key': requestId } : {});

/** Words that stand nowhere but in what is about this person. */
const secrets = [
  'Zwetlana',
  'zwetlana',
  'Quittenbaum',
  'Knorkheim',
  '2025550171',
  '2025550172',
  'Xylophonstunde',
];

/** Every row of every table that still holds one of the words. */
async function traces(): Promise<string[]> {
  const { db } = omega.omega.database;
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(db);
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(name)} t`.execute(
      db,
    );
    for (const { text } of rows) {
      // Bytes are written in hex.
      const bytes = [...text.matchAll(/\\\\x([0-9a-f]+)/g)].map(([, hex]) =>
        Buffer.from(hex!, 'hex').toString(),
      );
      for (const word of secrets)
        if ([text, ...bytes].some((one) => one.includes(word))) found.push(`${name}: ${word}`);
    }
  }
  return [...new Set(found)].sort();
}

describe('eraseClient: erasing a client', () => {
  let conversationId: string;
  let waiting: string[];

  beforeAll(async () => {
    const phones = ['+12025550171', '+12025550172'];
    await api.call('PUT', `${base}/501`, {
      name: 'Zwetlana',
      phones,
      emails: ['zwetlana@example.com'],
      request_id: 'put-501',
    });
    await api.call('PUT', `${base}/501`, {
      name: 'Zwetlana Quittenbaum',
      tags: ['Knorkheim'],
      metadata: { street: 'Knorkheim 1' },
    });
    ({ conversation_id: conversationId } = await inbound(phones[0]!, 'Zwetlana here'));
    await inbound(phones[0]!, 'STOP');
    await inbound(phones[1]!, 'Xylophonstunde?', { media_urls: ['https://media.example/Knorkheim.jpg'] });
    await api.post(`${base}/501/conversations/${conversationId}/note`, { content: 'Zwetlana owes us' });
    await api.post(`${base}/501/conversations`, { name: 'Zwetlana', request_id: 'conversation-501' });
    await api.post('/sms/queue', {
      client_id: 501,
      to: phones[1],
      content: 'Xylophonstunde at 4',
      metadata: { who: 'Zwetlana' },
    });
    await api.post('/sms/status', {
      message_id: (await api.post('/sms/queue', { client_id: 501, to: phones[1], content: 'Xylophonstunde' }))
        .body.message_id,
      status: 'undelivered',
      error_code: '30003',
      error_message: 'Zwetlana is out of reach at +12025550172',
    });
    // Before anybody knew whose address it is.
    await api.post('/businesses/1001/consents', {
      channel: 'email',
      address: 'zwetlana@example.com',
      state: 'granted',
      source: 'form',
      evidence: { said: 'Zwetlana Quittenbaum, at the desk' },
    });
    // What was posted in the carriers' name, and became of nothing.
    for (const body of ['{"From":"Zwetlana@example.com"}', '{"Text":"From=%2B12025550171&Body=Zwetlana"}'])
      await omega.platform.post('/email/webhooks/postmark?business_id=1001', body, {
        authorization: `Basic ${btoa('somebody:else')}`,
      });
    await omega.settled();
    waiting = [];
    for (const i of [1, 2]) {
      const { body } = await api.post('/sms/queue', {
        client_id: 501,
        to: phones[1],
        content: `Xylophonstunde ${i}`,
        send_at: new Date(omega.clock.now() + 20_000).toISOString(),
      });
      waiting.push(body.message_id);
    }
  });

  test('leaves none of their data in any table', async () => {
    expect((await traces()).length).toBeGreaterThan(20);
    const answer = await erase(501, 'erase-501');
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      client_id: 501,
      messages_erased: 8,
      messages_canceled: 2,
      addresses_erased: 3,
    });
    expect(await traces()).toEqual([]);
    const again = await erase(501, 'erase-501');
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(answer.body);
    expect((await erase(501)).body).toMatchObject({
      erased_at: answer.body.erased_at,
      messages_erased: 0,
    });
  });

  test('leaves a tombstone with counts, and messages whose words are gone', async () => {
    const { body } = await api.get(`${base}/501`);
    expect(body).toMatchObject({
      name: null,
      addresses: [],
      consent: [],
      metadata: {},
      counts: { messages_in: 3, messages_out: 4, conversations: 1 },
    });
    expect(body.erased_at).not.toBe(null);
    const messages = await api.get(`${base}/501/conversations/${conversationId}/messages`);
    for (const message of messages.body.data) {
      expect(message).toMatchObject({ content: '[erased]', media_urls: [], metadata: {}, unread: false });
    }
    const ids = (await api.get(`${base}?limit=100`)).body.data.map(
      (row: { client_id: number }) => row.client_id,
    );
    expect(ids).not.toContain(501);
  });

  test('cancels what waits to be sent, and it is never sent', async () => {
    await omega.tick(25_000);
    const rows = await omega.omega.database.db
      .selectFrom('messages')
      .select(['status', 'reason', 'attempts'])
      .where(sql<boolean>`message_id = any(${waiting}::uuid[])`)
      .execute();
    expect(rows).toEqual([
      { status: 'canceled', reason: 'erased', attempts: 0 },
      { status: 'canceled', reason: 'erased', attempts: 0 },
    ]);
  });

  test('answers 409 to whatever would be written to them, and says why', async () => {
    for (const answer of [
      await api.post('/sms/queue', { client_id: 501, content: 'Hello?' }),
      await api.post('/sms/queue', { client_id: 501, to: '+12025550172', content: 'Hello?' }),
      await api.post('/sms/record', {
        client_id: 501,
        to: '+12025550172',
        direction: 'outbound',
        content: 'x',
      }),
      await api.post(`${base}/501/conversations`, { name: 'Again' }),
      await api.call('PUT', `${base}/501`, { name: 'Again' }),
    ]) {
      expect(answer.status).toBe(409);
      expect(answer.body.detail).toContain('erased');
    }
    expect(await traces()).toEqual([]);
  });

  test('their consent outlives them: a later message to the same address is not sent', async () => {
    const refused = await api.post('/sms/queue', { to: '+12025550171', content: 'Welcome!' });
    expect(refused.body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
    expect(refused.body.client_id).not.toBe(501);
    const allowed = await api.post('/sms/queue', { to: '+12025550172', content: 'Welcome!' });
    expect(allowed.body.status).toBe('queued');
    const { body } = await api.get(`${base}/${refused.body.client_id}`);
    expect(body.consent[0].transactional).toMatchObject({ allowed: false, reason: 'opted_out' });
    // A new word of theirs counts as ever.
    await inbound('+12025550171', 'START');
    const now = await api.post('/sms/queue', { to: '+12025550171', content: 'Welcome!' });
    expect(now.body.status).toBe('queued');
  });

  test('is told in an event, and to whom it happened by the id alone', async () => {
    const event = await omega.omega.database.db
      .selectFrom('events')
      .selectAll()
      .where('type', '=', 'client.erased')
      .executeTakeFirstOrThrow();
    expect(event.data).toEqual({ client_id: 501, messages_erased: 8, messages_canceled: 2 });
  });
});

test('an address that was taken off the client before is erased too, and what it refused outlives it', async () => {
  const [former, present] = ['+12025550181', '+12025550182'];
  await api.call('PUT', `${base}/505`, { phones: [former] });
  await inbound(former!, 'Hello');
  await api.post('/businesses/1001/consents', {
    channel: 'sms',
    address: former,
    state: 'revoked',
    source: 'front_desk',
    evidence: { said: 'not to this one' },
  });
  await api.call('PUT', `${base}/505`, { phones: [present] });
  expect((await erase(505)).status).toBe(200);
  expect(await dumpText(omega.omega.database.db)).not.toContain(former!.slice(1));
  expect(await dumpText(omega.omega.database.db)).not.toContain('not to this one');
  const { body } = await api.post('/sms/queue', { to: former, content: 'Hello?' });
  expect(body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
});

describe('eraseClient, of mail', () => {
  const word = 'Wurzelwerk';
  let failed: string;
  let mail: string;
  let conversationId: string;

  const everyText = async () => {
    const { rows: tables } = await sql<{ name: string }>`
      select table_name as name from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(omega.omega.database.db);
    const found: string[] = [];
    for (const { name } of tables) {
      const { rows } = await sql`
        select 1 from ${sql.table(name)} t where t::text ilike ${`%${word}%`} limit 1`.execute(
        omega.omega.database.db,
      );
      if (rows.length > 0) found.push(name);
    }
    return found.sort();
  };

  beforeAll(async () => {
    await omega.business({
      business_id: 1001,
      senders: [{ channel: 'email', address: 'hello@lotus.example', provider: 'simulator' }],
    });
    await api.call('PUT', `${base}/901`, {
      phones: ['+15005550011'],
      emails: [`${word}@example.com`],
    });
    const sent = await api.post('/email/queue', {
      client_id: 901,
      subject: `${word} one`,
      text: `${word} two`,
      html: `<p>${word} three</p>`,
      cc: [`cc-${word}@example.com`],
      bcc: [`bcc-${word}@example.com`],
      reply_to: `reply-${word}@example.com`,
      attachments: [{ filename: `${word}.txt`, content_type: 'text/plain', content: btoa(word) }],
    });
    expect(sent.status).toBe(202);
    mail = sent.body.message_id;
    conversationId = sent.body.conversation_id;
    failed = (await api.post('/sms/queue', { client_id: 901, content: `${word} four` })).body.message_id;
    await api.post('/businesses/1001/consents', {
      client_id: 901,
      channel: 'email',
      state: 'revoked',
      source: 'front_desk',
      evidence: { said: word },
      request_id: 'consent-901',
    });
    await omega.settled();
    expect((await api.get(`/businesses/1001/search?q=${word}`)).body.data.length).toBeGreaterThan(0);
    expect(await everyText()).toEqual(
      expect.arrayContaining(['attachments', 'message_words', 'messages', 'simulator_messages']),
    );
    expect((await erase(901)).status).toBe(200);
  });

  test('no word, address or file is left', async () => {
    expect(await everyText()).toEqual([]);
    const left = await omega.omega.database.db
      .selectFrom('attachments')
      .select('attachment_id')
      .where('message_id', '=', mail)
      .execute();
    expect(left).toEqual([]);
    const { body } = await api.get(`${base}/901/conversations/${conversationId}/messages`);
    for (const message of body.data) {
      expect(message).toMatchObject({
        content: '[erased]',
        subject: null,
        html: null,
        cc: [],
        bcc: [],
        reply_to: null,
        attachments: [],
      });
    }
  });

  test('search finds none of it, and not the word that stands in its place', async () => {
    for (const q of [word, 'erased']) {
      expect((await api.get(`/businesses/1001/search?q=${q}`)).body.data).toEqual([]);
    }
  });

  test('what failed is not sent again, forced or not', async () => {
    const one = await api.post(`/messages/${failed}/retry`, { force: true });
    expect(one.status).toBe(409);
    expect(one.body.detail).toContain('erased');
    const { body } = await api.post('/messages/retry', { message_ids: [failed], force: true });
    expect(body).toMatchObject({ retried: 0, skipped: [{ message_id: failed, reason: 'erased' }] });
  });

  test('what carriers posted about the address and nobody knows whose it is stays: it may be another business’s', async () => {
    const received = async () =>
      (await omega.platform.get('/webhook-receipts?state=quarantined')).body.data.map(
        ({ receipt_id }: { receipt_id: string }) => receipt_id,
      );
    const before = await received();
    await omega.platform.post('/twilio/sms/incoming', 'From=%2B12025550199&Body=STOP');
    const nobodys = (await received()).filter((id: string) => !before.includes(id));
    expect(nobodys).toHaveLength(1);
    await api.call('PUT', '/businesses/1001/clients/577', { name: 'Whoever', phones: ['+12025550199'] });
    expect((await erase(577)).status).toBe(200);
    expect(await received()).toEqual(expect.arrayContaining(nobodys));
  });

  test('the ledger shows that the address refused, and the address to nobody', async () => {
    const { body } = await api.get(
      `/businesses/1001/consents?address=${encodeURIComponent(`${word}@example.com`)}`,
    );
    expect(body.data).toMatchObject([{ address: null, channel: 'email', state: 'revoked' }]);
    const exported = await api.get(`${base}/901/export`);
    expect(exported.body.consents).toMatchObject([{ address: null, state: 'revoked' }]);
  });
});

test('erases who was merged into them, and their name where it stood as a candidate', async () => {
  const phone = '+12025550195';
  await api.call('PUT', `${base}/611`, { name: 'Wilhelmina Altname', phones: ['+12025550196'] });
  await api.call('PUT', `${base}/611`, { name: 'Wilhelmina Altername' });
  await api.call('PUT', `${base}/612`, { name: 'Wilhelmina Neuname', phones: [phone] });
  await api.call('PUT', `${base}/613`, { name: 'Somebody Else', phones: [phone] });
  const thread = await inbound(phone, 'Who am I?');
  const of = `${base}/${thread.client_id}/conversations/${thread.conversation_id}`;
  expect((await api.post(`${of}/assign`, { staff_id: 12345 })).body.candidates).toHaveLength(2);
  await api.post(`${base}/612/merge`, { merge_client_id: 611 });
  expect(await dumpText(omega.omega.database.db)).toContain('Wilhelmina');
  expect((await erase(611)).body).toMatchObject({ client_id: 612 });
  expect((await dumpText(omega.omega.database.db)).match(/.*(Wilhelmina|wilhelmina).*/g)).toBe(null);
});

test('what two people share stays with the other: the phone, and its consent', async () => {
  const phone = '+12025550180';
  await api.call('PUT', `${base}/601`, { name: 'Parent', phones: [phone] });
  await api.call('PUT', `${base}/602`, { name: 'Child', phones: [phone] });
  await inbound(phone, 'STOP');
  expect((await erase(602)).status).toBe(200);
  expect((await api.get(`${base}/601`)).body.addresses).toHaveLength(1);
  const sent = await api.post('/sms/queue', { client_id: 601, content: 'Hello' });
  expect(sent.body.status).toBe('suppressed');
});

test('exportClient: the export tells everything, page by page, notes among it', async () => {
  const phone = '+12025550190';
  await api.call('PUT', `${base}/701`, { name: 'Export Me', phones: [phone] });
  const { conversation_id } = await inbound(phone, 'One');
  await inbound(phone, 'STOP');
  await api.post(`${base}/701/conversations/${conversation_id}/note`, { content: 'A note' });
  // Of their address, told of somebody else who shares it.
  await api.call('PUT', `${base}/702`, { name: 'Shares It', phones: [phone] });
  await api.post('/businesses/1001/consents', {
    client_id: 702,
    channel: 'sms',
    address: phone,
    state: 'granted',
    category: 'marketing',
    source: 'front_desk',
  });
  const first = await api.get(`${base}/701/export?limit=2`);
  expect(first.status).toBe(200);
  expect(first.body).toMatchObject({
    client: { client_id: 701, name: 'Export Me' },
    consents: [
      { address: phone, state: 'revoked', source: 'keyword', evidence: { content: 'STOP' } },
      { address: phone, state: 'granted', category: 'marketing', source: 'front_desk' },
    ],
    conversations: [{ conversation_id }],
    has_more: true,
  });
  const second = await api.get(
    `${base}/701/export?limit=2&cursor=${encodeURIComponent(first.body.next_cursor)}`,
  );
  expect(second.body).toMatchObject({ client: null, consents: [], conversations: [], has_more: false });
  expect(
    [...first.body.messages, ...second.body.messages].map((m: { content: string; direction: string }) => [
      m.content,
      m.direction,
    ]),
  ).toEqual([
    ['One', 'inbound'],
    ['STOP', 'inbound'],
    ['A note', 'internal'],
  ]);
});

test("another business's client is as unknown as one that is nowhere", async () => {
  const other = await omega.business({ business_id: 1002 });
  await api.call('PUT', `${base}/801`, { name: 'Ours' });
  for (const [method, path] of [
    ['DELETE', ''],
    ['GET', '/export'],
  ] as const) {
    const theirs = await other.api.call(method, `/businesses/1002/clients/801${path}`);
    const nowhere = await other.api.call(method, `/businesses/1002/clients/999997${path}`);
    expect(theirs.status).toBe(404);
    expect({ ...theirs.body, request_id: '' }).toEqual({ ...nowhere.body, request_id: '' });
  }
  expect((await api.get(`${base}/801`)).body.name).toBe('Ours');
});

test('the operations whose kept answers are not looked through have none that shows a person', async () => {
  for (const id of showNobody) {
    const { output } = contract[id as keyof typeof contract];
    expect(JSON.stringify(output), id).not.toMatch(
      /"(name|address|addresses|phone|email|candidates|client)":/,
    );
  }
  const { rows } = await sql<{ definition: string }>`
    select indexdef as definition from pg_indexes where indexname = 'requests_that_show'`.execute(
    omega.omega.database.db,
  );
  expect(rows[0]!.definition.match(/'(\w+)'/g)).toEqual(showNobody.map((id) => `'${id}'`));
});

test('every column of the database is judged: erased, or nothing of a person', async () => {
  const { rows } = await sql<{ table: string; column: string }>`
    select c.table_name as table, c.column_name as column
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.table_name not like 'kysely%'`.execute(
    omega.omega.database.db,
  );
  const unjudged = rows.filter(({ table, column }) => {
    const judged = personalData[table];
    return judged
      ? !judged.erased.includes(column) && !judged.kept.includes(column)
      : !impersonalTables.includes(table);
  });
  // Judge a new one in server/identity/personal-data.ts; if it is `erased`, erase it in erase.ts or traces.ts.
  expect(unjudged).toEqual([]);
});

test('eraseClient takes no body, also where the content type announces one', async () => {
  await api.call('PUT', `${base}/9901`, { name: 'Leaves Soon' });
  const answer = await api.call('DELETE', `${base}/9901`, '');
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
});
