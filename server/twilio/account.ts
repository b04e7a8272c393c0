import type Twilio from 'twilio/lib/rest/Twilio.js';
import type { CarrierSender, Problem } from '../channels/index.ts';
import { type Exchange, newExchange, type TwilioCredentials, twilioClient } from './client.ts';
import { textOf } from './outcome.ts';
import { incomingUrl, leadsTo } from './urls.ts';

/** More numbers than this of one service are not read. */
const mostOfService = 1_000;

export interface Asked {
  client: Twilio;
  exchange: Exchange;
  credentials: TwilioCredentials;
  signal: AbortSignal;
}

export const problem = (about: string | null, error: string, remedy: string): Problem => ({
  about,
  error,
  remedy,
});

/** A setting of Twilio's that says where it calls back. */
export interface Callback {
  /** What it is about, as the subject of a sentence: "A text". */
  what: string;
  /** Undefined where the answer leaves it out: then nothing is said of it. */
  url: string | null | undefined;
  method: string | undefined;
  ours: string;
}

/** What Twilio does not post to us any more, since somebody changed it there. */
export function checkCallback(about: string | null, { what, url, method, ours }: Callback): Problem[] {
  if (url === undefined || (leadsTo(url, ours) && (method ?? 'POST') === 'POST')) return [];
  const now = url ? `${method ?? 'POST'} ${url}` : 'nowhere';
  return [
    problem(
      about,
      `${what} is posted to ${now}, and not to ${ours}.`,
      'It was changed at Twilio: post the onboarding again, which sets it.',
    ),
  ];
}

/**
 * Checks the credentials, the numbers and the messaging service, and that their texts are posted to us; texts
 * nobody.
 */
export async function checkAccount(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  apiUrl: string,
  signal: AbortSignal,
): Promise<Problem[]> {
  const account = await checkCredentials(credentials, signal);
  if (account.length > 0) return account;
  const asked = await ask(credentials, signal);
  const smsUrl = incomingUrl(apiUrl);
  const service = await checkService(asked, senders, smsUrl);
  const problems: Problem[] = [];
  for (const { channel, address } of senders) {
    if (channel !== 'sms') continue;
    problems.push(...(await checkNumber(asked, address, service.answersFor(address) ? null : smsUrl)));
  }
  return [...problems, ...service.problems];
}

export async function ask(credentials: TwilioCredentials, signal: AbortSignal): Promise<Asked> {
  const exchange = newExchange();
  return { client: await twilioClient(credentials, { signal, exchange }), exchange, credentials, signal };
}

async function checkCredentials(credentials: TwilioCredentials, signal: AbortSignal): Promise<Problem[]> {
  const exchange = newExchange();
  const sid = credentials.account_sid;
  try {
    // An API key may not read the account, so the token, which callbacks are signed with, is tried by this.
    const client = await twilioClient(credentials, { signal, exchange, as: 'token' });
    const { status } = await client.api.v2010.accounts(sid).fetch();
    if (status !== 'active')
      return [
        problem(
          null,
          `the Twilio account ${sid} is ${status}.`,
          'Reactivate it in the Twilio Console, or ask Twilio’s support why.',
        ),
      ];
  } catch (error) {
    return [
      failed(null, exchange, error, {
        401: problem(
          null,
          `Twilio refuses the auth token of the account ${sid}.`,
          'Copy Account SID and Auth Token from the Twilio Console (Account Dashboard, Account Info), and post the onboarding again.',
        ),
        404: problem(
          null,
          `Twilio knows no account ${sid}.`,
          'Copy the Account SID from the Twilio Console (Account Dashboard, Account Info).',
        ),
      }),
    ];
  }
  if (!credentials.api_key_sid || !credentials.api_key_secret) return [];
  const keyed = await ask(credentials, signal);
  try {
    await keyed.client.incomingPhoneNumbers.page({ pageSize: 1 });
    if (keyed.exchange.status === 200) return [];
    throw new Error(`Twilio answered ${keyed.exchange.status}`);
  } catch (error) {
    const refused = problem(
      null,
      `Twilio refuses the API key ${credentials.api_key_sid}.`,
      'Make a Standard API key in this account (Twilio Console, Account, API keys & tokens), and post the onboarding again with its SID and secret.',
    );
    return [failed(null, keyed.exchange, error, { 401: refused, 403: refused })];
  }
}

