import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type SmtpPeer, startSmtp } from '../support/smtp.ts';

let omega: RunningOmega;
let smtp: SmtpPeer;
let lotus: Client;

beforeAll(async () => {
  smtp = await startSmtp();
  omega = await startOmega({ carrierDeadlineMs: 3_000, publicUrl: 'https://omega.example' });
  const { api } = await omega.business({
    business_id: 1001,
    name: 'Lotus <Yoga>',
    senders: [{ channel: 'email', address: 'hello@lotus.example', provider: 'smtp' }],
    providers: { smtp: { url: smtp.url } },
  });
  lotus = api;
});
afterAll(async () => {
  await omega.close();
  await smtp.close();
});

let count = 0;
const someone = () => `client-${++count}@example.com`;

/** Sends a mail and answers what the server got of it, and its button's path under the API. */
async function send(to: string, category: 'marketing' | 'transactional') {
  smtp.mails.length = 0;
  const answer = await lotus.post('/email/queue', { to, subject: 'Spring', text: 'New classes!', category });
  expect(answer.status).toBe(202);
  await omega.settled();
  const [mail] = smtp.mails;
  const header = (name: string) => mail?.parsed.headers.find(({ key }) => key === name)?.value;
  const link = header('list-unsubscribe');
  return {
    ...(answer.body as { message_id: string; client_id: number; status: string }),
    link,
    post: header('list-unsubscribe-post'),
    path: link?.match(/^<https:\/\/omega\.example\/omega(\/email\/unsubscribe\/[\w-]+)>$/)?.[1],
  };
}

/** As a mail program does it: no credentials, no cookie, a form. */
const click = (
  path: string,
  body = 'List-Unsubscribe=One-Click',
  type = 'application/x-www-form-urlencoded',
) => omega.as(null).call('POST', path, body, { 'content-type': type });

const ledgerOf = async (address: string) =>
  (await lotus.get(`/businesses/1001/consents?address=${encodeURIComponent(address)}`)).body.data;

test('a marketing mail has the button of RFC 8058, and another mail has none', async () => {
  const to = someone();
  const { link, post, path } = await send(to, 'marketing');
  expect(path).toBeDefined();
  expect(post).toBe('List-Unsubscribe=One-Click');
  // Nothing of a person in it, in clear or encoded.
  const token = path!.split('/').at(-1)!;
  for (const text of [token, Buffer.from(token, 'base64url').toString('latin1')])
    expect(text).not.toContain('client-');
  expect(link).not.toContain('@');
  expect(await send(to, 'transactional')).toMatchObject({ link: undefined, post: undefined });
});

test('opening the link changes nothing and shows a button; the click unsubscribes, once however often', async () => {
  const to = someone();
  const sent = await send(to, 'marketing');
  for (const method of ['GET', 'HEAD', 'GET']) {
    const opened = await omega.as(null).call(method, sent.path!);
    expect(opened.status).toBe(200);
    expect(opened.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(opened.headers.get('content-security-policy')).toContain("default-src 'none'");
    if (method === 'GET') expect(opened.body).toContain('<form method="post">');
    expect(opened.body).not.toContain('<Yoga>');
  }
  expect(await ledgerOf(to)).toEqual([]);

  const clicks = await Promise.all([click(sent.path!), click(sent.path!)]);
  expect(clicks.map((answer) => answer.status)).toEqual([200, 200]);
  expect((await click(sent.path!, '--x\r\nfoo\r\n--x--', 'multipart/form-data; boundary=x')).body).toContain(
    'You are unsubscribed',
  );
  expect(await ledgerOf(to)).toMatchObject([
    {
      channel: 'email',
      address: to,
      category: 'marketing',
      state: 'revoked',
      source: 'one_click',
      evidence: { message_id: sent.message_id },
      client_id: sent.client_id,
    },
  ]);
  const events = await omega.omega.database.db
    .selectFrom('events')
    .select(['type', 'actor', 'data'])
    .where('type', 'in', ['consent.revoked', 'message.unsubscribed'])
    .execute();
  expect(events.filter(({ data }) => data.message_id === sent.message_id).map(({ type }) => type)).toEqual([
    'consent.revoked',
    'message.unsubscribed',
  ]);

  expect(await send(to, 'marketing')).toMatchObject({ status: 'suppressed', link: undefined });
  expect(smtp.mails).toHaveLength(0);
  expect((await send(to, 'transactional')).status).toBe('queued');
  expect(smtp.mails).toHaveLength(1);
});

test('who came back and clicks again, in an old mail too, leaves again', async () => {
  const to = someone();
  const sent = await send(to, 'marketing');
  await click(sent.path!);
  await omega.tick(60_000);
  const grant = {
    channel: 'email',
    address: to,
    category: 'marketing',
    state: 'granted',
    source: 'front_desk',
  };
  expect((await lotus.post('/businesses/1001/consents', grant)).status).toBe(201);
  expect((await send(to, 'marketing')).status).toBe('queued');
  await omega.tick(60_000);
  await click(sent.path!);
  expect((await send(to, 'marketing')).status).toBe('suppressed');
});

test('the link of an erased client works, and holds when the same address comes back', async () => {
  const to = someone();
  const sent = await send(to, 'marketing');
  const erased = await lotus.call('DELETE', `/businesses/1001/clients/${sent.client_id}`);
  expect(erased.status).toBe(200);
  expect((await click(sent.path!)).status).toBe(200);
  expect((await click(sent.path!)).status).toBe(200);
  const { rows } = await omega.omega.database.pglite!.query<{ text: string }>(
    `select (c.*)::text as text from consents c where source = 'one_click'`,
  );
  expect(rows.some(({ text }) => text.includes(to))).toBe(false);
  expect(await ledgerOf(to)).toMatchObject([{ source: 'one_click', address: null }]);
  expect((await send(to, 'marketing')).status).toBe('suppressed');
});

test('a link that was changed anywhere does nothing, and is 403', async () => {
  const to = someone();
  const { path } = await send(to, 'marketing');
  const [, token] = path!.match(/\/([\w-]+)$/)!;
  const at = (i: number, character: string) => token!.slice(0, i) + character + token!.slice(i + 1);
  const changed = [...token!].map((character, i) => at(i, character === 'A' ? 'B' : 'A'));
  for (const other of [...changed, token!.slice(1), `${token}A`, 'x']) {
    // The last character of base64url has bits that mean nothing: it must be exactly ours all the same.
    const answer = await click(`/email/unsubscribe/${other}`);
    expectProblem(answer, 403, 'invalid_signature', other);
  }
  expect(await ledgerOf(to)).toEqual([]);
  const opened = await omega.as(null).get('/email/unsubscribe/x');
  expect(opened.body).toContain('not complete');
});
