import type RequestClient from 'twilio/lib/base/RequestClient.js';
import type Twilio from 'twilio/lib/rest/Twilio.js';
import { Agent, type Dispatcher, request } from 'undici';
import type { ProviderCredentials } from '../businesses/index.ts';
import { withoutSecrets } from '../core/secrets.ts';

export type TwilioCredentials = ProviderCredentials<'twilio'>;

/** Twilio's answers have a few kilobytes, a page of a list some tens; more is no answer. */
const mostAnswerBytes = 1024 * 1024;
const connectTimeoutMs = 5_000;

/** What went over the wire for one call, for whoever must know whether it arrived. */
export interface Exchange {
  /** The request was about to be written: from then on Twilio may have it. */
  started: boolean;
  status: number | null;
  /** The answer as text, once it was read to its end. */
  body: string | null;
  retryAfter: string | null;
}

const agent = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false });

/**
 * Twilio's own SDK on a transport of ours: all that it calls goes to `api_base_url` where the account has one,
 * and nothing, credentials least, anywhere else. No redirect is followed and nothing is tried twice; the
 * answer's size is capped, and `signal` limits the time in all.
 *
 * @param exchange filled in with what the last call came to
 */
export async function twilioClient(
  credentials: TwilioCredentials,
  {
    signal,
    exchange = newExchange(),
    as = 'key',
  }: { signal: AbortSignal; exchange?: Exchange; as?: 'key' | 'token' },
): Promise<Twilio> {
  // Loaded when it is first needed: half of what the SDK takes, 0.2 s, would count at each start.
  const { default: Client } = await import('twilio/lib/rest/Twilio.js');
  const { account_sid, auth_token, api_key_sid, api_key_secret } = credentials;
  const [username, password] =
    as === 'key' && api_key_sid && api_key_secret ? [api_key_sid, api_key_secret] : [account_sid, auth_token];
  const transport = { request: (call: Call) => send(call, credentials, signal, exchange) };
  return new Client(username, password, {
    accountSid: account_sid,
    httpClient: transport as unknown as RequestClient,
  });
}

export function newExchange(): Exchange {
  return { started: false, status: null, body: null, retryAfter: null };
}

/** What the SDK asks of its transport. */
interface Call {
  method: string;
  uri: string;
  username: string;
  password: string;
  headers?: Record<string, string>;
  params?: Record<string, unknown>;
  data?: Record<string, unknown>;
}

async function send(call: Call, credentials: TwilioCredentials, signal: AbortSignal, exchange: Exchange) {
  Object.assign(exchange, newExchange());
  const url = twilioUrl(call.uri, credentials);
  for (const [name, value] of fields(call.params)) url.searchParams.append(name, value);
  const basic = Buffer.from(`${call.username}:${call.password}`).toString('base64');
  const answer = await request(url, {
    method: call.method.toUpperCase() as Dispatcher.HttpMethod,
    headers: { ...call.headers, authorization: `Basic ${basic}` },
    body: call.data && new URLSearchParams(fields(call.data)).toString(),
    signal,
    dispatcher: agent.compose(noteStart(exchange)),
  });
  // A proxy on the way, or who stands in for Twilio, may repeat what it was told.
  const body = withoutSecrets(await readCapped(answer.body), [basic, call.password]);
  exchange.status = answer.statusCode;
  exchange.body = body;
  const retryAfter = answer.headers['retry-after'];
  exchange.retryAfter = typeof retryAfter === 'string' ? retryAfter : null;
  return { statusCode: answer.statusCode, body, headers: answer.headers };
}

/** @throws for a host that is not Twilio's: the SDK's, or one in an answer (`next_page_uri`) */
export function twilioUrl(uri: string, { api_base_url }: Pick<TwilioCredentials, 'api_base_url'>): URL {
  const url = new URL(uri);
  // A mock names itself in the links to its next pages.
  if (api_base_url !== undefined && url.origin === new URL(api_base_url).origin) return url;
  const isTwilios = url.protocol === 'https:' && url.hostname.endsWith('.twilio.com') && url.port === '';
  if (!isTwilios) throw new Error(`${url.host} is not Twilio's; nothing was sent there.`);
  if (api_base_url === undefined) return url;
  const base = new URL(api_base_url);
  base.pathname = base.pathname.replace(/\/+$/, '') + url.pathname;
  base.search = url.search;
  return base;
}

function fields(record: Record<string, unknown> = {}): [string, string][] {
  return Object.entries(record).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((one) => one !== undefined && one !== null)
      .map((one): [string, string] => [name, String(one)]),
  );
}

/** undici tells a request's start right before it writes it: what failed before never reached anybody. */
function noteStart(exchange: Exchange) {
  return (dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] =>
    (options, handler) =>
      dispatch(
        options,
        new Proxy(handler, {
          get(target, name) {
            const own = Reflect.get(target, name);
            if (typeof own !== 'function') return own;
            return (...args: unknown[]) => {
              if (name === 'onRequestStart') exchange.started = true;
              return Reflect.apply(own, target, args);
            };
          },
        }),
      );
}

async function readCapped(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > mostAnswerBytes) throw new Error(`Twilio's answer has more than ${mostAnswerBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
