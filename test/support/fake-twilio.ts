import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInstance, getHttpOperationsFromSpec, type IHttpRequest } from '@stoplight/prism-http';
import { pino } from 'pino';
import type { RunningOmega } from './omega.ts';

export const accountSid = `AC${'a1'.repeat(16)}`;
export const authToken = 'the auth token of the account';
export const serviceSid = `MG${'b2'.repeat(16)}`;

/** What Twilio's server was asked, written down before it answers: the witness. */
export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  form: URLSearchParams;
  authorization: string | undefined;
}

export interface TwilioMessage {
  sid: string;
  to: string;
  from: string | null;
  body: string;
  status: string;
  direction: string;
  statusCallback: string | null;
  createdAt: number;
  error_code: number | null;
}

/** How a message that is posted is answered. Each may have accepted it first. */
export type Answer = { accepted?: boolean } & (
  | { kind: 'created' }
  | { kind: 'refused'; status: number; code?: number; message?: string; retryAfter?: string }
  | { kind: 'raw'; status: number; type: string; body: string }
  | { kind: 'bytes'; count: number }
  | { kind: 'nothing' }
  | { kind: 'drip'; everyMs: number }
  | { kind: 'cut' }
  | { kind: 'reset' }
);

/** Where calls of a number or a TwiML App are answered and told of. */
export interface CallSettings {
  voiceUrl?: string;
  statusCallback?: string;
}

export interface FakeTwilio {
  /** For `api_base_url`. */
  url: string;
  asked: Asked[];
  messages: TwilioMessage[];
  /**
   * What Prism finds wrong in any request so far, by Twilio's own OpenAPI. It takes its time, so it looks when
   * it is asked, and not while Omega waits for an answer.
   */
  violations(): Promise<string[]>;
  numbers: Map<
    string,
    CallSettings & {
      sid: string;
      sms: boolean;
      voice?: boolean;
      voiceApp?: string;
      smsApp?: string | undefined;
      smsUrl: string;
    }
  >;
  /** TwiML Apps that the account has, by SID. */
  apps: Set<string>;
  /** What is set of those, once it is. */
  appCalls: Map<string, CallSettings>;
  pool: Set<string>;
  service: { inboundRequestUrl: string | null; useInboundWebhookOnNumber?: boolean };
  media: Map<string, (request: IncomingMessage, response: ServerResponse) => void>;
  /** Accepts all unless told otherwise. */
  answer: (message: URLSearchParams) => Answer;
  /** Messages posted to it so far. */
  posts(): Asked[];
  close(): Promise<void>;
}

const spec = join(import.meta.dirname, '..', 'vectors', 'twilio_openapi.json');

/** Twilio's OpenAPI. Prism reads a list in a form only where its encoding is written out: this is the default for it. */
export function withListsInForms(): object {
  const openapi = JSON.parse(readFileSync(spec, 'utf8')) as {
    paths: Record<string, { post?: { requestBody?: { content: Record<string, object> } } }>;
  };
  for (const { post } of Object.values(openapi.paths)) {
    for (const content of Object.values(post?.requestBody?.content ?? {}))
      Object.assign(content, { encoding: { MediaUrl: { style: 'form', explode: true } } });
  }
  return openapi;
}

