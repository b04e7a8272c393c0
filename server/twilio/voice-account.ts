import type { CarrierSender, Problem } from '../channels/index.ts';
import { type Asked, ask, failed, problem } from './account.ts';
import type { TwilioCredentials } from './client.ts';
import { tryAgain } from './urls.ts';

/** Where a call is answered, and where it is told how it went. A caller waits: so the first is tried once more only. */
const urlsOf = (apiUrl: string) => ({
  voiceUrl: `${apiUrl}/voice-calls/twiml#rc=1&rp=ct,rt,5xx`,
  voiceMethod: 'POST',
  statusCallback: `${apiUrl}/twilio/voice/status${tryAgain}`,
  statusCallbackMethod: 'POST',
});

/** Checks the numbers that take calls, and the TwiML App that browsers call through; calls nobody. */
export async function checkVoice(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  signal: AbortSignal,
): Promise<Problem[]> {
  const numbers = senders.filter(({ channel }) => channel === 'voice');
  if (numbers.length === 0) return [];
  const asked = await ask(credentials, signal);
  const problems: Problem[] = [];
  for (const { address } of numbers) problems.push(...(await checkNumber(asked, address)));
  return [...problems, ...(await withApp(asked, (app) => app.fetch()))];
}

/** Has calls to the numbers, and from browsers, answered by us. */
export async function connectVoice(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  apiUrl: string,
  signal: AbortSignal,
): Promise<Problem[]> {
  const numbers = senders.filter(({ channel }) => channel === 'voice');
  if (numbers.length === 0) return [];
  const asked = await ask(credentials, signal);
  const urls = urlsOf(apiUrl);
  const problems: Problem[] = [];
  for (const { address } of numbers) {
    try {
      const number = await numberOf(asked, address);
      // The check, which comes after, says so with its remedy.
      if (!number) continue;
      const ours = credentials.twiml_app_sid;
      const other = number.voiceApplicationSid || null;
      if (other !== null && ours === undefined) problems.push(takenByApp(address, other));
      // With an app beside it Twilio would not call the URL; ours is answered where the URL is.
      const settings = { ...urls, ...(other !== null && ours && { voiceApplicationSid: ours }) };
      await asked.client.incomingPhoneNumbers(number.sid).update(settings);
    } catch (error) {
      problems.push(failed(address, asked.exchange, error, {}));
    }
  }
  return [...problems, ...(await withApp(asked, (app) => app.update(urls)))];
}

function takenByApp(address: string, app: string): Problem {
  return problem(
    address,
    `has its calls answered by the TwiML App ${app}.`,
    'In the Twilio Console (Phone Numbers, the number, Voice) choose Webhook in place of TwiML App; or onboard with twiml_app_sid.',
  );
}

async function numberOf({ client }: Asked, phoneNumber: string) {
  const [number] = await client.incomingPhoneNumbers.list({ phoneNumber, limit: 1 });
  return number ?? null;
}

async function checkNumber(asked: Asked, address: string): Promise<Problem[]> {
  try {
    const number = await numberOf(asked, address);
    if (!number)
      return [
        problem(
          address,
          'is no number of this Twilio account.',
          'Choose a number of the list in the Twilio Console (Phone Numbers, Active numbers), or buy this one there.',
        ),
      ];
    if (number.capabilities?.voice === false)
      return [
        problem(
          address,
          'cannot call.',
          'Buy a number with the Voice capability in the Twilio Console, and onboard that.',
        ),
      ];
    return [];
  } catch (error) {
    return [failed(address, asked.exchange, error, {})];
  }
}

/** What is done with the account's TwiML App, where it has one. */
async function withApp(
  asked: Asked,
  act: (app: ReturnType<Asked['client']['applications']['get']>) => Promise<unknown>,
): Promise<Problem[]> {
  const sid = asked.credentials.twiml_app_sid;
  if (sid === undefined) return [];
  try {
    await act(asked.client.applications.get(sid));
    return [];
  } catch (error) {
    const unknown = problem(
      null,
      `the Twilio account has no TwiML App ${sid}.`,
      'Make one in the Twilio Console (Voice, Manage, TwiML apps), or copy its SID from there, and post the onboarding again.',
    );
    return [failed(null, asked.exchange, error, { 404: unknown })];
  }
}
