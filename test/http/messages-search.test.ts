import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message } from '../../contract/index.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let api: Client;
let other: Client;
let conversation: string;
let client: number;

const texts = [
  'Can I move my appointment to 9:30 tomorrow?',
  'Appointments are full tomorrow, sorry',
  'El niño está enfermo, ¿mañana?',
  'ÉTÉ à la plage, crème brûlée',
  '<b>bold</b> & <script>alert(1)</script> appointment',
  '明日の予約をお願いします',
  'tomorrow we move',
];

beforeAll(async () => {
  omega = await startOmega();
  ({ api } = await omega.business({ business_id: 1001 }));
  ({ api: other } = await omega.business({ business_id: 1002 }));
  const first = Date.parse('2026-03-01T10:00:00Z');
  const { body } = await api.post('/messages', {
    messages: texts.map((content, i) => ({
      channel: i === 6 ? 'whatsapp' : 'sms',
      direction: i % 2 ? 'outbound' : 'inbound',
      [i % 2 ? 'to' : 'from']: '+12025550131',
      content,
      occurred_at: new Date(first + i * 60_000).toISOString(),
    })),
  });
  expect(body.failed).toBe(0);
  ({ conversation_id: conversation, client_id: client } = body.results[0]);
  await api.post(`/businesses/1001/clients/${client}/conversations/${conversation}/note`, {
    content: 'prefers a morning appointment',
  });
  await api.post('/messages', {
    channel: 'email',
    direction: 'inbound',
    from: 'ana@client.example',
    subject: 'Appointment request',
    content: 'Is there something free for Ana?',
    occurred_at: new Date(first + 3_600_000).toISOString(),
  });
  await other.post('/messages', {
    channel: 'sms',
    direction: 'inbound',
    from: '+12025550131',
    content: 'my appointment elsewhere',
  });
});
afterAll(() => omega.close());

const search = async (q: string, more = '') =>
  api.get(`/businesses/1001/search?q=${encodeURIComponent(q)}${more}`);
const contents = async (q: string, more = '') =>
  (await search(q, more)).body.data.map((m: Message) => m.content);

test('searchBusiness: words, prefixes, phrases and exclusions narrow a search; neither case nor accents matter', async () => {
  expect(await contents('move tomorrow')).toEqual([texts[6], texts[0]]);
  expect(await contents('appoint*')).toHaveLength(5);
  expect(await contents('appointment ')).toHaveLength(4);
  expect(await contents('tomor')).toHaveLength(3);
  expect(await contents('"my appointment"')).toEqual([texts[0]]);
  expect(await contents('"appointment my"')).toEqual([]);
  expect(await contents('appoint* -full -"my appointment"')).toHaveLength(3);
  expect(await contents('nino MANANA')).toEqual([texts[2]]);
  expect(await contents('été CREME brulee')).toEqual([texts[3]]);
  expect(await contents('9:30')).toEqual([texts[0]]);
  expect(await contents('予約')).toEqual([texts[5]]);
  expect(await contents("it's' | & ! <-> :* \\")).toEqual([]);
  expect(await contents('ana@client.example')).toEqual([]);
});

test('highlights are places in plain text, whatever the text holds', async () => {
  const { body } = await search('script appoint');
  const [hit] = body.data;
  expect(hit.highlights).toHaveLength(1);
  const [{ fragments, field }] = hit.highlights;
  expect(field).toBe('content');
  expect(fragments[0].text).toBe(texts[4]);
  const found = fragments[0].matches.map((at: { start: number; end: number }) =>
    fragments[0].text.slice(at.start, at.end),
  );
  expect(found).toEqual(['script', 'script', 'appointment']);
  const mail = (await search('request')).body.data[0];
  expect(mail.highlights).toMatchObject([
    { field: 'subject', fragments: [{ matches: [{ start: 12, end: 19 }] }] },
  ]);
});

