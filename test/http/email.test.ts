import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let lotus: Client;
let rival: Client;
beforeAll(async () => {
  omega = await startOmega();
  lotus = (await omega.business()).api;
  rival = (await omega.business({ business_id: 2002, name: 'Rival Spa' })).api;
});
afterAll(() => omega.close());

let count = 0;
/** An address that no other test writes to. */
const someone = () => `client-${++count}@example.com`;
const hello = { subject: 'Your class', text: 'See you at 9!' };

interface Sent {
  message_id: string;
  conversation_id: string;
  client_id: number;
}

async function messageOf(api: Client, sent: Sent, businessId = 1001) {
  const list = await api.get(
    `/businesses/${businessId}/clients/${sent.client_id}/conversations/${sent.conversation_id}/messages`,
  );
  expect(list.status).toBe(200);
  return list.body.data.find((message: { message_id: string }) => message.message_id === sent.message_id);
}

async function conversationOf(sent: Sent) {
  const list = await lotus.get('/businesses/1001/conversations?limit=100');
  return list.body.data.find((row: Sent) => row.conversation_id === sent.conversation_id);
}

/** What the carrier was handed: the independent witness. */
async function handedOver(messageId: string) {
  return omega.omega.database.db
    .selectFrom('simulator_messages')
    .selectAll()
    .where('message_id', '=', messageId)
    .execute();
}

async function queue(body: object): Promise<Sent> {
  const answer = await lotus.post('/email/queue', body);
  expect(answer.body).toMatchObject({ message_id: expect.any(String) });
  expect(answer.status).toBe(202);
  await omega.settled();
  return answer.body;
}

