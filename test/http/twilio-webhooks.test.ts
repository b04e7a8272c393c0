import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../server/core/log.ts';
import { createCarrierEvents } from '../../server/messages/index.ts';
import {
  accountSid,
  authToken,
  basic,
  type FakeTwilio,
  postAsTwilio,
  publicUrl,
  serviceSid,
  signed,
  startFakeTwilio,
} from '../support/fake-twilio.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'twilio_webhook_params.json'), 'utf8'),
);
let omega: RunningOmega;
let twilio: FakeTwilio;
let api: Client;
let other: Client;
const number = '+14155550100';
const secondary = 'the token that comes next';
const otherSid = `AC${'f6'.repeat(16)}`;
const incoming = '/twilio/sms/incoming';

beforeAll(async () => {
  omega = await startOmega({ publicUrl });
  twilio = await startFakeTwilio(() => omega.clock.now());
  const account = { account_sid: accountSid, auth_token: authToken, api_base_url: twilio.url };
  ({ api } = await omega.business({
    business_id: 4001,
    senders: [
      { channel: 'sms', address: number, provider: 'twilio' },
      { channel: 'whatsapp', address: '+14155550101', provider: 'twilio' },
    ],
    providers: {
      twilio: { ...account, auth_token_secondary: secondary, messaging_service_sid: serviceSid },
    },
  }));
  // It claims the same number; the account is another's, and so is the token.
  ({ api: other } = await omega.business({
    business_id: 4002,
    senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
    providers: { twilio: { ...account, account_sid: otherSid, auth_token: 'of another account' } },
  }));
});
afterAll(async () => {
  expect(await twilio.violations()).toEqual([]);
  await omega.close();
  await twilio.close();
});

let last = 0x1000;
const newSid = (prefix = 'SM') => prefix + (last++).toString(16).padStart(32, '0');

/** The documented parameters of a text, as from a client of this test. */
function params(more: Record<string, string> = {}): Record<string, string> {
  const sid = newSid();
  const of = { MessageSid: sid, SmsMessageSid: sid, SmsSid: sid, AccountSid: accountSid };
  return { ...vectors.incoming_sms, ...of, To: number, ...more };
}

async function received(client: Client, from: string, businessId = client === api ? 4001 : 4002) {
  const { body } = await client.get(
    `/businesses/${businessId}/conversations?client=${encodeURIComponent(from)}`,
  );
  const conversation = body.data[0];
  if (!conversation) return [];
  const { business_id, client: who, conversation_id } = conversation;
  const page = await client.get(
    `/businesses/${business_id}/clients/${who.client_id}/conversations/${conversation_id}/messages`,
  );
  return page.body.data;
}

const quarantined = async () =>
  (await omega.platform.get('/webhook-receipts?state=quarantined&limit=100')).body.data;

