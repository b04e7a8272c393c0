import type { CarrierSender, Problem } from '../channels/index.ts';
import { type Asked, ask, checkCallback, failed, problem } from './account.ts';
import type { TwilioCredentials } from './client.ts';
import { tryAgain } from './urls.ts';

/** Where a call is answered, and where it is told how it went. A caller waits: so the first is tried once more only. */
const urlsOf = (apiUrl: string) => ({
  voiceUrl: `${apiUrl}/voice-calls/twiml#rc=1&rp=ct,rt,5xx`,
  voiceMethod: 'POST',
  statusCallback: `${apiUrl}/twilio/voice/status${tryAgain}`,
  statusCallbackMethod: 'POST',
});

/**
 * Checks the numbers that take calls, and the TwiML App that browsers call through, and that both are answered by
 * us; calls nobody.
 */
export async function checkVoice(
  credentials: TwilioCredentials,
  senders: readonly CarrierSender[],
  apiUrl: string,
  signal: AbortSignal,
): Promise<Problem[]> {
  const numbers = senders.filter(({ channel }) => channel === 'voice');
  if (numbers.length === 0) return [];
  const asked = await ask(credentials, signal);
  const problems: Problem[] = [];
  const urls = urlsOf(apiUrl);
  for (const { address } of numbers) problems.push(...(await checkNumber(asked, address, urls)));
  const ofApp = await withApp(asked, async (app) =>
    checkCallbacks(null, ` through the TwiML App ${credentials.twiml_app_sid}`, await app.fetch(), urls),
  );
  return [...problems, ...ofApp];
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
      if (other !== null && ours === undefined) problems.push(takenByApp(address, other, credentials));
      // With an app beside it Twilio would not call the URL; ours is answered where the URL is.
      const settings = { ...urls, ...(other !== null && ours && { voiceApplicationSid: ours }) };
      await asked.client.incomingPhoneNumbers(number.sid).update(settings);
    } catch (error) {
      problems.push(failed(address, asked.exchange, error, {}));
    }
  }
  return [...problems, ...(await withApp(asked, (app) => app.update(urls).then(() => [])))];
}

function takenByApp(address: string, app: string, { twiml_app_sid }: TwilioCredentials): Problem {
  return problem(
    address,
    `has its calls answered by the TwiML App ${app}.`,
    twiml_app_sid === undefined
      ? 'In the Twilio Console (Phone Numbers, the number, Voice) choose Webhook in place of TwiML App; or onboard with twiml_app_sid.'
      : 'It was changed at Twilio: post the onboarding again, which sets it.',
  );
}

async function numberOf({ client }: Asked, phoneNumber: string) {
  const [number] = await client.incomingPhoneNumbers.list({ phoneNumber, limit: 1 });
  return number ?? null;
}

type CallUrls = ReturnType<typeof urlsOf>;

/** @param where words for what the settings are of, after "A call" */
function checkCallbacks(
  about: string | null,
  where: string,
  set: { [K in keyof CallUrls]: string | null | undefined },
  { voiceUrl, statusCallback }: CallUrls,
): Problem[] {
  const method = (value: string | null | undefined) => value ?? undefined;
  return [
    ...checkCallback(about, {
      what: `A call${where}`,
      url: set.voiceUrl,
      method: method(set.voiceMethod),
      ours: voiceUrl,
    }),
    ...checkCallback(about, {
      what: `The status of a call${where}`,
      url: set.statusCallback,
      method: method(set.statusCallbackMethod),
      ours: statusCallback,
    }),
  ];
}

async function checkNumber(asked: Asked, address: string, urls: CallUrls): Promise<Problem[]> {
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
    const app = number.voiceApplicationSid || null;
    if (app === null) return checkCallbacks(address, '', number, urls);
    // What ours says is asked of the app itself.
    return app === asked.credentials.twiml_app_sid ? [] : [takenByApp(address, app, asked.credentials)];
  } catch (error) {
    return [failed(address, asked.exchange, error, {})];
  }
}

/** What is done with the account's TwiML App, where it has one. */
async function withApp(
  asked: Asked,
  act: (app: ReturnType<Asked['client']['applications']['get']>) => Promise<Problem[]>,
): Promise<Problem[]> {
  const sid = asked.credentials.twiml_app_sid;
  if (sid === undefined) return [];
  try {
    return await act(asked.client.applications.get(sid));
  } catch (error) {
    const unknown = problem(
      null,
      `the Twilio account has no TwiML App ${sid}.`,
      'Make one in the Twilio Console (Voice, Manage, TwiML apps), or copy its SID from there, and post the onboarding again.',
    );
    return [failed(null, asked.exchange, error, { 404: unknown })];
  }
}
