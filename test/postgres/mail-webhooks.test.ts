import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import {
  type Amazon,
  type MailAccount,
  mailAccount,
  mailEvents,
  post,
  startAmazon,
} from '../support/mail-providers.ts';
import { type Pair, startPair } from '../support/pair.ts';
import { connect } from '../support/postgres.ts';

let pair: Pair;
let amazon: Amazon;
let lotus: MailAccount;
const { sendgrid } = mailEvents(Date.now);
beforeAll(async () => {
  amazon = await startAmazon();
  pair = await startPair({ amazonAgent: amazon.agent, lockTimeoutMs: 30_000 });
  lotus = mailAccount(Date.now, 'arn:aws:sns:us-east-1:123456789012:lotus', amazon);
  await pair.one.business({ business_id: 1001, providers: lotus.providers });
});
afterAll(async () => {
  await pair?.close();
  await amazon?.close();
});

let count = 0;
async function sentMail() {
  const to = `client-${++count}@example.com`;
  const mail = { to, direction: 'outbound', subject: 'Your class', text: 'See you', status: 'sent' };
  return { ...(await pair.apis[0].post('/email/record', mail)).body, to } as {
    message_id: string;
    to: string;
  };
}
const bothAtOnce = (path: string, told: ReturnType<MailAccount['postmark']>) =>
  Promise.all(Array.from({ length: 10 }, (_, i) => post(i % 2 ? pair.one : pair.two, path, told)));
const statusOf = async (messageId: string) =>
  (await pair.rows<{ status: string }>('select status from messages where message_id = $1', [messageId]))[0]
    ?.status;

test('an event that two processes hear ten times at once happens once', async () => {
  const mail = await sentMail();
  const told = lotus.sendgrid([sendgrid(mail, 'delivered'), sendgrid(mail, 'unsubscribe')]);
  expect(new Set(await bothAtOnce('sendgrid', told))).toEqual(new Set([200]));
  const kinds = await pair.rows<{ kind: string }>(
    `select kind from message_timeline where message_id = $1 and kind <> 'recorded' order by kind`,
    [mail.message_id],
  );
  expect(kinds.map(({ kind }) => kind)).toEqual(['fact.unsubscribe', 'status.delivered']);
  expect(await pair.rows('select 1 from consents where address = $1', [mail.to])).toHaveLength(1);
});

test('a mail that two processes are handed ten times at once is one message, with its file', async () => {
  const from = `ana-${++count}@example.com`;
  const told = lotus.postmark({
    FromFull: { Email: from, Name: 'Ana' },
    ToFull: [{ Email: 'hello@lotus.example' }],
    Subject: 'A question',
    TextBody: 'Are you open on Sunday?',
    MessageID: `postmark-${count}`,
    Attachments: [{ Name: 'a.txt', Content: 'YQ==', ContentType: 'text/plain' }],
  });
  expect(new Set(await bothAtOnce('postmark', told))).toEqual(new Set([200]));
  const messages = await pair.rows<{ message_id: string }>(
    'select message_id from messages where from_address = $1',
    [from],
  );
  expect(messages).toHaveLength(1);
  expect(
    await pair.rows('select 1 from attachments where message_id = $1', [messages[0]!.message_id]),
  ).toHaveLength(1);
});

test('what takes longer than a carrier waits is answered when it is kept, and applied all the same', async () => {
  const mail = await sentMail();
  const blocker = await connect(pair.url);
  await blocker.query('begin');
  await blocker.query('select 1 from messages where message_id = $1 for update', [mail.message_id]);
  expect(await post(pair.one, 'sendgrid', lotus.sendgrid([sendgrid(mail, 'delivered')]))).toBe(200);
  expect(await statusOf(mail.message_id)).toBe('sent');
  await blocker.query('rollback');
  await blocker.end();
  await eventually(async () => expect(await statusOf(mail.message_id)).toBe('delivered'), 200);
});
