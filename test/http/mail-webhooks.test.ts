import { EventWebhook } from '@sendgrid/eventwebhook';
import SnsValidator from 'sns-payload-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Amazon,
  type MailAccount,
  mailAccount,
  mailEvents,
  type Post,
  post,
  startAmazon,
} from '../support/mail-providers.ts';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { messageOf } from '../support/reading.ts';

let omega: RunningOmega;
let amazon: Amazon;
let api: Client;
let lotus: MailAccount;
let rival: MailAccount;
const now = () => omega.clock.now();

beforeAll(async () => {
  amazon = await startAmazon();
  omega = await startOmega({ amazonAgent: amazon.agent });
  lotus = mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:lotus', amazon);
  rival = mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:rival', amazon);
  api = (await omega.business({ business_id: 1001, providers: lotus.providers })).api;
  await omega.business({ business_id: 2002, name: 'Rival Spa', providers: rival.providers });
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
/** A mail that was sent, and nothing more was heard of. */
async function sentMail(more: object = {}): Promise<Sent> {
  const to = `client-${++count}@example.com`;
  const answer = await api.post('/email/record', {
    to,
    direction: 'outbound',
    subject: 'Your class',
    text: 'See you at 9!',
    status: 'sent',
    ...more,
  });
  expect(answer.status).toBe(201);
  return { ...answer.body, to };
}
const shown = (mail: Sent) => messageOf(api, 1001, mail);
const timelineOf = async (mail: Sent) => {
  const { body } = await api.get(`/messages/${mail.message_id}/timeline`);
  return body.entries as { kind: string; data: Record<string, unknown> }[];
};
const receipts = async (query: string) => (await omega.platform.get(`/webhook-receipts?${query}`)).body.data;

const events = mailEvents(now);

const schemes: Record<
  string,
  { delivered(mail: Sent, account: MailAccount, at?: number): Post; proof: string[] }
> = {
  sendgrid: {
    delivered: (mail, account, at) => account.sendgrid([events.sendgrid(mail, 'delivered')], at),
    proof: ['x-twilio-email-event-webhook-signature', 'x-twilio-email-event-webhook-timestamp'],
  },
  mailgun: {
    delivered: (mail, account, at) => account.mailgun(events.mailgun(mail, 'delivered'), at),
    proof: [],
  },
  postmark: {
    delivered: (mail, account) => account.postmark(events.postmark(mail, 'Delivery')),
    proof: ['authorization'],
  },
  ses: {
    delivered: (mail, account, at) =>
      account.ses(events.ses(mail, 'Delivery', { delivery: { recipients: [mail.to] } }), at),
    proof: [],
  },
  resend: {
    delivered: (mail, account, at) => account.resend(events.resend(mail, 'email.delivered'), at),
    proof: ['svix-id', 'svix-timestamp', 'svix-signature'],
  },
};

/** A text with one byte changed, at some positions of it, the last among them. */
function* changed(text: string, positions = text.length): Generator<string> {
  const step = Math.max(1, Math.floor(text.length / positions));
  for (let i = text.length - 1; i >= 0; i -= step) {
    const letter = text[i] === 'A' ? 'B' : /[0-9]/.test(text[i]!) ? String((Number(text[i]) + 1) % 10) : 'A';
    yield text.slice(0, i) + letter + text.slice(i + 1);
  }
}

describe.each(Object.entries(schemes))('receiveEmailWebhook: %s', (provider, scheme) => {
  test('believes what the account signed, and applies it to its mail', async () => {
    const mail = await sentMail();
    expect(await post(omega, provider, scheme.delivered(mail, lotus))).toBe(200);
    expect(await shown(mail)).toMatchObject({ status: 'delivered', provider_status: expect.any(String) });
    const [receipt] = await receipts(`provider=${provider}`);
    expect(receipt).toMatchObject({ source: `email.${provider}`, state: 'applied', business_id: 1001 });
  });

  test("refuses each byte changed of its proof, of the body, and another's signature; keeps them in quarantine", async () => {
    const mail = await sentMail();
    const good = scheme.delivered(mail, lotus);
    const forged: Post[] = scheme.proof.flatMap((name) =>
      // Whatever the letter case of the word Basic: it is the credentials that count.
      [...changed(good.headers[name]!.replace(/^Basic /, ''), 24)].map((value) => ({
        ...good,
        headers: { ...good.headers, [name]: name === 'authorization' ? `Basic ${value}` : value },
      })),
    );
    for (const name of scheme.proof) {
      const { [name]: _, ...headers } = good.headers;
      forged.push({ ...good, headers });
    }
    if (provider !== 'postmark') {
      const text = good.body.toString();
      const told = JSON.parse(text);
      // Of Mailgun's body and of SNS's, the fields that their signatures cover; else every part of it.
      const covered =
        provider === 'mailgun'
          ? Object.entries(told.signature as Record<string, string>).map(([name, value]) => ({ name, value }))
          : provider === 'ses'
            ? ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Signature'].map((name) => ({
                name,
                value: told[name],
              }))
            : null;
      if (covered) {
        for (const { name, value } of covered) {
          for (const other of changed(value, 12)) {
            const body = structuredClone(told);
            if (provider === 'mailgun') body.signature[name] = other;
            else body[name] = other;
            forged.push({ ...good, body: Buffer.from(JSON.stringify(body)) });
          }
        }
      } else {
        for (const body of changed(text, 24)) forged.push({ ...good, body: Buffer.from(body) });
      }
    }
    forged.push(
      scheme.delivered(mail, mailAccount(now, 'arn:aws:sns:us-east-1:123456789012:nobody', amazon)),
    );
    for (const one of forged) expect(await post(omega, provider, one)).toBe(403);
    expect((await shown(mail)).status).toBe('sent');
    expect((await receipts(`provider=${provider}&state=quarantined`)).length).toBeGreaterThan(0);
    expect(await post(omega, provider, good)).toBe(200);
    expect((await shown(mail)).status).toBe('delivered');
  });

  test('is one event however often it is told, five at once', async () => {
    const mail = await sentMail();
    const told = scheme.delivered(mail, lotus);
    for (let i = 0; i < 2; i += 1) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => post(omega, provider, told)));
      expect(answers).toEqual([200, 200, 200, 200, 200]);
    }
    const kinds = (await timelineOf(mail)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'status.delivered')).toHaveLength(1);
  });

  test("has no effect on another business's mail, whatever it names", async () => {
    const mail = await sentMail();
    // Signed by the rival, about Lotus's mail, at Lotus's URL and at its own.
    for (const path of [provider, `${provider}?business_id=1001`, `${provider}?business_id=2002`])
      expect(await post(omega, path, scheme.delivered(mail, rival))).toBe(200);
    expect((await shown(mail)).status).toBe('sent');
    const [receipt] = await receipts(`provider=${provider}`);
    expect(receipt).toMatchObject({ state: 'ignored', business_id: 2002 });
  });

  test('keeps bad bytes and unknown kinds, and answers 2xx', async () => {
    const unknown = {
      sendgrid: () => lotus.sendgrid([{ event: 'levitated', sg_event_id: `x-${++count}` }]),
      mailgun: () => lotus.mailgun({ event: 'levitated', id: `x-${++count}` }),
      postmark: () => lotus.postmark({ RecordType: 'Levitation' }),
      ses: () => lotus.ses({ eventType: 'Levitation' }),
      resend: () => lotus.resend({ type: 'email.levitated', data: {} }),
    }[provider]!();
    expect(await post(omega, provider, unknown)).toBe(200);
    expect((await receipts(`provider=${provider}`))[0]).toMatchObject({
      state: 'ignored',
      note: /[Ll]evitat/,
    });
  });
});

