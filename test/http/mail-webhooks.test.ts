import { EventWebhook } from '@sendgrid/eventwebhook';
import SnsValidator from 'sns-payload-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mailgunWebhooks } from '../../server/mail/providers/mailgun.ts';
import { postmarkWebhooks } from '../../server/mail/providers/postmark.ts';
import { resendWebhooks } from '../../server/mail/providers/resend.ts';
import { sendgridWebhooks } from '../../server/mail/providers/sendgrid.ts';
import { sesWebhooks } from '../../server/mail/providers/ses.ts';
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

const confirmation = (more: object = {}) => ({
  Type: 'SubscriptionConfirmation',
  Token: '2336412f37f',
  Message: 'You have chosen to subscribe to the topic.',
  SubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f',
  ...more,
});

/** A text with one byte changed, at a dozen positions of it, the last among them. */
function* changedHere(text: string): Generator<string> {
  const step = Math.max(1, Math.floor(text.length / 12));
  for (let i = text.length - 1; i >= 0; i -= step) {
    const letter = text[i] === 'A' ? 'B' : /[0-9]/.test(text[i]!) ? String((Number(text[i]) + 1) % 10) : 'A';
    yield text.slice(0, i) + letter + text.slice(i + 1);
  }
}

/** A text with one byte changed, every byte in its turn: of a letter its case, of another the lowest bit. */
function* changedEverywhere(text: string): Generator<string> {
  for (let i = 0; i < text.length; i += 1) {
    const bit = /[a-z]/i.test(text[i]!) ? 0x20 : 0x01;
    yield text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ bit) + text.slice(i + 1);
  }
}

const ofSns = ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type', 'Signature', 'SignatureVersion'];

/** What was posted, with one byte changed of its proof, or of what the proof covers. */
function* forgeriesOf(
  provider: string,
  good: Post,
  changed: (text: string) => Iterable<string>,
): Generator<Post> {
  for (const name of schemes[provider]!.proof) {
    // Whatever the letter case of the word Basic: it is the credentials that count.
    const [, word, proof] = /^(Basic )?(.*)$/.exec(good.headers[name]!)!;
    for (const value of changed(proof!))
      yield { ...good, headers: { ...good.headers, [name]: `${word ?? ''}${value}` } };
  }
  // Nothing vouches for what Postmark posts but its credentials.
  if (provider === 'postmark') return;
  const text = good.body.toString();
  // Of Mailgun's body and of SNS's, the fields that their signatures cover; else every part of it.
  if (provider === 'mailgun') {
    const { signature, ...rest } = JSON.parse(text);
    for (const name of Object.keys(signature))
      for (const value of changed(signature[name]))
        yield {
          ...good,
          body: Buffer.from(JSON.stringify({ ...rest, signature: { ...signature, [name]: value } })),
        };
  } else if (provider === 'ses') {
    const told = JSON.parse(text);
    const covered = told.Type === 'Notification' ? ['Subject'] : ['Token', 'SubscribeURL'];
    for (const name of [...ofSns, ...covered])
      for (const value of changed(told[name]))
        yield { ...good, body: Buffer.from(JSON.stringify({ ...told, [name]: value })) };
  } else {
    for (const body of changed(text)) yield { ...good, body: Buffer.from(body) };
  }
}

/** Whether Omega would believe what is posted: the judgement that its receipts ask for, with nothing kept. */
function judgeOf(provider: string): (posted: Post) => Promise<boolean> {
  const parts = { db: omega.omega.database.db, secrets: omega.omega.secrets };
  const webhooks = [
    sendgridWebhooks(parts),
    mailgunWebhooks(parts),
    postmarkWebhooks(parts),
    sesWebhooks({ ...parts, agent: amazon.agent }),
    resendWebhooks(parts),
  ].find((one) => one.provider === provider)!;
  const url = `http://127.0.0.1/omega/email/webhooks/${provider}`;
  return async (posted) => {
    const from = { method: 'POST', url, ip: '127.0.0.1', receivedAt: new Date(now()) };
    return (await webhooks.verify({ ...from, ...posted })).kind === 'believed';
  };
}

/** Expects the one to be believed, and none of its forgeries. @returns how many there were */
async function expectNoForgery(provider: string, good: Post, forgeries: Iterable<Post>): Promise<number> {
  const isBelieved = judgeOf(provider);
  expect(await isBelieved(good)).toBe(true);
  let tried = 0;
  for (const forged of forgeries) {
    tried += 1;
    if (await isBelieved(forged))
      expect.fail(`believed: ${JSON.stringify({ ...forged, body: forged.body.toString() })}`);
  }
  return tried;
}