describe('queueEmail', () => {
  test('sends the mail with all that was given, and shows it in the conversation', async () => {
    const to = someone();
    const sent = await queue({
      to,
      subject: 'Your class',
      text: 'See you!',
      html: '<p onclick="x()">See <b>you</b>!</p><img src="https://track.example/a.png">',
      cc: ['Mum@Example.com'],
      bcc: ['audit@lotus.example'],
      reply_to: 'desk@lotus.example',
      sent_by: 12345,
      metadata: { campaign: 'spring' },
    });
    expect(await messageOf(lotus, sent)).toMatchObject({
      channel: 'email',
      status: 'delivered',
      subject: 'Your class',
      content: 'See you!',
      html: '<p>See <b>you</b>!</p><img data-remote-src="https://track.example/a.png" />',
      from: 'hello@lotus.example',
      to,
      cc: ['mum@example.com'],
      bcc: ['audit@lotus.example'],
      reply_to: 'desk@lotus.example',
      attachments: [],
      segments: null,
      call: null,
      auto_reply: false,
      sender_type: 'staff',
    });
    const [handed] = await handedOver(sent.message_id);
    expect(handed).toMatchObject({ from_address: 'hello@lotus.example', to_address: to });
    expect(handed!.mail).toMatchObject({
      subject: 'Your class',
      fromName: 'Lotus Yoga',
      html: '<p onclick="x()">See <b>you</b>!</p><img src="https://track.example/a.png">',
      cc: ['mum@example.com'],
      bcc: ['audit@lotus.example'],
      replyTo: 'desk@lotus.example',
    });
  });

  test('derives the text from the HTML where only that is given', async () => {
    const sent = await queue({
      to: someone(),
      subject: 'Hi',
      html: '<h1>Hello</h1><p>Book <a href="https://l.example/b">here</a></p>',
    });
    expect((await messageOf(lotus, sent)).content).toBe('Hello\n\nBook here [https://l.example/b]');
  });

  test('derives the HTML from the text where only that is given, escaped and with its links', async () => {
    const sent = await queue({
      to: someone(),
      subject: 'Hi',
      text: 'Tea & <cake>\nat 5\n\nSee https://l.example/a?b=1&c=2.',
    });
    const [handed] = await handedOver(sent.message_id);
    expect(handed!.mail!.html).toBe(
      '<p>Tea &amp; &lt;cake&gt;<br>\nat 5</p>\n<p>See <a href="https://l.example/a?b=1&amp;c=2">https://l.example/a?b=1&amp;c=2</a>.</p>',
    );
    expect((await messageOf(lotus, sent)).html).toContain('rel="noopener noreferrer"');
  });

  test('needs a text or HTML, and a subject', async () => {
    const neither = await lotus.post('/email/queue', { to: someone(), subject: 'Hi' });
    expect([neither.status, neither.body.errors[0].path]).toEqual([422, 'text']);
    const bare = await lotus.post('/email/queue', { to: someone(), text: 'Hi' });
    expect([bare.status, bare.body.errors[0].path]).toEqual([422, 'subject']);
  });

  test('the derived text has no address that was taken out of a link, and an empty mail is refused', async () => {
    const sent = await queue({
      to: someone(),
      subject: 'Hi',
      html: '<p>Read <a href="javascript:alert(1)">this</a> or <a href="https://lotus.example/">that</a></p>',
    });
    expect((await messageOf(lotus, sent)).content).toBe('Read this or that [https://lotus.example/]');
    const empty = await lotus.post('/email/queue', { to: someone(), subject: 'Hi', text: '' });
    expect([empty.status, empty.body.errors[0].path]).toEqual([422, 'text']);
  });

  test('the same request id is one mail, and another body under it is refused', async () => {
    const body = { to: someone(), ...hello, request_id: 'mail-once' };
    const first = await lotus.post('/email/queue', body);
    const again = await lotus.post('/email/queue', body);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const other = await lotus.post('/email/queue', { ...body, subject: 'Other' });
    expect([other.status, other.body.code]).toEqual([422, 'request_id_reused']);
    await omega.settled();
    expect(await handedOver(first.body.message_id)).toHaveLength(1);
  });

  test('is sent when it is due, and not before', async () => {
    const at = new Date(omega.clock.now() + 20_000).toISOString();
    const sent = await queue({ to: someone(), ...hello, send_at: at });
    expect((await messageOf(lotus, sent)).status).toBe('scheduled');
    await omega.tick(21_000);
    expect((await messageOf(lotus, sent)).status).toBe('delivered');
  });

  test('an address without a sender of the channel is no_sender, an unknown client 404', async () => {
    const wrongFrom = await lotus.post('/email/queue', {
      to: someone(),
      from: 'other@lotus.example',
      ...hello,
    });
    expect([wrongFrom.status, wrongFrom.body.code]).toEqual([422, 'no_sender']);
    const unknown = await lotus.post('/email/queue', { client_id: 999_999, ...hello });
    expect([unknown.status, unknown.body.code]).toEqual([404, 'not_found']);
  });

  test('HTML that nests without end is refused at once', async () => {
    const deep = await lotus.post('/email/queue', {
      to: someone(),
      subject: 'Hi',
      html: '<div>'.repeat(200_000),
    });
    expect([deep.status, deep.body.errors[0].path]).toEqual([422, 'html']);
  });

  test('text and HTML are counted in bytes: more than 1 MB is 422', async () => {
    const long = await lotus.post('/email/queue', {
      to: someone(),
      subject: 'Hi',
      text: 'é'.repeat(600_000),
    });
    expect([long.status, long.body.errors[0].path, long.body.errors[0].code]).toEqual([
      422,
      'text',
      'too_long',
    ]);
  });
});

