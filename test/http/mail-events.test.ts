import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Amazon,
  type MailAccount,
  mailAccount,
  mailEvents,
  post,
  startAmazon,
} from '../support/mail-providers.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf } from '../support/reading.ts';

let omega: RunningOmega;
let amazon: Amazon;
let api: Client;
let lotus: MailAccount;
const now = () => omega.clock.now();
const { sendgrid, mailgun, postmark, ses, resend } = mailEvents(now);

beforeAll(async () => {
  amazon = await startAmazon();
  omega = await startOmega({ amazonAgent: amazon.agent });
  lotus = mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:lotus', amazon);
  api = (await omega.business({ business_id: 1001, providers: lotus.providers })).api;
});
afterAll(async () => {
  await omega.close();
  await amazon.close();
});

interface Sent {
  message_id: string;
  conversation_id: string;
  client_id: number;
  to: string;
}

let count = 0;
async function sentMail(more: object = {}): Promise<Sent> {
  const to = `client-${++count}@example.com`;
  const mail = {
    to,
    direction: 'outbound',
    subject: 'Your class',
    text: 'See you at 9!',
    status: 'sending',
    ...more,
  };
  const answer = await api.post('/email/record', mail);
  expect(answer.status).toBe(201);
  return { ...answer.body, to };
}
const shown = (mail: Sent) => messageOf(api, 1001, mail);
const timelineOf = async (mail: Sent) =>
  (await api.get(`/messages/${mail.message_id}/timeline`)).body.entries as {
    kind: string;
    data: Record<string, unknown>;
  }[];
const consentsOf = (address: string) =>
  omega.omega.database.db
    .selectFrom('consents')
    .select(['category', 'state', 'source'])
    .where('business_id', '=', 1001)
    .where('address', '=', address)
    .orderBy('consent_id')
    .execute();

type Told = (mail: Sent) => Promise<number>;
const bySendgrid =
  (event: string, more: object = {}): Told =>
  (mail) =>
    post(omega, 'sendgrid', lotus.sendgrid([sendgrid(mail, event, more)]));
const byMailgun =
  (event: string, more: object = {}): Told =>
  (mail) =>
    post(omega, 'mailgun', lotus.mailgun(mailgun(mail, event, more)));
const byPostmark =
  (type: string, more: object = {}): Told =>
  (mail) =>
    post(omega, 'postmark', lotus.postmark(postmark(mail, type, more)));
const bySes =
  (type: string, more: (mail: Sent) => object = () => ({})): Told =>
  (mail) =>
    post(omega, 'ses', lotus.ses(ses(mail, type, more(mail))));
const byResend =
  (type: string, more: object = {}): Told =>
  (mail) =>
    post(omega, 'resend', lotus.resend(resend(mail, type, more)));

const sesBounce = (bounceType: string, bounceSubType: string, status?: string) =>
  bySes('Bounce', (mail) => ({
    bounce: {
      bounceType,
      bounceSubType,
      feedbackId: `feedback-${++count}`,
      timestamp: new Date(now()).toISOString(),
      bouncedRecipients: [
        {
          emailAddress: mail.to,
          ...(status && { action: 'failed', status, diagnosticCode: `smtp; 550 ${status} no` }),
        },
      ],
    },
  }));

