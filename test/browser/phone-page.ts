import { type Call, Device } from '@twilio/voice-sdk';
import { Omega } from '../../sdk/index.ts';

/**
 * The telephone of a page: a session's cookie, a token, Twilio's Voice SDK. What an inbox needs of it and no
 * more, so that a test can show it in a browser.
 */
export interface Phone {
  /** Rings a client: by `To`, `client_id` or `conversation_id`. */
  call(params: Record<string, string>): Promise<void>;
  hangUp(): void;
  /** What happened, in order. */
  log: string[];
}

/** @param signalling where the SDK signals, in place of Twilio's servers: `host:port` */
export async function openPhone(baseUrl: string, signalling: string): Promise<Phone> {
  const omega = new Omega({ baseUrl });
  const log: string[] = [];
  const takeToken = async (): Promise<string> => {
    const { data, error } = await omega.getVoiceToken({});
    if (error) throw error;
    log.push(`token for ${data.identity}`);
    return data.token;
  };
  const options = { chunderw: signalling, allowIncomingWhileBusy: false, tokenRefreshMs: 60_000 };
  const device = new Device(await takeToken(), options as Device.Options);
  device.on('registered', () => log.push('registered'));
  device.on('error', (error: Error) => log.push(`error: ${error.message}`));
  device.on('tokenWillExpire', async () => device.updateToken(await takeToken()));
  device.on('incoming', (call: Call) => {
    log.push(`incoming from ${call.parameters.From} about client ${call.customParameters.get('client_id')}`);
    call.on('cancel', () => log.push('canceled'));
  });
  // The ringing's sound is on Twilio's servers, which a test does not reach.
  device.audio?.incoming(false);
  await device.register();
  return {
    log,
    async call(params) {
      const call = await device.connect({ params });
      call.on('ringing', () => log.push('ringing'));
      call.on('disconnect', () => log.push('disconnected'));
    },
    hangUp: () => device.disconnectAll(),
  };
}