test('what is signed and no JSON is kept as it is', async () => {
  expect(await post(omega, 'sendgrid', lotus.sendgrid(Buffer.from([0xff, 0xfe, 0x00, 0x7b])))).toBe(200);
  const [receipt] = await receipts('state=unreadable');
  const { body } = await omega.platform.get(`/webhook-receipts/${receipt.receipt_id}`);
  expect(body).toMatchObject({ body: null, body_base64: '//4Aew==' });
});

test('what these tests sign is what the providers sign, by the word of libraries that are not ours', async () => {
  const mail = await sentMail();
  const { headers, body } = schemes.sendgrid!.delivered(mail, lotus);
  const library = new EventWebhook();
  const key = library.convertPublicKeyToECDSA(lotus.providers.sendgrid!.webhook_public_key!);
  const [signature, timestamp] = schemes.sendgrid!.proof.map((name) => headers[name]!);
  expect(library.verifySignature(key, body, signature!, timestamp!)).toBe(true);
  for (const version of ['1', '2'] as const) {
    const sns = lotus.sns({ Type: 'Notification', Message: '{}', Subject: 'Amazon SES' }, version);
    const validator = new SnsValidator({ requestAgent: amazon.agent });
    await expect(validator.validate(sns.body.toString())).resolves.toBeTruthy();
  }
});

test('an unknown provider is 404', async () => {
  expect(await post(omega, 'pigeon', lotus.postmark({}))).toBe(404);
});

