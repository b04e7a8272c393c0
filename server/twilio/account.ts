import type Twilio from 'twilio/lib/rest/Twilio.js';
import type { CarrierSender, Problem } from '../channels/index.ts';
import { type Exchange, newExchange, type TwilioCredentials, twilioClient } from './client.ts';
import { textOf } from './outcome.ts';
import { incomingUrl } from './urls.ts';

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

/** Checks the credentials, the numbers and the messaging service; texts nobody. */
export async function checkAccount(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  signal: AbortSignal,
): Promise<Problem[]> {
  const account = await checkCredentials(credentials, signal);
  if (account.length > 0) return account;
  const asked = await ask(credentials, signal);
  const problems: Problem[] = [];
  for (const { channel, address } of senders) {
    if (channel === 'sms') problems.push(...(await checkNumber(asked, address)));
  }
  problems.push(...(await checkService(asked, senders)));
  return problems;
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
}

/** @returns null where the account has no such number; undefined for a name, which no list has */
async function ownNumber({ client }: Asked, address: string): Promise<OwnNumber | null | undefined> {
  if (/^\+\d{7,15}$/.test(address)) {
    const [number] = await client.incomingPhoneNumbers.list({ phoneNumber: address, limit: 1 });
    if (!number) return null;
    const sms = number.capabilities?.sms !== false;
    return { sid: number.sid, kind: 'number', sms, appSid: number.smsApplicationSid };
  }
  if (/^\d{3,6}$/.test(address)) {
    const [code] = await client.api.v2010
      .accounts(client.accountSid)
      .shortCodes.list({ shortCode: address, limit: 1 });
    return code ? { sid: code.sid, kind: 'shortcode', sms: true } : null;
  }
  return undefined;
}

async function checkNumber(asked: Asked, address: string): Promise<Problem[]> {
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
    return [];
  } catch (error) {
    return [failed(address, asked.exchange, error, {})];
  }
}

async function checkService(asked: Asked, senders: readonly CarrierSender[]): Promise<Problem[]> {
  const sid = asked.credentials.messaging_service_sid;
  if (sid === undefined) return [];
  try {
    const service = asked.client.messaging.v1.services(sid);
    await service.fetch();
    const numbers = await service.phoneNumbers.list({ limit: mostOfService });
    const codes = await service.shortCodes.list({ limit: mostOfService });
    const pool = new Set([
      ...numbers.map(({ phoneNumber }) => phoneNumber),
      ...codes.map(({ shortCode }) => shortCode),
    ]);
    return senders
      .filter(({ channel, address }) => channel === 'sms' && /^\+?\d+$/.test(address) && !pool.has(address))
      .map(({ address }) =>
        problem(
          address,
          `is not in the sender pool of the messaging service ${sid}.`,
          'Add it in the Twilio Console (Messaging, Services, the service, Sender Pool), or leave messaging_service_sid out.',
        ),
      );
  } catch (error) {
    return [
      failed(null, asked.exchange, error, {
        404: problem(
          null,
          `the Twilio account has no messaging service ${sid}.`,
          'Copy its SID from the Twilio Console (Messaging, Services), or leave messaging_service_sid out.',
        ),
      }),
    ];
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