/** What a call failed for, in words; what its status stands for where that is known. */
export function failed(
  about: string | null,
  exchange: Exchange,
  error: unknown,
  known: Record<number, Problem>,
): Problem {
  const { status } = exchange;
  const meant = status === null ? undefined : known[status];
  if (meant) return meant;
  return status === null
    ? problem(
        about,
        `Twilio could not be asked: ${textOf(error)}.`,
        'Check that this server reaches api.twilio.com (or api_base_url), then post the onboarding again.',
      )
    : problem(
        about,
        `Twilio answered ${status}: ${textOf(error)}.`,
        'See https://status.twilio.com and the Error Logs of the Twilio Console, then post the onboarding again.',
      );
}

interface OwnNumber {
  sid: string;
  kind: 'number' | 'shortcode';
  sms: boolean;
  /** A TwiML app that takes the number's texts in place of its URL. */
  appSid?: string;
  smsUrl: string | undefined;
  smsMethod: string | undefined;
}

/** @returns null where the account has no such number; undefined for a name, which no list has */
async function ownNumber({ client }: Asked, address: string): Promise<OwnNumber | null | undefined> {
  if (/^\+\d{7,15}$/.test(address)) {
    const [number] = await client.incomingPhoneNumbers.list({ phoneNumber: address, limit: 1 });
    if (!number) return null;
    const sms = number.capabilities?.sms !== false;
    const { sid, smsApplicationSid: appSid, smsUrl, smsMethod } = number;
    return { sid, kind: 'number', sms, appSid, smsUrl, smsMethod };
  }
  if (/^\d{3,6}$/.test(address)) {
    const [code] = await client.api.v2010
      .accounts(client.accountSid)
      .shortCodes.list({ shortCode: address, limit: 1 });
    if (!code) return null;
    return { sid: code.sid, kind: 'shortcode', sms: true, smsUrl: code.smsUrl, smsMethod: code.smsMethod };
  }
  return undefined;
}

/** @param smsUrl where the number's texts are to be posted; null where its messaging service says that */
async function checkNumber(asked: Asked, address: string, smsUrl: string | null): Promise<Problem[]> {
  try {
    const number = await ownNumber(asked, address);
    if (number === null)
      return [
        problem(
          address,
          'is no number of this Twilio account.',
          'Choose a number of the list in the Twilio Console (Phone Numbers, Active numbers), or buy this one there.',
        ),
      ];
    if (number && !number.sms)
      return [
        problem(
          address,
          'cannot text.',
          'Buy a number with the SMS capability in the Twilio Console, and onboard that.',
        ),
      ];
    if (!number || smsUrl === null) return [];
    if (number.appSid)
      return [
        problem(
          address,
          `has its texts answered by the TwiML App ${number.appSid}.`,
          'It was changed at Twilio: post the onboarding again, which sets it.',
        ),
      ];
    const { smsUrl: url, smsMethod: method } = number;
    return checkCallback(address, { what: 'A text', url, method, ours: smsUrl });
  } catch (error) {
    return [failed(address, asked.exchange, error, {})];
  }
}

interface CheckedService {
  problems: Problem[];
  /** Whether the service, and not the number, says where its texts are posted. */
  answersFor(address: string): boolean;
}