describe('statuses', () => {
  const dropped = (reason: string) => bySendgrid('dropped', { reason });
  const bounced = (Type: string, Details = '') => byPostmark('Bounce', { Type, Details });
  const failed = (severity: string, reason: string, message = '') =>
    byMailgun('failed', { severity, reason, 'delivery-status': { code: 550, message } });
  const soft = { bounce: { type: 'Transient', subType: 'MailboxFull', message: 'full' } };
  test.each<[string, Told, string, string | null, string | null]>([
    ['SendGrid processed', bySendgrid('processed'), 'sent', null, null],
    ['SendGrid deferred', bySendgrid('deferred', { response: '450 4.2.1 busy' }), 'sending', null, null],
    ['SendGrid delivered', bySendgrid('delivered', { response: '250 OK' }), 'delivered', null, null],
    [
      'SendGrid bounce',
      bySendgrid('bounce', { type: 'bounce', status: '5.1.1', reason: '550 5.1.1 no such user' }),
      'undelivered',
      '5.1.1',
      'invalid_address',
    ],
    [
      'SendGrid bounce, full',
      bySendgrid('bounce', { type: 'bounce', status: '4.2.2' }),
      'undelivered',
      '4.2.2',
      'unreachable',
    ],
    [
      'SendGrid block',
      bySendgrid('bounce', { type: 'blocked', reason: 'go away' }),
      'undelivered',
      'blocked',
      'blocked',
    ],
    [
      'SendGrid dropped, bounced',
      dropped('Bounced Address'),
      'failed',
      'dropped.bounced_address',
      'invalid_address',
    ],
    [
      'SendGrid dropped, unsubscribed',
      dropped('Unsubscribed Address'),
      'failed',
      'dropped.unsubscribed_address',
      'opted_out',
    ],
    [
      'SendGrid dropped, spam',
      dropped('Spam Reporting Address'),
      'failed',
      'dropped.spam_reporting_address',
      'blocked',
    ],
    [
      'SendGrid dropped, content',
      dropped('Spam Content (if spam checker app is enabled)'),
      'failed',
      'dropped.spam_content',
      'filtered',
    ],
    [
      'SendGrid dropped, header',
      dropped('Invalid SMTPAPI header'),
      'failed',
      'dropped.invalid_smtpapi_header',
      'invalid_request',
    ],
    [
      'SendGrid dropped, quota',
      dropped('Recipient List over Package Quota'),
      'failed',
      'dropped.over_quota',
      'account_config',
    ],
    ['SendGrid dropped, invalid', dropped('Invalid'), 'failed', 'dropped.invalid', 'invalid_address'],
    ['SendGrid dropped, a new reason', dropped('Full Moon'), 'failed', 'dropped', 'unknown'],
    ['Mailgun accepted', byMailgun('accepted'), 'sent', null, null],
    ['Mailgun temporary failure', failed('temporary', 'generic', '450 4.2.1 busy'), 'sending', null, null],
    ['Mailgun delivered', byMailgun('delivered'), 'delivered', null, null],
    [
      'Mailgun permanent failure',
      failed('permanent', 'bounce', '550 5.1.1 no user'),
      'undelivered',
      '5.1.1',
      'invalid_address',
    ],
    ['Mailgun too old', failed('permanent', 'old'), 'undelivered', 'old', 'unreachable'],
    [
      'Mailgun suppressed',
      failed('permanent', 'suppress-bounce'),
      'failed',
      'suppress-bounce',
      'invalid_address',
    ],
    [
      'Mailgun rejected',
      byMailgun('rejected', { reason: 'Invalid' }),
      'failed',
      'rejected',
      'invalid_request',
    ],
    ['Postmark Delivery', byPostmark('Delivery'), 'delivered', null, null],
    ['Postmark Transient', bounced('Transient'), 'sending', null, null],
    [
      'Postmark HardBounce',
      bounced('HardBounce', 'smtp;550 5.1.1 unknown'),
      'undelivered',
      '5.1.1',
      'invalid_address',
    ],
    ['Postmark SoftBounce', bounced('SoftBounce'), 'undelivered', 'SoftBounce', 'unreachable'],
    ['Postmark Blocked', bounced('Blocked'), 'undelivered', 'Blocked', 'blocked'],
    ['Postmark DnsError', bounced('DnsError'), 'undelivered', 'DnsError', 'unreachable'],
    [
      'Postmark BadEmailAddress',
      bounced('BadEmailAddress'),
      'undelivered',
      'BadEmailAddress',
      'invalid_address',
    ],
    [
      'Postmark ManuallyDeactivated',
      bounced('ManuallyDeactivated'),
      'failed',
      'ManuallyDeactivated',
      'blocked',
    ],
    ['Postmark SMTPApiError', bounced('SMTPApiError'), 'failed', 'SMTPApiError', 'invalid_request'],
    ['SES Send', bySes('Send'), 'sent', null, null],
    [
      'SES DeliveryDelay',
      bySes('DeliveryDelay', () => ({ deliveryDelay: { delayType: 'MailboxFull' } })),
      'sending',
      null,
      null,
    ],
    [
      'SES Delivery',
      bySes('Delivery', (mail) => ({ delivery: { recipients: [mail.to] } })),
      'delivered',
      null,
      null,
    ],
    [
      'SES permanent bounce',
      sesBounce('Permanent', 'General', '5.1.1'),
      'undelivered',
      '5.1.1',
      'invalid_address',
    ],
    [
      'SES bounce without a status',
      sesBounce('Permanent', 'NoEmail'),
      'undelivered',
      'Permanent.NoEmail',
      'invalid_address',
    ],
    [
      'SES transient bounce',
      sesBounce('Transient', 'General'),
      'undelivered',
      'Transient.General',
      'unreachable',
    ],
    [
      'SES undetermined bounce',
      sesBounce('Undetermined', 'Undetermined'),
      'undelivered',
      'Undetermined.Undetermined',
      'unreachable',
    ],
    [
      'SES own suppression',
      sesBounce('Permanent', 'OnAccountSuppressionList', '5.1.1'),
      'failed',
      'Permanent.OnAccountSuppressionList',
      'blocked',
    ],
    [
      'SES Reject',
      bySes('Reject', () => ({ reject: { reason: 'Bad content' } })),
      'failed',
      'Reject',
      'filtered',
    ],
    ['SES Rendering Failure', bySes('Rendering Failure'), 'failed', 'RenderingFailure', 'invalid_request'],
    ['Resend sent', byResend('email.sent'), 'sent', null, null],
    ['Resend delayed', byResend('email.delivery_delayed'), 'sending', null, null],
    ['Resend delivered', byResend('email.delivered'), 'delivered', null, null],
    [
      'Resend bounced',
      byResend('email.bounced', soft),
      'undelivered',
      'Transient.MailboxFull',
      'unreachable',
    ],
    ['Resend suppressed', byResend('email.suppressed'), 'failed', 'suppressed', 'blocked'],
    [
      'Resend failed',
      byResend('email.failed', { failed: { reason: 'reached_daily_quota' } }),
      'failed',
      'reached_daily_quota',
      'account_config',
    ],
  ])('%s', async (_name, tell, status, errorCode, reason) => {
    const mail = await sentMail();
    expect(await tell(mail)).toBe(200);
    expect(await shown(mail)).toMatchObject({ status, error_code: errorCode, reason });
  });

  test('a bounce after the delivery counts, and a delivery told late does not', async () => {
    const mail = await sentMail();
    await bySendgrid('delivered')(mail);
    await bySendgrid('bounce', { type: 'bounce', status: '5.1.1' })(mail);
    await bySendgrid('processed')(mail);
    expect(await shown(mail)).toMatchObject({ status: 'undelivered', error_code: '5.1.1' });
  });

  test.each(['AutoResponder', 'AddressChange', 'ChallengeVerification'])(
    'Postmark %s is no failure, and nobody opts out by it',
    async (type) => {
      const mail = await sentMail({ status: 'delivered' });
      await bounced(type)(mail);
      expect(await shown(mail)).toMatchObject({ status: 'delivered', error_code: null, complained_at: null });
      expect(await consentsOf(mail.to)).toEqual([]);
      const [receipt] = (await omega.platform.get('/webhook-receipts?provider=postmark')).body.data;
      expect(receipt).toMatchObject({ state: 'ignored', note: expect.stringContaining(type) });
    },
  );

  test('what befalls a copy is no status of the message', async () => {
    const mail = await sentMail({ cc: ['boss@example.com'] });
    await bySendgrid('bounce', { type: 'bounce', status: '5.1.1', email: 'boss@example.com' })(mail);
    expect((await shown(mail)).status).toBe('sending');
  });
});