describe('receiveTwilioSms: a text from a client', () => {
  it('becomes a message of the conversation, and is answered with empty TwiML', async () => {
    const answer = await postAsTwilio(
      omega,
      incoming,
      params({ From: '+17065550101', Body: 'Is 10 free? 😀' }),
    );
    expect(answer).toEqual({
      status: 200,
      type: 'text/xml',
      text: '<?xml version="1.0" encoding="UTF-8"?><Response/>',
    });
    const [message] = await received(api, '+17065550101');
    expect(message).toMatchObject({
      content: 'Is 10 free? 😀',
      direction: 'inbound',
      channel: 'sms',
      provider: 'twilio',
      from: '+17065550101',
      to: number,
    });
    expect(await received(other, '+17065550101')).toEqual([]);
  });

  it('ten times, five at once, is one message', async () => {
    const text = params({ From: '+17065550102' });
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => postAsTwilio(omega, incoming, text)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    expect(await received(api, '+17065550102')).toHaveLength(1);
  });

  it('to a number of the pool that Omega was not told of is taken all the same', async () => {
    const text = params({ From: '+17065550103', To: '+14155550199', MessagingServiceSid: serviceSid });
    expect((await postAsTwilio(omega, incoming, text)).status).toBe(200);
    expect(await received(api, '+17065550103')).toMatchObject([{ to: '+14155550199' }]);
  });

  it('names an account that is not known: it is found by the messaging service, or by the number, if their token signed', async () => {
    const AccountSid = `AC${'0'.repeat(32)}`;
    const From = '+17065550113';
    const byService = {
      ...params({ From, To: '+14155550198' }),
      AccountSid,
      MessagingServiceSid: serviceSid,
    };
    const byNumber = { ...params({ From }), AccountSid };
    const byNeither = { ...params({ From, To: '+14155550198' }), AccountSid };
    for (const text of [byService, byNumber]) {
      expect((await postAsTwilio(omega, incoming, text, { token: 'of nobody' })).status).toBe(403);
      expect((await postAsTwilio(omega, incoming, text)).status).toBe(200);
    }
    expect((await postAsTwilio(omega, incoming, byNeither)).status).toBe(403);
    const texts = await received(api, From);
    expect(texts.map(({ to }: { to: string }) => to).sort()).toEqual(['+14155550100', '+14155550198']);
    expect(await received(other, From)).toEqual([]);
  });

  it('of a subaccount is signed with its own token, and is of its business alone', async () => {
    const subaccount = `AC${'5a'.repeat(16)}`;
    const token = 'of the subaccount';
    const at = '+14155550103';
    const { api: branch } = await omega.business({
      business_id: 4003,
      senders: [{ channel: 'sms', address: at, provider: 'twilio' }],
      providers: { twilio: { account_sid: subaccount, auth_token: token, api_base_url: twilio.url } },
    });
    const text = { ...params({ From: '+17065550114', To: at }), AccountSid: subaccount };
    // The token of the main account, which another business has, is not the one that Twilio signs with.
    expect((await postAsTwilio(omega, incoming, text)).status).toBe(403);
    expect((await postAsTwilio(omega, incoming, text, { token })).status).toBe(200);
    expect(await received(branch, '+17065550114', 4003)).toHaveLength(1);
    expect(await received(api, '+17065550114')).toEqual([]);
  });

  it('by WhatsApp belongs to the same client', async () => {
    const from = '+17065550104';
    await postAsTwilio(omega, incoming, params({ From: from }));
    const text = params({ From: `whatsapp:${from}`, To: 'whatsapp:+14155550101', Body: 'Hola' });
    await postAsTwilio(omega, incoming, text);
    expect(await received(api, from)).toMatchObject([
      { channel: 'whatsapp', from, to: '+14155550101', content: 'Hola' },
      { channel: 'sms', from },
    ]);
  });

  it('with bytes that are no text is kept and answered, and costs nothing else', async () => {
    const body = 'MessageSid=nonsense&Body=%FF%00%FE&AccountSid=';
    const form = Object.fromEntries(new URLSearchParams(body + accountSid));
    const answer = await postAsTwilio(omega, incoming, form);
    expect(answer.status).toBe(200);
    const { body: page } = await omega.platform.get('/webhook-receipts?state=unreadable');
    expect(page.data[0]).toMatchObject({ source: 'twilio.sms.incoming', business_id: 4001 });
  });

  it('with NUL in it is stored without', async () => {
    await postAsTwilio(omega, incoming, params({ From: '+17065550105', Body: 'a\u0000b' }));
    expect(await received(api, '+17065550105')).toHaveLength(1);
  });
});

