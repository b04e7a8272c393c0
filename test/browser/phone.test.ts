import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import {
  callingLotus,
  downtown,
  newCallSid,
  postAsTwilio,
  publicUrl,
  twilioAccount,
} from '../support/twilio-calls.ts';
import { all } from '../support/twiml.ts';
import { type Browser, missing, openBrowser } from './chromium.ts';

let omega: RunningOmega | undefined;
let api: Client;
let browser: Browser | undefined;
/** The bundle that the page loads. */
let script = '';

/** Twilio's signalling server, as far as one Device speaks with it; what it was told, and its end of the line. */
interface Signalling {
  told: { type: string; payload: Record<string, unknown> }[];
  socket: WebSocketRoute | null;
}

beforeAll(async () => {
  if (missing) return console.warn(`Skipped: ${missing}.`);
  omega = await startOmega({ worker: false, publicUrl });
  ({ api } = await omega.business({ business_id: 1001, ...callingLotus }));
  await api.call('PUT', '/businesses/1001/clients/501', { name: 'Ana Lima', phones: ['+12025550123'] });
  const bundled = await build({
    entryPoints: [join(import.meta.dirname, 'phone-page.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'page',
    platform: 'browser',
    logLevel: 'error',
  });
  script = bundled.outputFiles[0]!.text;
  // A microphone that hums, and no question whether it may be used.
  browser = await openBrowser(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
});

afterAll(async () => {
  await browser?.close();
  await omega?.close();
});

beforeEach(({ skip }) => skip(missing !== undefined, missing));

/** Opens the page as a staff member who is signed in, and its telephone. */
async function openPage(staffId: number): Promise<Signalling> {
  const { page } = browser!;
  const { origin } = new URL(omega!.url);
  const { body: session } = await api.post('/authentication/token', { staff_id: staffId });
  await page.context().addCookies([{ name: 'omega_session', value: session.token, url: omega!.url }]);
  await page.route(`${origin}/phone`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Phone</title>' }),
  );
  const signalling: Signalling = { told: [], socket: null };
  await page.routeWebSocket('wss://127.0.0.1:1/signal', (socket) => {
    signalling.socket = socket;
    socket.onMessage((text) => {
      const message = JSON.parse(String(text));
      // A bare line break is a heartbeat.
      if (message) signalling.told.push(message);
      answerAsTwilio(socket, message);
    });
  });
  await page.goto(`${origin}/phone`);
  await page.addScriptTag({ content: script });
  await page.evaluate(async (url) => {
    Object.assign(globalThis, {
      phone: await (globalThis as never as PageGlobals).page.openPhone(url, '127.0.0.1:1'),
    });
  }, omega!.url);
  return signalling;
}

function answerAsTwilio(
  socket: WebSocketRoute,
  message: { type: string; payload: { callsid?: string } },
): void {
  const say = (type: string, payload: object) =>
    socket.send(JSON.stringify({ type, payload, version: '1.6' }));
  if (message.type === 'listen') say('connected', { region: 'us1', edge: 'ashburn', token: { ttl: 3600 } });
  if (message.type === 'register') say('ready', {});
  if (message.type === 'invite') say('ringing', { callsid: message.payload.callsid });
}

interface PageGlobals {
  page: typeof import('./phone-page.ts');
  phone: import('./phone-page.ts').Phone;
}
const phoneLog = () => browser!.page.evaluate(() => (globalThis as never as PageGlobals).phone.log);

test('a browser with a session calls a client: its token and the call’s parameters arrive at Twilio as they must', async () => {
  const { page } = browser!;
  const signalling = await openPage(12345);
  expect(await phoneLog()).toEqual(['token for b1001_s12345', 'registered']);

  const [listen] = signalling.told;
  const token = listen!.payload.token as string;
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const hmac = createHmac('sha256', twilioAccount.api_key_secret).update(`${header}.${payload}`);
  expect(signature).toBe(hmac.digest('base64url'));
  const { grants } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  expect(grants).toMatchObject({
    identity: 'b1001_s12345',
    voice: { incoming: { allow: true }, outgoing: { application_sid: twilioAccount.twiml_app_sid } },
  });

  await page.evaluate(() => (globalThis as never as PageGlobals).phone.call({ client_id: '501' }));
  await expect.poll(() => signalling.told.map(({ type }) => type)).toContain('invite');
  const invite = signalling.told.find(({ type }) => type === 'invite')!.payload as {
    sdp: string;
    twilio: { params: string };
  };
  // An offer of sound, by a browser's own WebRTC.
  expect(invite.sdp).toMatch(/^m=audio .*\r\n/m);
  const params = Object.fromEntries(new URLSearchParams(invite.twilio.params));
  expect(params).toEqual({ client_id: '501' });

  // What Twilio does with an invite: it asks the TwiML App, as the identity of the token.
  const { twiml } = await postAsTwilio(omega!, '/voice-calls/twiml', {
    CallSid: newCallSid(),
    From: `client:${grants.identity}`,
    ...params,
  });
  expect(all(twiml, 'Dial')[0]!.attributes.callerId).toBe(downtown);
  expect(all(twiml, 'Number').map(({ text }) => text)).toEqual(['+12025550123']);

  await expect.poll(phoneLog).toContain('ringing');
  await page.evaluate(() => (globalThis as never as PageGlobals).phone.hangUp());
  await expect.poll(() => signalling.told.map(({ type }) => type)).toContain('hangup');
  await expect.poll(phoneLog).toContain('disconnected');
});

test('a client’s call rings the browser that holds a token, which learns who it is about', async () => {
  const { page } = browser!;
  const signalling = await openPage(12345);
  const CallSid = newCallSid();
  const { twiml } = await postAsTwilio(omega!, '/voice-calls/twiml', {
    CallSid,
    From: '+12025550123',
    To: downtown,
    CallStatus: 'ringing',
  });
  expect(all(twiml, 'Identity').map(({ text }) => text)).toEqual(['b1001_s12345']);
  const parameters = all(twiml, 'Parameter').map(({ attributes: { name, value } }) => `${name}=${value}`);

  // What Twilio does with a <Client>: it invites the browser, with an offer of sound, and the parameters.
  const sdp = await page.evaluate<string>(
    `(async (peer) => (peer.addTransceiver('audio'), (await peer.createOffer()).sdp))(new RTCPeerConnection())`,
  );
  const payload = {
    callsid: newCallSid(),
    sdp,
    parameters: { From: '+12025550123', Params: parameters.join('&') },
  };
  signalling.socket!.send(JSON.stringify({ type: 'invite', payload, version: '1.6' }));
  await expect.poll(phoneLog).toContain('incoming from +12025550123 about client 501');
  // The caller hangs up.
  signalling.socket!.send(JSON.stringify({ type: 'cancel', payload: { callsid: payload.callsid } }));
  await expect.poll(phoneLog).toContain('canceled');
  expect(browser!.refused.every((url) => new URL(url).hostname.endsWith('.twilio.com'))).toBe(true);
});