describe('facts', () => {
  const at = () => new Date(now()).toISOString();
  test.each<[string, Told, string]>([
    ['SendGrid open', bySendgrid('open'), 'opened_at'],
    ['SendGrid click', bySendgrid('click', { url: 'https://lotus.example' }), 'clicked_at'],
    ['SendGrid spamreport', bySendgrid('spamreport'), 'complained_at'],
    ['SendGrid unsubscribe', bySendgrid('unsubscribe'), 'unsubscribed_at'],
    ['SendGrid group_unsubscribe', bySendgrid('group_unsubscribe', { asm_group_id: 10 }), 'unsubscribed_at'],
    ['Mailgun opened', byMailgun('opened'), 'opened_at'],
    ['Mailgun clicked', byMailgun('clicked'), 'clicked_at'],
    ['Mailgun complained', byMailgun('complained'), 'complained_at'],
    ['Mailgun unsubscribed', byMailgun('unsubscribed'), 'unsubscribed_at'],
    ['Postmark Open', byPostmark('Open', { ReceivedAt: '2026-03-10T15:00:00Z' }), 'opened_at'],
    ['Postmark Click', byPostmark('Click', { ReceivedAt: '2026-03-10T15:00:00Z' }), 'clicked_at'],
    ['Postmark SpamComplaint', byPostmark('SpamComplaint', { Type: 'SpamComplaint' }), 'complained_at'],
    ['Postmark SpamNotification', byPostmark('Bounce', { Type: 'SpamNotification' }), 'complained_at'],
    [
      'Postmark SubscriptionChange',
      byPostmark('SubscriptionChange', {
        SuppressSending: true,
        SuppressionReason: 'ManualSuppression',
        Origin: 'Recipient',
      }),
      'unsubscribed_at',
    ],
    ['SES Open', bySes('Open', () => ({ open: { timestamp: at() } })), 'opened_at'],
    [
      'SES Click',
      bySes('Click', () => ({ click: { timestamp: at(), link: 'https://lotus.example' } })),
      'clicked_at',
    ],
    [
      'SES Complaint',
      bySes('Complaint', (mail) => ({
        complaint: { complainedRecipients: [{ emailAddress: mail.to }], feedbackId: `f-${++count}` },
      })),
      'complained_at',
    ],
    [
      'SES Subscription',
      bySes('Subscription', () => ({ subscription: { newTopicPreferences: { unsubscribeAll: true } } })),
      'unsubscribed_at',
    ],
    ['Resend opened', byResend('email.opened'), 'opened_at'],
    ['Resend clicked', byResend('email.clicked', { click: { link: 'https://lotus.example' } }), 'clicked_at'],
    ['Resend complained', byResend('email.complained'), 'complained_at'],
  ])('%s', async (_name, tell, column) => {
    const mail = await sentMail({ status: 'delivered' });
    expect(await tell(mail)).toBe(200);
    expect(await shown(mail)).toMatchObject({ status: 'delivered', [column]: expect.any(String) });
    const revokes = column === 'complained_at' || column === 'unsubscribed_at';
    expect(await consentsOf(mail.to)).toEqual(
      revokes
        ? [
            {
              category: 'marketing',
              state: 'revoked',
              source: column === 'complained_at' ? 'complaint' : 'unsubscribe',
            },
          ]
        : [],
    );
  });

  test.each<[string, Told]>([
    ['SendGrid', bySendgrid('open', { sg_machine_open: true })],
    ['Mailgun', byMailgun('opened', { 'client-info': { bot: 'apple' } })],
    ['Postmark', byPostmark('Open', { Client: { Name: 'Apple Mail Privacy Proxy' } })],
  ])('%s: an open by a machine is in the timeline, and no sign of a reader', async (_name, tell) => {
    const mail = await sentMail({ status: 'delivered' });
    expect(await tell(mail)).toBe(200);
    expect((await shown(mail)).opened_at).toBeNull();
    expect(await timelineOf(mail)).toContainEqual(
      expect.objectContaining({ kind: 'fact.open', data: expect.objectContaining({ by_machine: true }) }),
    );
  });

  test('who unsubscribes, subscribes again and leaves again is in the ledger each time', async () => {
    const mail = await sentMail({ status: 'delivered' });
    for (const event of ['group_unsubscribe', 'group_resubscribe', 'group_unsubscribe']) {
      await bySendgrid(event)(mail);
      await omega.tick(1000);
    }
    expect((await consentsOf(mail.to)).map(({ state }) => state)).toEqual(['revoked', 'granted', 'revoked']);
  });

  test("Postmark: a hard bounce's suppression is no word of the client's, nor is the account's lifting it", async () => {
    const mail = await sentMail({ status: 'delivered' });
    await byPostmark('SubscriptionChange', {
      SuppressSending: true,
      SuppressionReason: 'HardBounce',
      Origin: 'Recipient',
    })(mail);
    await byPostmark('SubscriptionChange', { SuppressSending: false, Origin: 'Customer' })(mail);
    expect(await consentsOf(mail.to)).toEqual([]);
  });

  test('who got a copy and complains opts out alone', async () => {
    const mail = await sentMail({ cc: ['friend@example.com'] });
    await bySendgrid('spamreport', { email: 'Friend@example.com' })(mail);
    expect((await shown(mail)).complained_at).toBeNull();
    expect(await consentsOf(mail.to)).toEqual([]);
    expect(await consentsOf('friend@example.com')).toEqual([
      { category: 'marketing', state: 'revoked', source: 'complaint' },
    ]);
  });
});