test("SendGrid's own vector is believed, with the key that it is published with", async () => {
  // github.com/sendgrid/sendgrid-nodejs, packages/eventwebhook: key, signature and timestamp of its tests.
  const vector = {
    key: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
    signature:
      'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
    timestamp: '1600112502',
    body: `${JSON.stringify([
      {
        email: 'hello@world.com',
        event: 'dropped',
        reason: 'Bounced Address',
        sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
        sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
        'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
        timestamp: 1600112492,
      },
    ])}\r\n`,
  };
  await omega.business({ business_id: 3003, providers: { sendgrid: { webhook_public_key: vector.key } } });
  await omega.clock.setTime(Number(vector.timestamp) * 1000);
  const told: Post = {
    headers: {
      'x-twilio-email-event-webhook-signature': vector.signature,
      'x-twilio-email-event-webhook-timestamp': vector.timestamp,
    },
    body: Buffer.from(vector.body),
  };
  expect(await post(omega, 'sendgrid', told)).toBe(200);
  expect(await post(omega, 'sendgrid', { ...told, body: told.body.subarray(0, -2) })).toBe(403);
  await omega.clock.setTime(new Date('2026-03-10T15:00:00.000Z').getTime());
});

describe('what is too old, and what came before', () => {
  test.each([
    ['sendgrid', 26 * 3_600_000],
    ['mailgun', 10 * 3_600_000],
    ['ses', 25 * 3_600_000],
    ['resend', 6 * 60_000],
  ])('%s: is refused', async (provider, ageMs) => {
    const mail = await sentMail();
    expect(await post(omega, provider, schemes[provider]!.delivered(mail, lotus, now() - ageMs))).toBe(403);
    expect(await post(omega, provider, schemes[provider]!.delivered(mail, lotus, now() + ageMs))).toBe(403);
    expect((await shown(mail)).status).toBe('sent');
  });

  test("Mailgun's token stands for what it first came with: another body with it is refused", async () => {
    const [mail, other] = [await sentMail(), await sentMail()];
    const first = schemes.mailgun!.delivered(mail, lotus);
    expect(await post(omega, 'mailgun', first)).toBe(200);
    const { signature } = JSON.parse(first.body.toString());
    const forged = JSON.stringify({ signature, 'event-data': events.mailgun(other, 'delivered') });
    expect(await post(omega, 'mailgun', { ...first, body: Buffer.from(forged) })).toBe(403);
    expect(await post(omega, 'mailgun', first)).toBe(200);
    expect((await shown(other)).status).toBe('sent');
  });
});

describe('SNS', () => {
  test.each(['1', '2'] as const)('is believed with signature version %s', async (version) => {
    const mail = await sentMail();
    const Message = JSON.stringify(events.ses(mail, 'Delivery'));
    expect(
      await post(omega, 'ses', lotus.sns({ Type: 'Notification', Subject: 'Amazon SES', Message }, version)),
    ).toBe(200);
    expect((await shown(mail)).status).toBe('delivered');
  });

  const confirmation = (more: object = {}) => ({
    Type: 'SubscriptionConfirmation',
    Token: '2336412f37f',
    Message: 'You have chosen to subscribe to the topic.',
    SubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f',
    ...more,
  });

  test('a subscription is confirmed at Amazon for the topic that the business named, and for no other', async () => {
    amazon.asked.length = 0;
    expect(await post(omega, 'ses', lotus.sns(confirmation()))).toBe(200);
    expect(amazon.asked).toContain(
      'sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f',
    );
    amazon.asked.length = 0;
    const other = lotus.sns(confirmation({ TopicArn: 'arn:aws:sns:us-east-1:666:theirs' }));
    expect(await post(omega, 'ses', other)).toBe(403);
    expect(amazon.asked).toEqual([]);
  });

  test.each([
    'http://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
    'https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem',
    'https://evil.example/sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
    'https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem',
    'https://user:password@sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
    'https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-0.pem',
    'https://bucket.s3.amazonaws.com/SimpleNotificationService-0.pem',
    'https://169.254.169.254/latest/meta-data',
  ])('nothing is fetched from %s, as certificate or as subscription', async (url) => {
    amazon.asked.length = 0;
    const Message = JSON.stringify({ eventType: 'Delivery' });
    expect(await post(omega, 'ses', lotus.sns({ Type: 'Notification', Message, SigningCertURL: url }))).toBe(
      403,
    );
    expect(await post(omega, 'ses', lotus.sns(confirmation({ SubscribeURL: url })))).toBe(403);
    expect(amazon.asked).toEqual([]);
  });

  test("when Amazon's certificate cannot be had, SNS is told to come again, and then it counts", async () => {
    const mail = await sentMail();
    const told = lotus.sns({
      Type: 'Notification',
      Message: JSON.stringify(events.ses(mail, 'Delivery')),
      SigningCertURL: `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${'1'.repeat(32)}.pem`,
    });
    amazon.failWith = 503;
    expect(await post(omega, 'ses', told)).toBe(503);
    amazon.failWith = null;
    expect(await post(omega, 'ses', told)).toBe(200);
    expect((await shown(mail)).status).toBe('delivered');
  });
});