describe('queueEmail: nothing from a caller can add a header or a recipient', () => {
  const controls = ['\r', '\n', '\r\n', '\0', '\t', '\v', '\x1b', '\x7f', '\u0085', '\u2028', '\u2029'];
  const fields: [string, (bad: string) => object, string][] = [
    ['subject', (bad) => ({ subject: `Hi${bad}Bcc: thief@evil.example` }), 'subject'],
    ['to', (bad) => ({ to: `ana@example.com${bad}` }), 'to'],
    ['to, within', (bad) => ({ to: `ana${bad}Bcc:x@evil.example` }), 'to'],
    ['from', (bad) => ({ from: `${bad}hello@lotus.example` }), 'from'],
    ['reply_to', (bad) => ({ reply_to: `desk@lotus.example${bad}Bcc: thief@evil.example` }), 'reply_to'],
    ['cc', (bad) => ({ cc: ['mum@example.com', `dad@example.com${bad}`] }), 'cc.1'],
    ['bcc', (bad) => ({ bcc: [`dad@example.com${bad}X-Evil: 1`] }), 'bcc.0'],
    [
      'a filename',
      (bad) => ({
        attachments: [
          { filename: `a${bad}Content-Type: text/html`, content_type: 'text/plain', content: 'aGk=' },
        ],
      }),
      'attachments.0.filename',
    ],
    [
      'a content type',
      (bad) => ({
        attachments: [{ filename: 'a', content_type: `text/plain${bad}X-Evil: 1`, content: 'aGk=' }],
      }),
      'attachments.0.content_type',
    ],
  ];
  test.each(fields)('a line break or control character in %s is 422 and names it', async (_, bad, path) => {
    for (const control of controls) {
      for (const operation of ['/email/queue', '/email/record']) {
        const answer = await lotus.post(operation, {
          to: 'ana@example.com',
          ...hello,
          ...(operation === '/email/record' && { direction: 'outbound' }),
          ...bad(control),
        });
        expect([answer.status, answer.body.errors?.map((one: { path: string }) => one.path)]).toEqual([
          422,
          [path],
        ]);
      }
    }
  });

  test.each([
    'a@b.com,c@d.com',
    'a@b.com;c@d.com',
    'a@b.com c@d.com',
    'Ana <a@b.com>',
    '<a@b.com>',
    '"a@b.com, c"@d.com',
    'a@b.com%0aBcc:c@d.com@e.com',
    'undisclosed:a@b.com;',
    'a(c@d.com)@b.com',
    'a@[127.0.0.1]',
    'a@b.com>',
    '@b.com:c@d.com',
    '-oQ/tmp a@b.com',
  ])('%s is not one address, wherever it stands', async (address) => {
    for (const [field, value, path] of [
      ['to', address, 'to'],
      ['reply_to', address, 'reply_to'],
      ['cc', [address], 'cc.0'],
      ['bcc', [address], 'bcc.0'],
    ] as const) {
      const answer = await lotus.post('/email/queue', { to: 'ana@example.com', ...hello, [field]: value });
      expect([answer.status, answer.body.errors[0].path]).toEqual([422, path]);
    }
  });

  test('a sender’s display name with a line break is refused at onboarding', async () => {
    const answer = await omega.platform.post('/business/onboard', {
      business_id: 3003,
      name: 'Crlf',
      country: 'US',
      time_zone: 'America/New_York',
      senders: [
        {
          channel: 'email',
          address: 'a@crlf.example',
          name: 'Crlf\r\nBcc: x@evil.example',
          provider: 'simulator',
        },
      ],
    });
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, 'senders.0.name']);
  });

  test('every fault is told at once', async () => {
    const answer = await lotus.post('/email/queue', {
      to: 'nobody',
      subject: 'a\nb',
      text: 'x',
      cc: ['y'],
      attachments: [{ filename: 'a\nb', content_type: 'nonsense', content: '!' }],
    });
    expect(answer.body.errors.map((one: { path: string }) => one.path)).toEqual([
      'to',
      'subject',
      'cc.0',
      'attachments.0.filename',
      'attachments.0.content_type',
      'attachments.0.content',
    ]);
  });

  test('nobody gets a mail twice, and who opted out gets no copy', async () => {
    const [to, stays, gone] = [someone(), someone(), someone()];
    await queue({ to: 'complaint@simulator.test', ...hello, category: 'marketing' });
    const sent = await queue({
      to,
      cc: [stays, to, stays.toUpperCase(), 'complaint@simulator.test'],
      bcc: [stays, gone],
      ...hello,
      category: 'marketing',
    });
    const [handed] = await handedOver(sent.message_id);
    expect(handed!.mail).toMatchObject({ cc: [stays], bcc: [gone] });
  });
});

