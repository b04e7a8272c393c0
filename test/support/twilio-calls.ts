import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import type { OnboardingPlan } from './lotus.ts';
import type { Answer, RunningOmega } from './omega.ts';
import { type Element, readTwiml } from './twiml.ts';

/** Where Twilio reaches the Omega of these tests. */
export const publicUrl = 'https://omega.example';

export const twilioAccount = {
  account_sid: `AC${'1'.repeat(32)}`,
  auth_token: 'token of the account',
  api_key_sid: `SK${'2'.repeat(32)}`,
  api_key_secret: 'secret of the key',
  twiml_app_sid: `AP${'3'.repeat(32)}`,
  /** Nobody is there. */
  api_base_url: 'http://127.0.0.1:9',
};

/** The studio's number for calls, downtown, and one that belongs to no location. */
export const downtown = '+12125550100';
export const anywhere = '+12125550199';

export const callingLotus: Partial<OnboardingPlan> = {
  senders: [
    { channel: 'voice', address: downtown, provider: 'twilio', location_id: 1 },
    { channel: 'voice', address: anywhere, provider: 'twilio' },
    { channel: 'sms', address: downtown, provider: 'simulator', location_id: 1 },
  ],
  providers: { twilio: twilioAccount },
};

export interface Posted extends Answer {
  /** The answer's TwiML, read and checked. */
  twiml: Element;
}

export interface TwilioOptions {
  account?: { account_sid: string; auth_token: string };
  /** In place of the right one. */
  signature?: string;
}

/** Posts to Omega as Twilio does: a form, signed by Twilio's own library over the public URL. */
export async function postAsTwilio(
  omega: RunningOmega,
  /** Below the base path, or whole as TwiML of ours names it. */
  to: string,
  form: Record<string, string>,
  { account = twilioAccount, signature }: TwilioOptions = {},
): Promise<Posted> {
  // A fragment tells Twilio how to call, and is neither sent nor signed.
  const [path] = to.replace(`${publicUrl}/omega`, '').split('#') as [string];
  const params = { AccountSid: account.account_sid, ...form };
  const signed = getExpectedTwilioSignature(account.auth_token, `${publicUrl}/omega${path}`, params);
  const answer = await omega.as(null).post(path, new URLSearchParams(params).toString(), {
    'content-type': 'application/x-www-form-urlencoded',
    'x-twilio-signature': signature ?? signed,
  });
  return { ...answer, twiml: answer.status === 200 ? readTwiml(answer.body) : (undefined as never) };
}

let calls = 0;

/** An id as Twilio gives. */
export function newCallSid(): string {
  return `CA${String(++calls).padStart(32, '0')}`;
}

export function newRecordingSid(): string {
  return `RE${String(++calls).padStart(32, '0')}`;
}