/** Twilio's API on loopback, as far as Omega calls it. Every request to it is checked by Prism. */
export async function startFakeTwilio(now: () => number): Promise<FakeTwilio> {
  const operations = await getHttpOperationsFromSpec(withListsInForms());
  const logger = Object.assign(pino({ level: 'silent' }), { success: () => undefined });
  const prism = createInstance(
    {
      mock: { dynamic: false },
      validateRequest: true,
      validateResponse: false,
      checkSecurity: true,
      errors: false,
      upstreamProxy: undefined,
      isProxy: false,
    } as never,
    { logger: logger as never },
  );
  const violations: string[] = [];
  const toValidate: { method: string; url: URL; headers: IncomingMessage['headers']; body: string }[] = [];
  const sockets = new Set<import('node:net').Socket>();
  const fake: FakeTwilio = {
    url: '',
    asked: [],
    messages: [],
    numbers: new Map(),
    apps: new Set(),
    appCalls: new Map(),
    pool: new Set(),
    service: { inboundRequestUrl: '' },
    media: new Map(),
    answer: () => ({ kind: 'created' }),
    async violations() {
      for (const { method, url, headers, body } of toValidate.splice(0))
        await validate(method, url, headers, body);
      return violations;
    },
    posts: () =>
      fake.asked.filter(({ method, path }) => method === 'POST' && path.endsWith('/Messages.json')),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const url = new URL(request.url!, 'http://127.0.0.1');
    const asked: Asked = {
      method: request.method!,
      path: url.pathname,
      query: url.searchParams,
      form: new URLSearchParams(body),
      authorization: request.headers.authorization,
    };
    fake.asked.push(asked);
    if (fake.media.has(url.pathname)) return fake.media.get(url.pathname)!(request, response);
    if (url.pathname.startsWith('/2010-04-01/'))
      toValidate.push({ method: request.method!, url, headers: request.headers, body });
    serve(asked, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });

  async function validate(
    method: string,
    url: URL,
    headers: IncomingMessage['headers'],
    body: string,
  ): Promise<void> {
    const query: Record<string, string> = Object.fromEntries(url.searchParams);
    const input = {
      method: method.toLowerCase(),
      url: { path: url.pathname, query },
      headers,
      body: body === '' ? undefined : body,
    } as IHttpRequest;
    const result = await prism.request(input, operations)();
    const about = `${method} ${url.pathname}`;
    if (result._tag === 'Left')
      violations.push(`${about}: ${result.left.message} ${JSON.stringify(result.left)}`);
    else
      violations.push(
        ...result.right.validations.input.map(
          ({ path, message }) => `${about}: ${path?.join('.')} ${message}`,
        ),
      );
  }

  function serve({ method, path, query, form, authorization }: Asked, response: ServerResponse): void {
    const json = (status: number, value: unknown, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(value));
    const refuse = (status: number, code: number, message: string) =>
      json(status, { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status });
    const [user] = Buffer.from(authorization?.slice(6) ?? '', 'base64')
      .toString()
      .split(':');
    if (authorization !== basic(accountSid, authToken) && !user?.startsWith('SK'))
      return void refuse(401, 20003, 'Authenticate');
    const account = `/2010-04-01/Accounts/${accountSid}`;
    if (path === `${account}.json`) return void json(200, { sid: accountSid, status: 'active' });
    if (path === `${account}/IncomingPhoneNumbers.json`) {
      const asked = query.get('PhoneNumber');
      const numbers = [...fake.numbers]
        .filter(([address]) => asked === null || address === asked)
        .map(([phone_number, number]) => ({
          sid: number.sid,
          phone_number,
          capabilities: { sms: number.sms, voice: number.voice ?? true },
          voice_application_sid: number.voiceApp ?? null,
          sms_application_sid: number.smsApp ?? '',
          sms_url: number.smsUrl,
          sms_method: 'POST',
          ...presentedCalls(number),
        }));
      return void json(200, { incoming_phone_numbers: numbers, next_page_uri: null, page: 0 });
    }
    const number = [...fake.numbers.values()].find(
      ({ sid }) => path === `${account}/IncomingPhoneNumbers/${sid}.json`,
    );
    if (number && method === 'POST') {
      number.smsUrl = form.get('SmsUrl') ?? number.smsUrl;
      number.smsApp = form.get('SmsApplicationSid') ?? number.smsApp;
      number.voiceApp = form.get('VoiceApplicationSid') ?? number.voiceApp;
      setCalls(number, form);
      return void json(200, { sid: number.sid });
    }
    const app = [...fake.apps].find((sid) => path === `${account}/Applications/${sid}.json`);
    if (app) {
      const calls = fake.appCalls.get(app) ?? {};
      if (method === 'POST') setCalls(calls, form);
      fake.appCalls.set(app, calls);
      return void json(200, { sid: app, ...presentedCalls(calls) });
    }
    const service = `/v1/Services/${serviceSid}`;
    if (path === service) {
      if (method === 'POST') fake.service.inboundRequestUrl = form.get('InboundRequestUrl')!;
      const { inboundRequestUrl, useInboundWebhookOnNumber = false } = fake.service;
      return void json(200, {
        sid: serviceSid,
        inbound_request_url: inboundRequestUrl,
        inbound_method: 'POST',
        use_inbound_webhook_on_number: useInboundWebhookOnNumber,
      });
    }
    const meta = { key: '', next_page_url: null, page: 0, page_size: 50 };
    if (path === `${service}/PhoneNumbers`) {
      const phone_numbers = [...fake.pool].map((phone_number) => ({ sid: 'PN', phone_number }));
      return void json(200, { phone_numbers, meta: { ...meta, key: 'phone_numbers' } });
    }
    if (path === `${service}/ShortCodes`)
      return void json(200, { short_codes: [], meta: { ...meta, key: 'short_codes' } });
    if (path !== `${account}/Messages.json`)
      return void refuse(404, 20404, `The requested resource ${path} was not found`);
    if (method === 'GET') return void list(query, json);
    create(form, response, json);
  }

  function list(query: URLSearchParams, json: (status: number, value: unknown) => unknown): void {
    const messages = fake.messages
      .filter(({ to }) => to === query.get('To'))
      .filter(({ from }) => query.get('From') === null || from === query.get('From'))
      .toReversed()
      .map(presented);
    json(200, { messages, next_page_uri: null, page: 0, page_size: 50 });
  }

  function create(
    form: URLSearchParams,
    response: ServerResponse,
    json: (status: number, value: unknown, headers?: Record<string, string>) => unknown,
  ): void {
    const answer = fake.answer(form);
    const message: TwilioMessage = {
      sid: `${form.has('MediaUrl') ? 'MM' : 'SM'}${randomBytes(16).toString('hex')}`,
      to: form.get('To')!,
      from: form.get('From'),
      body: form.get('Body') ?? '',
      status: 'queued',
      direction: 'outbound-api',
      statusCallback: form.get('StatusCallback'),
      createdAt: now(),
      error_code: null,
    };
    if (answer.kind === 'created' || answer.accepted) fake.messages.push(message);
    const whole = JSON.stringify(presented(message));
    switch (answer.kind) {
      case 'created':
        return void json(201, presented(message));
      case 'refused':
        return void json(
          answer.status,
          { code: answer.code, message: answer.message ?? 'Refused', status: answer.status },
          answer.retryAfter === undefined ? {} : { 'retry-after': answer.retryAfter },
        );
      case 'raw':
        return void response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
      case 'bytes':
        response.writeHead(201, { 'content-type': 'application/json' });
        return void response.end(Buffer.alloc(answer.count, ' '));
      case 'nothing':
        return;
      case 'drip': {
        response.writeHead(201, { 'content-type': 'application/json' });
        let at = 0;
        const timer = setInterval(() => response.write(whole[at++ % whole.length]!), answer.everyMs);
        response.on('close', () => clearInterval(timer));
        return;
      }
      case 'cut':
        response.writeHead(201, { 'content-type': 'application/json', 'content-length': whole.length });
        response.write(whole.slice(0, whole.length / 2));
        return void response.socket!.end();
      case 'reset':
        return void response.socket!.resetAndDestroy();
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

function setCalls(settings: CallSettings, form: URLSearchParams): void {
  settings.voiceUrl = form.get('VoiceUrl') ?? settings.voiceUrl;
  settings.statusCallback = form.get('StatusCallback') ?? settings.statusCallback;
}

function presentedCalls({ voiceUrl = '', statusCallback = '' }: CallSettings) {
  return {
    voice_url: voiceUrl,
    voice_method: 'POST',
    status_callback: statusCallback,
    status_callback_method: 'POST',
  };
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function presented({ createdAt, statusCallback: _, ...message }: TwilioMessage) {
  return {
    ...message,
    account_sid: accountSid,
    api_version: '2010-04-01',
    date_created: new Date(createdAt).toUTCString(),
    date_sent: null,
    error_message: null,
    num_media: message.sid.startsWith('MM') ? '1' : '0',
    num_segments: '1',
    uri: `/2010-04-01/Accounts/${accountSid}/Messages/${message.sid}.json`,
  };
}

/** Twilio's signature (https://www.twilio.com/docs/usage/webhooks/webhooks-security), made anew here: the witness. */
export function signed(url: string, params: Record<string, string>, token = authToken): string {
  const text = Object.keys(params)
    .sort()
    .reduce((so, name) => so + name + params[name], url);
  return createHmac('sha1', token).update(text).digest('base64');
}

/** Where the tests' Omega is reached from outside, and what Twilio signs. */
export const publicUrl = 'https://omega.example';

/** Posts as Twilio does: a form, signed over the public URL. @param path with its query, below the base path */
export async function postAsTwilio(
  omega: RunningOmega,
  path: string,
  params: Record<string, string>,
  { token = authToken, signature }: { token?: string; signature?: string } = {},
): Promise<{ status: number; type: string | null; text: string }> {
  const response = await fetch(omega.url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'x-twilio-signature': signature ?? signed(`${publicUrl}/omega${path}`, params, token),
    },
    body: new URLSearchParams(params).toString(),
  });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
  };
}

/** The callback of a message that it has, where the message asked for it. */
export function callBack(
  omega: RunningOmega,
  message: TwilioMessage,
  status: string,
  more: Record<string, string> = {},
): ReturnType<typeof postAsTwilio> {
  const { pathname, search } = new URL(message.statusCallback!);
  return postAsTwilio(omega, pathname.replace('/omega', '') + search, {
    MessageSid: message.sid,
    SmsSid: message.sid,
    MessageStatus: status,
    SmsStatus: status,
    To: message.to,
    From: message.from ?? '',
    AccountSid: accountSid,
    ApiVersion: '2010-04-01',
    ...more,
  });
}