async function checkService(
  asked: Asked,
  senders: readonly CarrierSender[],
  smsUrl: string,
): Promise<CheckedService> {
  const sid = asked.credentials.messaging_service_sid;
  if (sid === undefined) return { problems: [], answersFor: () => false };
  try {
    const service = asked.client.messaging.v1.services(sid);
    const {
      inboundRequestUrl: url,
      inboundMethod: method,
      useInboundWebhookOnNumber,
    } = await service.fetch();
    const numbers = await service.phoneNumbers.list({ limit: mostOfService });
    const codes = await service.shortCodes.list({ limit: mostOfService });
    const pool = new Set([
      ...numbers.map(({ phoneNumber }) => phoneNumber),
      ...codes.map(({ shortCode }) => shortCode),
    ]);
    const outside = senders
      .filter(({ channel, address }) => channel === 'sms' && /^\+?\d+$/.test(address) && !pool.has(address))
      .map(({ address }) =>
        problem(
          address,
          `is not in the sender pool of the messaging service ${sid}.`,
          'Add it in the Twilio Console (Messaging, Services, the service, Sender Pool), or leave messaging_service_sid out.',
        ),
      );
    if (useInboundWebhookOnNumber) return { problems: outside, answersFor: () => false };
    const what = `A text to the messaging service ${sid}`;
    const elsewhere = checkCallback(null, { what, url, method, ours: smsUrl });
    return { problems: [...outside, ...elsewhere], answersFor: (address) => pool.has(address) };
  } catch (error) {
    const problems = [
      failed(null, asked.exchange, error, {
        404: problem(
          null,
          `the Twilio account has no messaging service ${sid}.`,
          'Copy its SID from the Twilio Console (Messaging, Services), or leave messaging_service_sid out.',
        ),
      }),
    ];
    // What the service would say is not known: so nothing is said of its numbers' own URLs.
    return { problems, answersFor: () => true };
  }
}

/** Has texts to the senders posted to us: at each number, and at the service, which may speak for its pool. */
export async function connectAccount(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  apiUrl: string,
  signal: AbortSignal,
): Promise<Problem[]> {
  if (credentials.api_base_url === undefined && !apiUrl.startsWith('https:'))
    return [
      problem(
        null,
        `Twilio cannot call back at ${apiUrl}.`,
        'Set OMEGA_PUBLIC_URL to the https address that leads here from outside, start Omega again, and post the onboarding again.',
      ),
    ];
  const account = await checkCredentials(credentials, signal);
  if (account.length > 0) return account;
  const asked = await ask(credentials, signal);
  const smsUrl = incomingUrl(apiUrl);
  const problems: Problem[] = [];
  for (const { channel, address } of senders) {
    if (channel !== 'sms') continue;
    problems.push(...(await connectNumber(asked, address, smsUrl)));
  }
  const sid = credentials.messaging_service_sid;
  if (sid === undefined) return problems;
  try {
    await asked.client.messaging.v1
      .services(sid)
      .update({ inboundRequestUrl: smsUrl, inboundMethod: 'POST' });
  } catch (error) {
    problems.push(
      failed(null, asked.exchange, error, {
        404: problem(
          null,
          `the Twilio account has no messaging service ${sid}.`,
          'Copy its SID from the Twilio Console (Messaging, Services), or leave messaging_service_sid out.',
        ),
      }),
    );
  }
  return problems;
}

async function connectNumber(asked: Asked, address: string, smsUrl: string): Promise<Problem[]> {
  const { client } = asked;
  try {
    const number = await ownNumber(asked, address);
    // The check of the number, which comes after, says so with its remedy.
    if (!number) return [];
    // With an app beside it Twilio would not call the URL.
    const settings = { smsUrl, smsMethod: 'POST', ...(number.appSid && { smsApplicationSid: '' }) };
    if (number.kind === 'number') await client.incomingPhoneNumbers(number.sid).update(settings);
    else await client.api.v2010.accounts(client.accountSid).shortCodes(number.sid).update(settings);
    return [];
  } catch (error) {
    return [failed(address, asked.exchange, error, {})];
  }
}