describe('opting out', () => {
  const status = async (to: string) => (await api.post('/sms/queue', { to, content: 'Hi' })).body.status;

  it('follows OptOutType, in whatever language the word was, and Twilio has answered it already', async () => {
    const from = '+17065550106';
    await postAsTwilio(omega, incoming, params({ From: from, Body: 'PARAR', OptOutType: 'STOP' }));
    expect(await status(from)).toBe('suppressed');
    await postAsTwilio(omega, incoming, params({ From: from, Body: 'AYUDA', OptOutType: 'HELP' }));
    expect(await status(from)).toBe('suppressed');
    await postAsTwilio(omega, incoming, params({ From: from, Body: 'ALTA', OptOutType: 'START' }));
    expect(await status(from)).toBe('queued');
    await omega.settled();
    // The one that was queued above; nothing of ours confirms what Twilio confirms.
    expect(twilio.messages.filter(({ to }) => to === from).map(({ body }) => body)).toEqual(['Hi']);
  });

  it('follows the plain keywords too', async () => {
    await postAsTwilio(omega, incoming, params({ From: '+17065550107', Body: 'Stop.' }));
    expect(await status('+17065550107')).toBe('suppressed');
  });
});

describe('the signature', () => {
  const post = (path: string, body: string, headers: Record<string, string>) =>
    fetch(omega.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });
  const sign = (text: string, token = authToken) => createHmac('sha1', token).update(text).digest('base64');
  const textOf = (form: Record<string, string>) =>
    Object.keys(form)
      .sort()
      .map((name) => name + form[name])
      .join('');

  it.each([
    ['without a port', `${publicUrl}/omega${incoming}`, authToken],
    ['with the port', `${publicUrl}:443/omega${incoming}`, authToken],
    ['with the secondary token', `${publicUrl}/omega${incoming}`, secondary],
  ])('fits %s', async (_, url, token) => {
    const form = params({ From: '+17065550108' });
    const signature = sign(url + textOf(form), token);
    expect((await postAsTwilio(omega, incoming, form, { signature })).status).toBe(200);
  });

  it('of a JSON body is over its hash in the URL', async () => {
    const body = JSON.stringify({ any: 'thing' });
    const hash = createHash('sha256').update(body).digest('hex');
    const path = `/twilio/sms/status?business_id=4001&bodySHA256=${hash}`;
    const headers = {
      'content-type': 'application/json',
      'x-twilio-signature': sign(`${publicUrl}/omega${path}`),
    };
    expect((await post(path, body, headers)).status).toBe(200);
    expect((await post(path, `${body} `, headers)).status).toBe(403);
  });

  it('does not fit after any change of one byte, of the body, the URL or itself', async () => {
    const form = params({ From: '+17065550109', Body: "It's 10, ok?" });
    const body = new URLSearchParams(form).toString();
    const path = `${incoming}?a=b`;
    const signature = signed(`${publicUrl}/omega${path}`, form);
    const before = (await received(api, '+17065550109')).length;
    const changed = (text: string, at: number) =>
      text.slice(0, at) + (text[at] === 'X' ? 'Y' : 'X') + text.slice(at + 1);
    const attempts: Promise<Response>[] = [];
    const headers = { 'x-twilio-signature': signature };
    for (let at = 0; at < body.length; at++) attempts.push(post(path, changed(body, at), headers));
    for (let at = 0; at < signature.length; at++)
      attempts.push(post(path, body, { 'x-twilio-signature': changed(signature, at) }));
    attempts.push(post(`${incoming}?a=c`, body, headers), post(incoming, body, headers));
    attempts.push(post('/twilio/sms/status?a=b', body, headers));
    const statuses = (await Promise.all(attempts)).map((answer) => answer.status);
    expect(statuses.filter((status) => status !== 403)).toEqual([]);
    expect((await received(api, '+17065550109')).length).toBe(before);
    expect((await post(path, body, headers)).status).toBe(200);
  });

  it('by another account, none, twice, or believing a forged host, has no effect', async () => {
    const form = params({ From: '+17065550110' });
    const body = new URLSearchParams(form).toString();
    const good = signed(`${publicUrl}/omega${incoming}`, form);
    const forged = signed(`https://evil.example/omega${incoming}`, form);
    const refused: Record<string, string>[] = [
      {},
      { 'x-twilio-signature': '' },
      { 'x-twilio-signature': signed(`${publicUrl}/omega${incoming}`, form, 'of another token') },
      { 'x-twilio-signature': `${good}, ${good}` },
      { 'x-twilio-signature': forged, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
    ];
    for (const headers of refused) expect((await post(incoming, body, headers)).status).toBe(403);
    expect(await received(api, '+17065550110')).toEqual([]);
    // Its own token, about a number that both claim: its own business alone.
    const theirs = { ...params({ From: '+17065550110' }), AccountSid: otherSid };
    expect((await postAsTwilio(omega, incoming, theirs, { token: 'of another account' })).status).toBe(200);
    expect(await received(api, '+17065550110')).toEqual([]);
    expect(await received(other, '+17065550110')).toHaveLength(1);
  });

  it('cannot be bent: a value that takes up the next name makes no second text', async () => {
    const form = params({ From: '+17065550111' });
    const { MessageSid, NumMedia, ...rest } = form;
    const bent = { ...rest, MessageSid: `${MessageSid}NumMedia${NumMedia}` };
    const signature = signed(`${publicUrl}/omega${incoming}`, form);
    expect(signed(`${publicUrl}/omega${incoming}`, bent)).toBe(signature);
    await postAsTwilio(omega, incoming, form, { signature });
    await postAsTwilio(omega, incoming, bent, { signature });
    expect(await received(api, '+17065550111')).toHaveLength(1);
  });

  it('that does not fit is in quarantine with its body, and replayed after the token is mended', async () => {
    const form = params({ From: '+17065550112', Body: 'Not lost' });
    const answer = await postAsTwilio(omega, incoming, form, { token: 'a rotated token' });
    expect(answer.status).toBe(403);
    const [receipt] = await quarantined();
    expect(receipt).toMatchObject({ source: 'twilio.sms.incoming', provider: 'twilio' });
    const { body } = await omega.platform.get(`/webhook-receipts/${receipt.receipt_id}`);
    expect(body.body).toContain('Body=Not+lost');
    const replay = () => omega.platform.post(`/webhook-receipts/${receipt.receipt_id}/replay`);
    expect((await replay()).body.state).toBe('quarantined');
    await omega.business({
      business_id: 4001,
      senders: [{ channel: 'sms', address: number, provider: 'twilio' }],
      providers: {
        twilio: {
          account_sid: accountSid,
          auth_token: authToken,
          auth_token_secondary: 'a rotated token',
          messaging_service_sid: serviceSid,
          api_base_url: twilio.url,
        },
      },
    });
    expect((await replay()).body.state).toBe('applied');
    expect((await replay()).body.state).toBe('applied');
    expect(await received(api, '+17065550112')).toMatchObject([{ content: 'Not lost' }]);
  });
});

