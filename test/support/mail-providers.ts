import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { Agent } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { OnboardingPlan } from './lotus.ts';
import type { RunningOmega } from './omega.ts';

/** What a provider posts. */
export interface Post {
  headers: Record<string, string>;
  body: Buffer;
}

export interface MailAccount {
  providers: NonNullable<OnboardingPlan['providers']>;
  /** Signs as the provider of this account does, at the time of the test's clock. */
  sendgrid(events: unknown, at?: number): Post;
  mailgun(event: object, at?: number, token?: string): Post;
  mailgunForm(fields: Record<string, string>, at?: number): Post;
  postmark(told: object): Post;
  sns(fields: Record<string, unknown>, version?: '1' | '2'): Post;
  ses(message: unknown, at?: number): Post;
  resend(told: object, at?: number, id?: string): Post;
}

const json = { 'content-type': 'application/json' };

/** A business's accounts with all five providers, with keys of its own. */
export function mailAccount(now: () => number, topicArn: string, amazon: Amazon): MailAccount {
  const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const signingKey = randomUUID();
  const password = `p-${randomUUID()}`;
  const secret = `whsec_${Buffer.from(randomUUID()).toString('base64')}`;
  const seconds = (at?: number) => String(Math.floor((at ?? now()) / 1000));
  const mailgunSigned = (at?: number, token: string = randomUUID()) => {
    const timestamp = seconds(at);
    return {
      timestamp,
      token,
      signature: createHmac('sha256', signingKey)
        .update(timestamp + token)
        .digest('hex'),
    };
  };
  const sns: MailAccount['sns'] = (fields, version = '1') => {
    const told: Record<string, unknown> = {
      MessageId: randomUUID(),
      TopicArn: topicArn,
      Timestamp: new Date(now()).toISOString(),
      SignatureVersion: version,
      SigningCertURL: amazon.certUrl,
      ...fields,
    };
    const names =
      told.Type === 'Notification'
        ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
        : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
    const text = names.flatMap((name) => (name in told ? [`${name}\n${told[name]}\n`] : [])).join('');
    told.Signature ??= sign(version === '1' ? 'sha1' : 'sha256', Buffer.from(text), amazon.key).toString(
      'base64',
    );
    return {
      headers: { 'content-type': 'text/plain; charset=UTF-8' },
      body: Buffer.from(JSON.stringify(told)),
    };
  };
  return {
    providers: {
      sendgrid: {
        webhook_public_key: ec.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      },
      mailgun: { signing_key: signingKey },
      postmark: { username: 'omega', password },
      ses: { topic_arns: [topicArn] },
      resend: { signing_secret: secret },
    },
    sendgrid(events, at) {
      const body = Buffer.isBuffer(events) ? events : Buffer.from(JSON.stringify(events));
      const timestamp = seconds(at);
      const signature = sign('sha256', Buffer.concat([Buffer.from(timestamp), body]), {
        key: ec.privateKey,
        dsaEncoding: 'der',
      });
      return {
        headers: {
          ...json,
          'x-twilio-email-event-webhook-signature': signature.toString('base64'),
          'x-twilio-email-event-webhook-timestamp': timestamp,
        },
        body,
      };
    },
    mailgun(event, at, token) {
      const body = JSON.stringify({ signature: mailgunSigned(at, token), 'event-data': event });
      return { headers: json, body: Buffer.from(body) };
    },
    mailgunForm(fields, at) {
      return {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: Buffer.from(new URLSearchParams({ ...fields, ...mailgunSigned(at) }).toString()),
      };
    },
    postmark: (told) => ({
      headers: { ...json, authorization: `Basic ${Buffer.from(`omega:${password}`).toString('base64')}` },
      body: Buffer.from(JSON.stringify(told)),
    }),
    sns,
    ses: (message, at) =>
      sns({
        Type: 'Notification',
        Subject: 'Amazon SES Email Event Notification',
        Message: JSON.stringify(message),
        ...(at !== undefined && { Timestamp: new Date(at).toISOString() }),
      }),
    resend(told, at, id = `msg_${randomUUID()}`) {
      const body = JSON.stringify(told);
      const time = new Date(Number(seconds(at)) * 1000);
      return {
        headers: {
          ...json,
          'svix-id': id,
          'svix-timestamp': seconds(at),
          'svix-signature': new Webhook(secret).sign(id, time, body),
        },
        body: Buffer.from(body),
      };
    },
  };
}