describe.each(Object.entries(schemes))('receiveEmailWebhook: %s', (provider, scheme) => {
  test('believes what the account signed, and applies it to its mail', async () => {
    const mail = await sentMail();
    expect(await post(omega, provider, scheme.delivered(mail, lotus))).toBe(200);
    expect(await shown(mail)).toMatchObject({ status: 'delivered', provider_status: expect.any(String) });
    const [receipt] = await receipts(`provider=${provider}`);
    expect(receipt).toMatchObject({ source: `email.${provider}`, state: 'applied', business_id: 1001 });
  });

  test('believes nothing with any one byte changed of its proof, or of what the proof covers', async () => {
    const mail = await sentMail();
    const signed = [scheme.delivered(mail, lotus)];
    if (provider === 'ses') signed.push(lotus.sns(confirmation(), '2'));
    for (const good of signed) {
      const forgeries = forgeriesOf(provider, good, changedEverywhere);
      // The least that is covered is a password.
      expect(await expectNoForgery(provider, good, forgeries)).toBeGreaterThan(40);
    }
  });

  test("refuses a byte changed, a proof left out and another's signature; keeps them in quarantine", async () => {
    const mail = await sentMail();
    const good = scheme.delivered(mail, lotus);
    const forged = [...forgeriesOf(provider, good, changedHere)];
    for (const name of scheme.proof) {
      const { [name]: _, ...headers } = good.headers;
      forged.push({ ...good, headers });
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

/** Vectors that others published, each with its key and time. */
const vectors: Record<string, { providers: MailAccount['providers']; atS: number; told: Post }> = {
  // github.com/sendgrid/sendgrid-nodejs, packages/eventwebhook: key, signature and timestamp of its tests.
  sendgrid: {
    providers: {
      sendgrid: {
        webhook_public_key:
          'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
      },
    },
    atS: 1600112502,
    told: {
      headers: {
        'x-twilio-email-event-webhook-signature':
          'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
        'x-twilio-email-event-webhook-timestamp': '1600112502',
      },
      body: Buffer.from(
        `${JSON.stringify([
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
      ),
    },
  },
  // github.com/mailgun/mailgun-php, tests/Api/WebhookTest.php: key, timestamp, token and signature.
  mailgun: {
    providers: { mailgun: { signing_key: 'key-3ax6xnjp29jd6fds4gc373sgvjxteol0' } },
    atS: 1403645220,
    told: {
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(
        JSON.stringify({
          signature: {
            timestamp: '1403645220',
            token: '5egbgr1vjgqxtrnp65xfznchgdccwh5d6i09vijqi3whgowmn6',
            signature: '9cfc5c41582e51246e73c88d34db3af0a3a2692a76fbab81492842f000256d33',
          },
          'event-data': { event: 'delivered', id: 'published' },
        }),
      ),
    },
  },
  // Svix's and Standard Webhooks' example of a signature, by which Resend signs.
  resend: {
    providers: { resend: { signing_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' } },
    atS: 1614265330,
    told: {
      headers: {
        'content-type': 'application/json',
        'svix-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'svix-timestamp': '1614265330',
        'svix-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      },
      body: Buffer.from('{"test": 2432232314}'),
    },
  },
};

test.each(Object.entries(vectors))(
  '%s: a published vector is believed, with its key and at its time',
  async (provider, { providers, atS, told }) => {
    const business_id = 3000 + ++count;
    await omega.business({ business_id, name: `Vector ${provider}`, providers });
    const before = now();
    await omega.clock.setTime(atS * 1000);
    try {
      expect(await post(omega, provider, told)).toBe(200);
      await expectNoForgery(provider, told, forgeriesOf(provider, told, changedHere));
    } finally {
      await omega.clock.setTime(before);
    }
    const { body } = await omega.platform.get(`/webhook-receipts?provider=${provider}&limit=100`);
    expect(body.data).toContainEqual(
      expect.objectContaining({
        business_id,
        source: `email.${provider}`,
        received_at: new Date(atS * 1000).toISOString(),
      }),
    );
  },
);

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
    const forgeries = [...changedEverywhere(first.body.toString())].map((body) => ({
      ...first,
      body: Buffer.from(body),
    }));
    await expectNoForgery('mailgun', first, forgeries);
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

  test('a subscription is confirmed at Amazon for the topic that the business named, and for no other', async () => {
    amazon.asked.length = 0;
    expect(await post(omega, 'ses', lotus.sns(confirmation()))).toBe(200);
    expect(amazon.asked).toContain(
      'sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f',
    );
    amazon.asked.length = 0;
    const other = lotus.sns(confirmation({ TopicArn: 'arn:aws:sns:us-east-1:666:theirs' }));
    expect(await post(omega, 'ses', other)).toBe(403);
    for (const forged of forgeriesOf('ses', lotus.sns(confirmation()), changedHere))
      expect(await post(omega, 'ses', forged)).toBe(403);
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