describe('updateTwilioSmsStatus: a status callback', () => {
  it("signed with one's own token reaches no message of another business", async () => {
    const { body } = await api.post('/sms/queue', { to: '+17065550120', content: 'Hi' });
    await omega.settled();
    const sid = twilio.messages.find(({ to }) => to === '+17065550120')!.sid;
    const form = {
      ...vectors.message_status,
      MessageStatus: 'delivered',
      MessageSid: sid,
      AccountSid: otherSid,
    };
    const path = (business: number) =>
      `/twilio/sms/status?business_id=${business}&message_id=${body.message_id}`;
    const token = 'of another account';
    expect((await postAsTwilio(omega, path(4001), form, { token })).status).toBe(403);
    expect((await postAsTwilio(omega, path(4002), form, { token })).status).toBe(200);
    const { message } = (await api.get(`/messages/${body.message_id}/timeline`)).body;
    expect(message.status).toBe('sending');
  });

  it('of an unknown message is kept, and counts once the message is recorded', async () => {
    const sid = newSid();
    const form = {
      ...vectors.message_status_failed,
      MessageSid: sid,
      SmsSid: sid,
      AccountSid: accountSid,
      From: number,
    };
    expect((await postAsTwilio(omega, '/twilio/sms/status', form)).status).toBe(200);
    const { body } = await api.post('/sms/record', {
      to: '+17065550121',
      direction: 'outbound',
      content: 'By another system',
      provider: 'twilio',
      provider_message_id: sid,
    });
    const { database, queue, secrets } = omega.omega;
    const log = createLog({ level: 'fatal', pretty: false });
    await createCarrierEvents({ db: database.db, queue, clock: omega.clock, log, secrets }).resume();
    const { message } = (await api.get(`/messages/${body.message_id}/timeline`)).body;
    expect(message).toMatchObject({ status: 'undelivered', error_code: '30003' });
  });

  it('of a kind that is not known is kept and answered', async () => {
    const form = {
      ...vectors.message_status,
      AccountSid: accountSid,
      From: number,
      MessageStatus: 'pondering',
    };
    expect((await postAsTwilio(omega, '/twilio/sms/status', form)).status).toBe(200);
    const { body } = await omega.platform.get('/webhook-receipts?state=ignored');
    expect(body.data[0].note).toContain('pondering');
  });
});