/** Amazon on loopback: whoever asks for one of its hosts comes here, and every request is written down. */
export interface Amazon {
  agent: Agent;
  certUrl: string;
  key: string;
  asked: string[];
  /** Answers this in place of the certificate, until null. */
  failWith: number | null;
  close(): Promise<void>;
}

export async function startAmazon(): Promise<Amazon> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const certificate = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const amazon = {
    certUrl: `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${'0'.repeat(32)}.pem`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    asked: [] as string[],
    failWith: null as number | null,
  };
  const server: Server = createServer((request, response) => {
    amazon.asked.push(`${request.headers.host}${request.url}`);
    response.statusCode = amazon.failWith ?? 200;
    response.end(amazon.failWith ? 'no' : request.url?.endsWith('.pem') ? certificate : '<ok/>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  // Node's own TLS is not what is tried here: the connection goes plain to loopback.
  class ToLoopback extends Agent {
    override createConnection() {
      return connect(port, '127.0.0.1') as never;
    }
  }
  return Object.assign(amazon, {
    agent: new ToLoopback(),
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  });
}

/** A mail of ours, as an event names it. */
export interface SentMail {
  message_id: string;
  to: string;
}

let count = 0;

/** One event of each provider, as its documentation shows it, about a mail of ours. */
export const mailEvents = (now: () => number) => ({
  sendgrid: (mail: SentMail, event: string, more: object = {}) => ({
    email: mail.to,
    timestamp: Math.floor(now() / 1000),
    'smtp-id': '<14c5d75ce93.dfd.64b469@ismtpd-555>',
    event,
    sg_event_id: `${event}-${++count}==`,
    sg_message_id: '14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0',
    omega_message_id: mail.message_id,
    omega_business_id: '1001',
    ...more,
  }),
  mailgun: (mail: SentMail, event: string, more: object = {}) => ({
    event,
    id: `${event}-${++count}`,
    timestamp: now() / 1000,
    recipient: mail.to,
    message: { headers: { to: mail.to, 'message-id': '20130503182626.18666.16540@lotus.example' } },
    'user-variables': { omega_message_id: mail.message_id, omega_business_id: '1001' },
    ...more,
  }),
  postmark: (mail: SentMail, RecordType: string, more: object = {}) => ({
    RecordType,
    MessageID: '883953f4-6105-42a2-a16a-77a8eac79483',
    Recipient: mail.to,
    ID: ++count,
    Metadata: { omega_message_id: mail.message_id, omega_business_id: '1001' },
    ...more,
  }),
  ses: (mail: SentMail, eventType: string, more: object = {}) => ({
    eventType,
    mail: {
      timestamp: new Date(now()).toISOString(),
      messageId: 'EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000',
      destination: [mail.to],
      tags: { omega_message_id: [mail.message_id] },
    },
    ...more,
  }),
  resend: (mail: SentMail, type: string, more: object = {}) => ({
    type,
    created_at: new Date(now()).toISOString(),
    data: {
      email_id: '56761188-7520-42d8-8898-ff6fc54ce618',
      to: [mail.to],
      tags: { omega_message_id: mail.message_id, omega_business_id: '1001' },
      ...more,
    },
  }),
});

/** Posts as a provider does. @returns the status */
export async function post(omega: RunningOmega, path: string, { headers, body }: Post): Promise<number> {
  const response = await fetch(`${omega.url}/email/webhooks/${path}`, {
    method: 'POST',
    headers,
    body: new Uint8Array(body),
  });
  await response.arrayBuffer();
  return response.status;
}

export interface FormPart {
  name: string;
  content: Buffer | string;
  filename?: string;
  type?: string;
}

/** A form as bytes, its parts as they are. */
export function multipart(parts: FormPart[]): Post {
  const boundary = `xYzZY${randomUUID()}`;
  const chunks = parts.flatMap(({ name, content, filename, type }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n`,
    ),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)]),
  };
}