describe('downloadAttachment', () => {
  const bytes = Buffer.from([0, 1, 2, 255, 254, 13, 10]);
  const file = { filename: 'plan.pdf', content_type: 'application/pdf', content: bytes.toString('base64') };

  test('downloadAttachment: are kept, handed to the carrier byte for byte, and can be downloaded', async () => {
    const sent = await queue({
      to: someone(),
      ...hello,
      attachments: [file, { filename: 'leer.txt', content_type: 'text/plain', content: '' }],
    });
    const { attachments } = await messageOf(lotus, sent);
    expect(attachments).toMatchObject([
      { filename: 'plan.pdf', content_type: 'application/pdf', size: 7 },
      { filename: 'leer.txt', content_type: 'text/plain', size: 0 },
    ]);
    const [handed] = await handedOver(sent.message_id);
    expect(handed!.mail!.attachments).toMatchObject([
      { filename: 'plan.pdf', size: 7, sha256: createHash('sha256').update(bytes).digest('hex') },
      { filename: 'leer.txt', size: 0 },
    ]);
    const key = (await omega.platform.post('/authentication/token', { business_id: 1001, staff_id: 12345 }))
      .body.token;
    const download = await fetch(
      `${omega.url}/businesses/1001/messages/${sent.message_id}/attachments/${attachments[0].attachment_id}`,
      {
        headers: { authorization: `Bearer ${key}` },
      },
    );
    expect(Buffer.from(await download.arrayBuffer())).toEqual(bytes);
    expect(Object.fromEntries(download.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment; filename="plan.pdf"; filename*=UTF-8\'\'plan.pdf',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
    });
  });

  test('a page or a drawing with a script is only ever a download', async () => {
    const sent = await queue({
      to: someone(),
      ...hello,
      attachments: [
        {
          filename: 'x.svg',
          content_type: 'image/svg+xml; x=1',
          content: Buffer.from('<svg onload=alert(1)>').toString('base64'),
        },
      ],
    });
    const { attachments } = await messageOf(lotus, sent);
    const answer = await lotus.get(
      `/businesses/1001/messages/${sent.message_id}/attachments/${attachments[0].attachment_id}`,
    );
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment;/);
  });

  test('another business finds neither file nor message, as with a random id', async () => {
    const sent = await queue({ to: someone(), ...hello, attachments: [file] });
    const [{ attachment_id }] = (await messageOf(lotus, sent)).attachments;
    const random = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e13';
    const theirs = await rival.get(
      `/businesses/2002/messages/${sent.message_id}/attachments/${attachment_id}`,
    );
    const none = await rival.get(`/businesses/2002/messages/${random}/attachments/${random}`);
    expect(theirs.status).toBe(404);
    expect({ ...theirs.body, request_id: '' }).toEqual({ ...none.body, request_id: '' });
    const wall = await rival.get(`/businesses/1001/messages/${sent.message_id}/attachments/${attachment_id}`);
    expect(wall.status).toBe(403);
  });

  test.each([
    'not base64!',
    'aGk',
    'aGk==',
    'aGl=',
    ' aGk=',
    'aGk=\n',
    'aG_-',
    'data:text/plain;base64,aGk=',
  ])('%j is not strict base64: 422 at its content', async (content) => {
    const answer = await lotus.post('/email/queue', {
      to: someone(),
      ...hello,
      attachments: [file, { ...file, content }],
    });
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, 'attachments.1.content']);
  });

  test.each([
    'nonsense',
    'text',
    'text/',
    '/plain',
    'text/plain;',
    'multipart/mixed; boundary=x',
    'text/html, text/plain',
  ])('the media type %j is refused', async (content_type) => {
    const answer = await lotus.post('/email/queue', {
      to: someone(),
      ...hello,
      attachments: [{ ...file, content_type }],
    });
    expect([answer.status, answer.body.errors[0].path]).toEqual([422, 'attachments.0.content_type']);
  });

  test('of megabytes are taken; a body beyond what they may have is 413', async () => {
    const content = Buffer.alloc(3 * 1024 * 1024, 7).toString('base64');
    const sent = await queue({ to: someone(), ...hello, attachments: [{ ...file, content }] });
    const [handed] = await handedOver(sent.message_id);
    expect(handed!.mail!.attachments).toMatchObject([{ size: 3 * 1024 * 1024 }]);
    const beyond = await lotus.post('/email/queue', `{"text":"${'x'.repeat(39 * 1024 * 1024)}"}`);
    expect(beyond.status).toBe(413);
  });
});

