import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Amazon,
  type MailAccount,
  mailAccount,
  mailEvents,
  type Post,
  post,
  type SentMail,
  startAmazon,
} from '../support/mail-providers.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { type SmtpPeer, startSmtp } from '../support/smtp.ts';

let omega: RunningOmega;
let smtp: SmtpPeer;
let amazon: Amazon;
let api: Client;
let account: MailAccount;

beforeAll(async () => {
  [smtp, amazon] = await Promise.all([startSmtp(), startAmazon()]);
  omega = await startOmega({ carrierDeadlineMs: 3_000, amazonAgent: amazon.agent });
  account = mailAccount(() => omega.clock.now(), 'arn:aws:sns:us-east-1:123456789012:lotus', amazon);
  const senders = ['mailgun', 'postmark', 'ses', 'resend'].map((provider) => ({
    channel: 'email' as const,
    address: `hello@${provider}.example`,
    provider: provider as 'mailgun',
  }));
  ({ api } = await omega.business({
    business_id: 1001,
    senders,
    providers: { ...account.providers, smtp: { url: smtp.url } },
  }));
});
afterAll(async () => {
  await omega.close();
  await Promise.all([smtp.close(), amazon.close()]);
});

const statusOf = async ({ message_id }: SentMail) =>
  (await api.get(`/messages/${message_id}/timeline`)).body.message.status;

async function send(provider: string): Promise<SentMail> {
  const to = `client@of-${provider}.example`;
  const from = `hello@${provider}.example`;
  const { status, body } = await api.post('/email/queue', { to, from, subject: 'Your class', text: 'At 9!' });
  expect(status).toBe(202);
  await omega.settled();
  return { message_id: body.message_id, to };
}

const now = () => omega.clock.now();
/** A bounce, under the provider's own id: it took the mail by SMTP, and named it only after that. */
const bounces: Record<string, (mail: SentMail) => Post> = {
  mailgun: (mail) =>
    account.mailgun(
      mailEvents(now).mailgun(mail, 'failed', {
        severity: 'permanent',
        reason: 'bounce',
        'delivery-status': { code: 550, message: '5.1.1 no such user' },
      }),
    ),
  postmark: (mail) =>
    account.postmark(mailEvents(now).postmark(mail, 'Bounce', { Type: 'HardBounce', Details: '550 5.1.1' })),
  ses: (mail) =>
    account.ses(
      mailEvents(now).ses(mail, 'Bounce', {
        bounce: {
          bounceType: 'Permanent',
          bounceSubType: 'General',
          feedbackId: `feedback-of-${mail.message_id}`,
          timestamp: new Date(now()).toISOString(),
          bouncedRecipients: [{ emailAddress: mail.to, status: '5.1.1' }],
        },
      }),
    ),
  resend: (mail) =>
    account.resend(
      mailEvents(now).resend(mail, 'email.bounced', {
        bounce: { type: 'Permanent', subType: 'General', message: 'no such user' },
      }),
    ),
};

test.each(Object.keys(bounces))(
  'receiveEmailWebhook: a bounce that %s tells of a mail that it took by SMTP counts, and again after a retry',
  async (provider) => {
    const mail = await send(provider);
    expect(await statusOf(mail)).toBe('sent');
    expect(await post(omega, provider, bounces[provider]!(mail))).toBe(200);
    expect(await statusOf(mail)).toBe('undelivered');

    const retried = await api.post(`/messages/${mail.message_id}/retry`, { force: true });
    expect(retried.status).toBe(202);
    await omega.settled();
    expect(await statusOf(mail)).toBe('sent');
    await omega.tick(1_000);
    expect(await post(omega, provider, bounces[provider]!({ ...mail }))).toBe(200);
    const { body } = await omega.platform.get('/webhook-receipts?limit=1');
    expect(body.data[0]).toMatchObject({ state: 'applied' });
  },
);

test('after a retry a delivery still counts, though both attempts bear one Message-ID', async () => {
  const mail = await send('mailgun');
  await post(omega, 'mailgun', bounces.mailgun!(mail));
  await api.post(`/messages/${mail.message_id}/retry`, { force: true });
  await omega.settled();
  const delivered = account.mailgun(mailEvents(now).mailgun(mail, 'delivered'));
  expect(await post(omega, 'mailgun', delivered)).toBe(200);
  expect(await statusOf(mail)).toBe('delivered');
});