test('searchMessages, searchConversationMessages: both paths search one conversation alone, notes among it', async () => {
  const q = 'q=appointment';
  const short = await api.get(`/messages/search?conversation_id=${conversation}&${q}`);
  const long = await api.get(
    `/businesses/1001/clients/${client}/conversations/${conversation}/messages/search?${q}`,
  );
  expect(short.body).toEqual(long.body);
  expect(short.body.data.map((m: Message) => m.channel)).toEqual(['note', 'sms', 'sms', 'sms']);
  const narrowed = await api.get(
    `/messages/search?conversation_id=${conversation}&${q}&channel=sms&direction=outbound`,
  );
  expect(narrowed.body.data).toMatchObject([{ content: texts[1] }]);
});

test('filters narrow by channel, direction and time', async () => {
  expect(await contents('appointment', '&channel=email')).toHaveLength(1);
  expect(await contents('move', '&direction=inbound&channel=whatsapp')).toEqual([texts[6]]);
  expect(await contents('tomorrow', '&until=2026-03-01T10:01:00Z')).toEqual([texts[0]]);
  expect(await contents('tomorrow', '&since=2026-03-01T10:01:00Z')).toEqual([texts[6], texts[1]]);
});

test('a cursor visits each match once, in either order, while others write', async () => {
  for (const sort of ['newest', 'relevance']) {
    const whole = (await search('appoint*', `&sort=${sort}`)).body.data.map((m: Message) => m.message_id);
    expect(whole.length).toBeGreaterThanOrEqual(5);
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await search('appoint*', `&sort=${sort}&limit=2${cursor && `&cursor=${cursor}`}`);
      expect(page.status).toBe(200);
      seen.push(...page.body.data.map((m: Message) => m.message_id));
      cursor = page.body.next_cursor ?? '';
      await api.post('/messages', {
        channel: 'sms',
        direction: 'inbound',
        from: '+12025550132',
        content: 'a new appointment, appointment, appointment',
      });
    } while (cursor);
    expect(seen).toEqual(whole);
    const page = await search('appoint*', `&sort=${sort}&limit=1`);
    const wrong = await search('appointment*', `&sort=${sort}&limit=1&cursor=${page.body.next_cursor}`);
    expect(wrong).toMatchObject({ status: 422, body: { errors: [{ path: 'cursor' }] } });
  }
});

test('by relevance, a subject weighs more than a word in passing', async () => {
  const { data } = (await search('appointment request', '&sort=relevance')).body;
  expect(data[0].subject).toBe('Appointment request');
});

test('a query without a word to look for is refused, with its name', async () => {
  for (const q of ['?!', '-only', '"', 'a*', ' ', Array(40).fill('w').join(' ')]) {
    const { status, body } = await search(q);
    expect([q, status]).toEqual([q, 422]);
    expect(body.errors[0].path).toBe('q');
  }
  expect((await api.get('/businesses/1001/search')).status).toBe(422);
});

test("another business's conversation is nobody's", async () => {
  const random = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  const get = async (id: string) => {
    const { status, body } = await other.get(`/messages/search?conversation_id=${id}&q=appointment`);
    const { request_id: _, ...problem } = body;
    return { status, problem };
  };
  expect(await get(conversation)).toEqual(await get(random));
  expect((await get(random)).status).toBe(404);
  const theirs = await other.get('/businesses/1002/search?q=appointment');
  expect(theirs.body.data).toHaveLength(1);
  expect((await other.get('/businesses/1001/search?q=appointment')).status).toBe(403);
});

test('texts of any script and oddity are kept, and found again', async () => {
  const odd = [
    '😀 emoji',
    'שלום עולם',
    'ﬁne ligature',
    `${'x'.repeat(5000)} end`,
    "it''s; drop table",
    '\u202Eabc',
  ];
  for (const content of odd)
    await api.post('/messages', { channel: 'sms', direction: 'inbound', from: '+12025550133', content });
  for (const [q, content] of [
    ['emoji', odd[0]],
    ['עולם', odd[1]],
    ['fine', odd[2]],
    [`"${'x'.repeat(150)}"`, odd[3]],
    ['"drop table"', odd[4]],
    ['abc', odd[5]],
  ])
    expect(await contents(q!)).toEqual([content]);
});