describe('pictures', () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  const mediaPath = (sid: string, n: number) =>
    `/2010-04-01/Accounts/${accountSid}/Messages/${sid}/Media/ME${String(n).padStart(32, '0')}`;
  const serves = (body: Buffer | string, headers: Record<string, string> = {}, status = 200) =>
    ((_: unknown, response: ServerResponse) => response.writeHead(status, headers).end(body)) as never;

  /** An MMS with links as Twilio writes them, which lead to the mock in its place. */
  async function mms(from: string, count: number, link = (path: string) => `https://api.twilio.com${path}`) {
    const sid = newSid('MM');
    const paths = Array.from({ length: count }, (_, i) => mediaPath(sid, i));
    const { Body: _, ...form } = params({
      From: from,
      MessageSid: sid,
      SmsMessageSid: sid,
      SmsSid: sid,
      NumMedia: String(count),
      ...Object.fromEntries(
        paths.flatMap((path, i) => [
          [`MediaUrl${i}`, link(path)],
          [`MediaContentType${i}`, 'image/jpeg'],
        ]),
      ),
    });
    return { form, paths };
  }

  it('getAttachmentLink, downloadLinkedAttachment: all of an MMS without words are kept with it, and served by a link that expires', async () => {
    const { form, paths } = await mms('+17065550130', 3);
    for (const path of paths) twilio.media.set(path, serves(png, { 'content-type': 'text/html' }));
    expect((await postAsTwilio(omega, incoming, form)).status).toBe(200);
    await omega.settled();
    const [message] = await received(api, '+17065550130');
    expect(message.content).toBe('');
    expect(message.attachments).toMatchObject(
      [1, 2, 3].map((n) => ({ filename: `media-${n}.png`, content_type: 'image/png', size: png.length })),
    );
    const asked = twilio.asked.filter(({ path }) => paths.includes(path));
    expect(asked.map(({ authorization }) => authorization)).toEqual(
      Array(3).fill(basic(accountSid, authToken)),
    );

    const base = `/businesses/4001/messages/${message.message_id}/attachments/${message.attachments[0].attachment_id}`;
    const { body: link } = await api.get(`${base}/link`);
    expect((await other.get(`${base}/link`)).status).toBe(403);
    const local = link.url.replace(`${publicUrl}/omega`, omega.url);
    const file = await fetch(local);
    expect(Buffer.from(await file.arrayBuffer())).toEqual(png);
    expect(Object.fromEntries(file.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': expect.stringMatching(/^attachment; filename="media-1.png"/),
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-store',
    });
    for (const at of [0, 20, local.length - 1]) {
      const text = link.url.split('/').at(-1);
      const bent = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
      if (bent !== text) expect((await fetch(`${omega.url}/attachments/${bent}`)).status).toBe(404);
    }
    await omega.tick(600_000);
    expect((await fetch(local)).status).toBe(404);
  });

  it.each([
    ['a visiting card', 'BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n', 'media-1.vcf'],
    ['an appointment', 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n', 'media-1.ics'],
    ['a PDF', '%PDF-1.7\n%%EOF', 'media-1.pdf'],
  ])('may be %s', async (what, content, filename) => {
    const from = `+170655503${10 + what.length}`;
    const { form, paths } = await mms(from, 1);
    twilio.media.set(paths[0]!, serves(content));
    await postAsTwilio(omega, incoming, form);
    await omega.settled();
    expect((await received(api, from))[0].attachments).toMatchObject([{ filename }]);
  });

  it('are fetched again when Twilio was not ready', async () => {
    const { form, paths } = await mms('+17065550131', 1);
    let times = 0;
    twilio.media.set(paths[0]!, ((_: unknown, response: ServerResponse) =>
      ++times < 3 ? response.writeHead(503).end() : response.end(png)) as never);
    await postAsTwilio(omega, incoming, form);
    await omega.settled();
    for (let i = 0; i < 4; i++) await omega.tick(60_000);
    expect((await received(api, '+17065550131'))[0].attachments).toHaveLength(1);
  });

  it.each([
    ['a page', serves('<script>alert(1)</script>', { 'content-type': 'image/png' })],
    ['an SVG', serves('<svg xmlns="http://www.w3.org/2000/svg"/>', { 'content-type': 'image/svg+xml' })],
    ['21 MB', serves(Buffer.concat([png, Buffer.alloc(21 * 1024 * 1024)]))],
    ['what is gone', serves('', {}, 404)],
    ['a link elsewhere', serves('', { location: 'http://127.0.0.1:1/x.png' }, 307)],
    ['a link to the metadata of a cloud', serves('', { location: 'http://169.254.169.254/latest' }, 302)],
    ['a link to somebody’s bucket', serves('', { location: 'https://s3-external-1.amazonaws.com/x/y' }, 302)],
  ])('that are none are refused, with the reason in the timeline: %s', async (what, handler) => {
    const from = `+170655501${40 + what.length}`;
    const { form, paths } = await mms(from, 1);
    twilio.media.set(paths[0]!, handler);
    await postAsTwilio(omega, incoming, form);
    await omega.settled();
    const [message] = await received(api, from);
    expect(message.attachments).toEqual([]);
    const { entries } = (await api.get(`/messages/${message.message_id}/timeline`)).body;
    expect(entries.find(({ kind }: { kind: string }) => kind === 'media.refused')).toBeDefined();
  });

  it.each([
    ['another host', () => 'https://evil.example/x.png'],
    ['a host that begins alike', () => 'https://api.twilio.com.evil.example/x.png'],
    ['a user before the host', () => 'https://api.twilio.com@evil.example/x.png'],
    ['another port', () => 'https://api.twilio.com:8443/x.png'],
    ['no encryption', () => 'http://api.twilio.com/x.png'],
    ['this machine', () => 'http://127.0.0.1:22/x.png'],
    ['a file', () => 'file:///etc/passwd'],
  ])('are asked of Twilio alone: %s is not called', async (what, link) => {
    const from = `+170655502${10 + what.length}`;
    const before = twilio.asked.length;
    const { form } = await mms(from, 1, link);
    await postAsTwilio(omega, incoming, form);
    await omega.settled();
    const [message] = await received(api, from);
    const { entries } = (await api.get(`/messages/${message.message_id}/timeline`)).body;
    expect(entries.find(({ kind }: { kind: string }) => kind === 'media.refused').data.detail).toContain(
      'not Twilio',
    );
    expect(twilio.asked).toHaveLength(before);
  });

  it('whose link leads on within Twilio get no credentials there', async () => {
    const { form, paths } = await mms('+17065550139', 1);
    twilio.media.set(paths[0]!, serves('', { location: '/store/picture' }, 307));
    twilio.media.set('/store/picture', serves(png));
    await postAsTwilio(omega, incoming, form);
    await omega.settled();
    expect((await received(api, '+17065550139'))[0].attachments).toHaveLength(1);
    expect(twilio.asked.find(({ path }) => path === '/store/picture')!.authorization).toBeUndefined();
  });
});