describe('a batch', () => {
  test('each event counts for itself: what cannot be read leaves the others alone', async () => {
    const [one, two] = [await sentMail(), await sentMail()];
    const batch = [
      null,
      'nonsense',
      { event: 'delivered' },
      sendgrid(one, 'delivered', { timestamp: 'yesterday', email: 7, sg_message_id: {}, 'smtp-id': '\0' }),
      sendgrid({ message_id: 'nobody', to: 'x@example.com' }, 'delivered'),
      sendgrid(two, 'bounce', { type: 'bounce', status: '5.1.1', reason: 'n\u0000ul \ud800' }),
    ];
    expect(await post(omega, 'sendgrid', lotus.sendgrid(batch))).toBe(200);
    expect((await shown(one)).status).toBe('delivered');
    expect(await shown(two)).toMatchObject({ status: 'undelivered', error_code: '5.1.1' });
    const [receipt] = (await omega.platform.get('/webhook-receipts?provider=sendgrid')).body.data;
    expect(receipt).toMatchObject({ state: 'applied', note: expect.stringContaining('An event') });
  });

  test('in any order, and parts of it told again in another batch, ends the same', async () => {
    const mail = await sentMail();
    const told = ['processed', 'deferred', 'delivered', 'open', 'click'].map((event) =>
      sendgrid(mail, event),
    );
    expect(await post(omega, 'sendgrid', lotus.sendgrid([...told].reverse()))).toBe(200);
    expect(await post(omega, 'sendgrid', lotus.sendgrid(told.slice(1)))).toBe(200);
    expect((await shown(mail)).status).toBe('delivered');
    const kinds = (await timelineOf(mail)).map(({ kind }) => kind).filter((kind) => kind !== 'recorded');
    expect(kinds.sort()).toEqual([
      'fact.click',
      'fact.open',
      'status.delivered',
      'status.sending',
      'status.sent',
    ]);
  });
});

