import type { Carrier, CarrierAccount, OutgoingMessage } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import { checkAccount, connectAccount } from './account.ts';
import { twilioAddress } from './addresses.ts';
import { newExchange, type TwilioCredentials, twilioClient } from './client.ts';
import { findMessage } from './find.ts';
import { fetchMedia } from './media.ts';
import { sendOutcome } from './outcome.ts';
import { statusUrl } from './urls.ts';
import { checkVoice, connectVoice } from './voice-account.ts';

/**
 * How long a text may wait at Twilio for its turn. A reminder that comes hours late is worse than a failure
 * that staff see; Twilio's own limit is ten hours.
 */
const validityS = 4 * 3600;

/**
 * SMS, MMS and WhatsApp through Twilio, with the business's own account.
 *
 * @param apiUrl where Twilio reaches the API: each message names its status callback there
 */
export function createTwilio({ db, clock, apiUrl }: { db: Db; clock: Clock; apiUrl: string }): Carrier {
  return {
    provider: 'twilio',
    channels: ['sms', 'whatsapp', 'voice'],
    account: 'twilio',

    async send(message, account, signal) {
      const credentials = credentialsOf(account);
      const exchange = newExchange();
      try {
        const client = await twilioClient(credentials, { signal, exchange });
        await client.messages.create(createParameters(message, credentials, apiUrl));
        return sendOutcome(exchange, null);
      } catch (error) {
        // The SDK throws for what it takes for a failure; what went over the wire says what it was.
        return sendOutcome(exchange, error);
      }
    },

    find: (message, since, account, signal) =>
      findMessage({ db, clock }, message, since, credentialsOf(account), signal),
    async check(account, senders, signal) {
      const credentials = credentialsOf(account);
      const problems = await checkAccount(credentials, senders, apiUrl, signal);
      if (problems.some(({ about }) => about === null)) return problems;
      return [...problems, ...(await checkVoice(credentials, senders, apiUrl, signal))];
    },
    async connect(account, senders, url, signal) {
      const credentials = credentialsOf(account);
      const problems = await connectAccount(credentials, senders, url, signal);
      if (problems.some(({ about }) => about === null)) return problems;
      return [...problems, ...(await connectVoice(credentials, senders, url, signal))];
    },
    fetchMedia: (url, account, signal) => fetchMedia(url, credentialsOf(account), signal),
  };
}

function createParameters(message: OutgoingMessage, credentials: TwilioCredentials, apiUrl: string) {
  const { channel, mediaUrls, content } = message;
  return {
    to: twilioAddress(channel, message.to),
    from: twilioAddress(channel, message.from),
    ...inService(message, credentials),
    ...(content !== '' && { body: content }),
    ...(mediaUrls.length > 0 && { mediaUrl: mediaUrls }),
    statusCallback: statusUrl(apiUrl, message),
    validityPeriod: validityS,
  };
}

/** With `From` beside it the service sends from that number of its pool: the one that the client knows. */
function inService({ channel }: OutgoingMessage, { messaging_service_sid }: TwilioCredentials) {
  return channel === 'sms' && messaging_service_sid ? { messagingServiceSid: messaging_service_sid } : {};
}

function credentialsOf(account: CarrierAccount): TwilioCredentials {
  // What the contract's schema let in; the port does not know each carrier's shape.
  return account as TwilioCredentials;
}