describe('recordEmail', () => {
  test('writes a mail down, sends nothing, and the same mail of a carrier twice is one', async () => {
    const body = {
      to: someone(),
      direction: 'inbound',
      html: '<p>Can I <script>x()</script>move?</p>',
      provider: 'postmark',
      provider_message_id: 'pm-1',
      occurred_at: '2026-03-10T14:00:00.000Z',
      attachments: [{ filename: 'a.txt', content_type: 'text/plain', content: 'aGk=' }],
    };
    const first = await lotus.post('/email/record', body);
    expect([first.status, first.body.status]).toEqual([201, 'received']);
    const again = await lotus.post('/email/record', body);
    expect(again.body.message_id).toBe(first.body.message_id);
    await omega.settled();
    expect(await handedOver(first.body.message_id)).toEqual([]);
    expect(await messageOf(lotus, first.body)).toMatchObject({
      content: 'Can I move?',
      html: '<p>Can I move?</p>',
      subject: null,
      unread: true,
      occurred_at: '2026-03-10T14:00:00.000Z',
      attachments: [{ filename: 'a.txt' }],
    });
    const kept = await omega.omega.database.db
      .selectFrom('messages')
      .select('html')
      .where('message_id', '=', first.body.message_id)
      .executeTakeFirstOrThrow();
    expect(kept.html).toBe(body.html);
  });

  test('a mail that had only text keeps having only text', async () => {
    const answer = await lotus.post('/email/record', {
      to: someone(),
      direction: 'outbound',
      status: 'delivered',
      ...hello,
    });
    expect(await messageOf(lotus, answer.body)).toMatchObject({ html: null, status: 'delivered' });
  });

  test('a mail of files alone is one, a mail of nothing is not', async () => {
    const attachments = [{ filename: 'a.txt', content_type: 'text/plain', content: 'aGk=' }];
    const files = await lotus.post('/email/record', { to: someone(), direction: 'inbound', attachments });
    expect([files.status, (await messageOf(lotus, files.body)).content]).toEqual([201, '']);
    const nothing = await lotus.post('/email/record', { to: someone(), direction: 'inbound' });
    expect([nothing.status, nothing.body.errors[0].path]).toEqual([422, 'text']);
  });
});

describe('updateEmailStatus', () => {
  test('moves forward only, and a late bounce turns delivered mail into undelivered', async () => {
    const sent = await queue({ to: someone(), ...hello });
    const report = (body: object) => lotus.post('/email/status', { message_id: sent.message_id, ...body });
    expect((await report({ status: 'sent' })).body).toEqual({
      message_id: sent.message_id,
      status: 'delivered',
      applied: false,
    });
    const bounce = { status: 'undelivered', error_code: '5.1.1', error_message: 'No such user' };
    expect((await report(bounce)).body).toMatchObject({ status: 'undelivered', applied: true });
    expect((await report({ status: 'delivered' })).body.applied).toBe(false);
    expect(await messageOf(lotus, sent)).toMatchObject({
      status: 'undelivered',
      reason: 'invalid_address',
      retryable: false,
      error_code: '5.1.1',
      error_message: 'No such user',
      advice: expect.stringContaining('address'),
    });
  });

  test('finds the mail by its carrier’s id, and answers 404 for a text, a stranger’s mail and a random id', async () => {
    const sent = await queue({ to: someone(), ...hello });
    const { provider_message_id } = await messageOf(lotus, sent);
    const named = { provider: 'simulator', provider_message_id, status: 'read' };
    expect((await lotus.post('/email/status', named)).body.applied).toBe(true);
    expect((await rival.post('/email/status', named)).status).toBe(404);
    const text = await lotus.post('/sms/queue', { to: '+12025550177', content: 'Hi' });
    const wrong = await lotus.post('/email/status', {
      message_id: text.body.message_id,
      status: 'delivered',
    });
    expect(wrong.status).toBe(404);
    expect((await lotus.post('/email/status', { status: 'delivered' })).status).toBe(422);
  });
});