test('erasing the client erases what was told of them, every copy of it', async () => {
  const mail = await sentMail();
  const told = () => lotus.sendgrid([sendgrid(mail, 'bounce', { type: 'bounce', sg_event_id: 'once' })]);
  for (let i = 0; i < 2; i += 1) expect(await post(omega, 'sendgrid', told())).toBe(200);
  const copies = async () => {
    const { body } = await omega.platform.get('/webhook-receipts?provider=sendgrid&limit=100');
    const bodies = body.data.map(async ({ receipt_id }: { receipt_id: string }) => {
      const receipt = await omega.platform.get(`/webhook-receipts/${receipt_id}`);
      return String(receipt.body.body);
    });
    return (await Promise.all(bodies)).filter((text) => text.includes(mail.to)).length;
  };
  expect(await copies()).toBe(2);
  expect((await api.call('DELETE', `/businesses/1001/clients/${mail.client_id}`)).status).toBe(200);
  expect(await copies()).toBe(0);
  const { rows } = await sql<{ found: number }>`
    select count(*)::int as found from carrier_events where payload::text like ${`%${mail.to}%`}`.execute(
    omega.omega.database.db,
  );
  expect(rows[0]).toEqual({ found: 0 });
});

test('an event finds its mail by our Message-ID alone', async () => {
  const to = `client-${++count}@example.com`;
  const queued = await api.post('/email/queue', { to, subject: 'Your class', text: 'See you' });
  await omega.settled();
  const { mail_id } = await omega.omega.database.db
    .selectFrom('messages')
    .select('mail_id')
    .where('message_id', '=', queued.body.message_id)
    .executeTakeFirstOrThrow();
  const event = mailgun({ ...queued.body, to }, 'failed', {
    severity: 'permanent',
    'user-variables': {},
    message: { headers: { 'message-id': mail_id } },
    'delivery-status': { message: '550 5.1.1 gone' },
  });
  expect(await post(omega, 'mailgun', lotus.mailgun(event))).toBe(200);
  expect(await shown({ ...queued.body, to })).toMatchObject({ status: 'undelivered', error_code: '5.1.1' });
});
