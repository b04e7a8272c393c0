import { fileTypeFromBuffer } from 'file-type';
import { Agent, request } from 'undici';
import type { MediaOutcome } from '../channels/index.ts';
import { BlockedAddress, publicDispatcher } from '../core/public-address.ts';
import { type TwilioCredentials, twilioUrl } from './client.ts';
import { textOf } from './outcome.ts';

/** Twilio takes 5 MB for MMS and 16 MB for WhatsApp. */
const mostMediaBytes = 20 * 1024 * 1024;
const mostRedirects = 3;

/**
 * What a phone sends: pictures, sound, video, a document, a visiting card, an appointment. By its bytes, for whoever sent it
 * may call a page with a script a picture (https://www.twilio.com/docs/messaging/guides/accepted-mime-types).
 */
const kept =
  /^(?:image\/(?!svg)|audio\/|video\/|application\/(?:pdf|ogg|rtf|vnd\.openxmlformats-officedocument\.))/;

/** Where Twilio's media links lead on to: its own network's hosts, and the store behind them. */
const storeHosts = /^(?:[a-z0-9-]+\.)*twiliocdn\.com$/;
const bucket = { host: 's3-external-1.amazonaws.com', path: '/media.twiliocdn.com/' };

/**
 * Brings one file of an inbound message. The link is a stranger's text until it is checked, so it is followed
 * to Twilio's hosts alone, by public addresses alone, each step anew; and the account's credentials go to
 * Twilio's API (or its mock, `api_base_url`) and nowhere else.
 */
export async function fetchMedia(
  url: string,
  credentials: TwilioCredentials,
  signal: AbortSignal,
): Promise<MediaOutcome> {
  let at: Stop | null = firstStop(url, credentials);
  for (let redirects = 0; at; redirects++) {
    if (redirects > mostRedirects) return { kind: 'refused', detail: 'Its link leads on and on.' };
    const answer = await follow(at, signal).catch((error: unknown) =>
      error instanceof BlockedAddress
        ? ({ kind: 'refused', detail: error.message } as const)
        : ({ kind: 'later', detail: `It could not be fetched: ${textOf(error)}` } as const),
    );
    if ('kind' in answer) return answer;
    at = nextStop(at, answer.location, credentials);
  }
  return { kind: 'refused', detail: 'Its link leads to a host that is not Twilio’s.' };
}

/** An address on the way to the file. */
interface Stop {
  url: URL;
  authorization: string | null;
  /** A mock's own origin, which may be on this machine. */
  mock: boolean;
}

/** Links name Twilio's API, or the mock in its place. */
function firstStop(link: string, credentials: TwilioCredentials): Stop | null {
  if (!URL.canParse(link)) return null;
  const url = new URL(link);
  if (credentials.api_base_url !== undefined && url.origin === new URL(credentials.api_base_url).origin)
    return apiStop(url, credentials);
  if (url.protocol === 'https:' && url.port === '' && url.hostname === 'api.twilio.com')
    return apiStop(twilioUrl(url.href, credentials), credentials);
  return storeStop(url);
}

function apiStop(url: URL, { api_base_url, ...credentials }: TwilioCredentials): Stop {
  const { account_sid, auth_token, api_key_sid, api_key_secret } = credentials;
  const [user, password] =
    api_key_sid && api_key_secret ? [api_key_sid, api_key_secret] : [account_sid, auth_token];
  return {
    url,
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    mock: api_base_url !== undefined,
  };
}

function storeStop(url: URL): Stop | null {
  if (url.protocol !== 'https:' || url.port !== '' || url.username !== '') return null;
  const isStore =
    storeHosts.test(url.hostname) || (url.hostname === bucket.host && url.pathname.startsWith(bucket.path));
  return isStore ? { url, authorization: null, mock: false } : null;
}

/** A redirect never carries credentials on; a mock may lead on within itself. */
function nextStop(from: Stop, location: string | null, { api_base_url }: TwilioCredentials): Stop | null {
  if (location === null || !URL.canParse(location, from.url.href)) return null;
  const url = new URL(location, from.url);
  if (from.mock && api_base_url !== undefined && url.origin === new URL(api_base_url).origin)
    return { url, authorization: null, mock: true };
  return storeStop(url);
}

async function follow(
  { url, authorization, mock }: Stop,
  signal: AbortSignal,
): Promise<MediaOutcome | { location: string | null }> {
  const answer = await request(url, {
    headers: authorization === null ? {} : { authorization },
    signal,
    dispatcher: mock ? anywhere : publicOnly,
  });
  const { statusCode, headers, body } = answer;
  const drop = async <T>(result: T): Promise<T> => {
    await body.dump({ limit: 64 * 1024 }).catch(() => undefined);
    return result;
  };
  if (statusCode >= 300 && statusCode < 400) {
    const { location } = headers;
    return drop({ location: typeof location === 'string' ? location : null });
  }
  if (statusCode === 404 || statusCode === 410)
    return drop({ kind: 'refused', detail: `Twilio no longer has it (${statusCode}).` } as const);
  if (statusCode !== 200) return drop({ kind: 'later', detail: `Its host answered ${statusCode}.` } as const);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > mostMediaBytes)
      return { kind: 'refused', detail: `It has more than ${mostMediaBytes / 1024 / 1024} MB.` };
    chunks.push(chunk);
  }
  return sniffed(Buffer.concat(chunks));
}

/** Texts that phones send as files; they have no magic bytes, but a first line. */
const texts = [
  { begins: /^\uFEFF?BEGIN:VCARD\r?\n/i, contentType: 'text/vcard', extension: 'vcf' },
  { begins: /^\uFEFF?BEGIN:VCALENDAR\r?\n/i, contentType: 'text/calendar', extension: 'ics' },
];

async function sniffed(content: Buffer): Promise<MediaOutcome> {
  if (content.length === 0) return { kind: 'later', detail: 'It came empty.' };
  const type = await fileTypeFromBuffer(content);
  if (type && kept.test(type.mime))
    return { kind: 'fetched', content, contentType: type.mime, extension: type.ext };
  const start = content.subarray(0, 32).toString('utf8');
  const text = texts.find(({ begins }) => begins.test(start));
  if (text) {
    const { contentType, extension } = text;
    return { kind: 'fetched', content, contentType, extension };
  }
  return {
    kind: 'refused',
    detail: `It is no picture, sound, video or document (${type?.mime ?? 'unknown'}).`,
  };
}

const connectTimeoutMs = 5_000;
const anywhere = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false });
const publicOnly = publicDispatcher(connectTimeoutMs);