describe("queueEmail to the simulator's mailboxes", () => {
  test.each([
    ['success', { status: 'delivered', reason: null }],
    ['bounce', { status: 'undelivered', reason: 'invalid_address', error_code: '5.1.1', retryable: false }],
    ['softbounce', { status: 'undelivered', reason: 'unreachable', error_code: '4.2.2', retryable: true }],
    ['suppressed', { status: 'failed', reason: 'blocked', error_code: 'suppressed', retryable: false }],
  ])('%s@simulator.test', async (mailbox, expected) => {
    const sent = await queue({ to: `${mailbox}@simulator.test`, ...hello });
    expect(await messageOf(lotus, sent)).toMatchObject(expected);
  });

  test('complaint@ is delivered, and the complaint ends marketing mail but not appointments', async () => {
    const to = 'complaint@simulator.test';
    const rivalsFirst = await rival.post('/email/queue', { to, ...hello });
    const sent = await queue({ to, ...hello });
    const message = await messageOf(lotus, sent);
    expect(message.status).toBe('delivered');
    expect(message.complained_at).toEqual(expect.any(String));
    expect(message.opened_at).toBeNull();
    const campaign = await lotus.post('/email/queue', { to, ...hello, category: 'marketing' });
    expect(campaign.body).toMatchObject({ status: 'suppressed', reason: 'opted_out' });
    const reminder = await queue({ to, ...hello });
    expect((await messageOf(lotus, reminder)).status).toBe('delivered');
    const ledger = await omega.omega.database.db
      .selectFrom('consents')
      .selectAll()
      .where('business_id', '=', 2002)
      .execute();
    expect(ledger).toMatchObject([
      {
        channel: 'email',
        address: to,
        category: 'marketing',
        state: 'revoked',
        source: 'complaint',
        evidence: { message_id: rivalsFirst.body.message_id, provider: 'simulator' },
      },
    ]);
    const events = await omega.omega.database.db
      .selectFrom('events')
      .select('type')
      .where('business_id', '=', 2002)
      .where('type', 'in', ['message.complained', 'consent.revoked'])
      .execute();
    expect(events.map(({ type }) => type)).toEqual(['message.complained', 'consent.revoked']);
  });

  test('ooto@ answers by itself: seen as unread, but nobody waits for it and nothing reopens', async () => {
    const sent = await queue({ to: 'ooto@simulator.test', ...hello });
    const list = await lotus.get(
      `/businesses/1001/clients/${sent.client_id}/conversations/${sent.conversation_id}/messages?direction=inbound`,
    );
    expect(list.body.data).toMatchObject([
      { subject: 'Out of office', auto_reply: true, unread: true, status: 'received' },
    ]);
    expect(await conversationOf(sent)).toMatchObject({ unread_count: 1, waiting_since: null });
  });
});

test('hostile mail that comes in is shown safe, and its subject is one line', async () => {
  const answer = await lotus.post('/simulator/inbound', {
    channel: 'email',
    from: someone(),
    to: 'hello@lotus.example',
    subject: 'Hi\r\nBcc: x@evil.example',
    html: '<a href="javascript:alert(1)">Go</a><img src=x onerror=alert(1)><p>Text</p>',
  });
  expect(answer.status).toBe(201);
  expect(await messageOf(lotus, answer.body)).toMatchObject({
    subject: 'Hi Bcc: x@evil.example',
    html: '<a>Go</a><img /><p>Text</p>',
    content: expect.stringContaining('Text'),
  });
  expect(await conversationOf(answer.body)).toMatchObject({ unread_count: 1, channels: ['email'] });
});
