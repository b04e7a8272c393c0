import type { Config } from '../config.ts';
import type { DemoStudio } from '../demo/studio.ts';

/** One pasteable line: everything in single quotes, so a shell changes nothing in it. */
function curl(url: string, key: string, body?: object): string {
  const parts = ['curl', '-sS', quoted(url), '-H', key];
  if (body) parts.push('-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(body)));
  return parts.join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const keyHeader = (key: string) => quoted(`X-API-KEY: ${key}`);

/** Where this machine reaches the API. */
const apiUrl = (config: Config) => config.localUrl + config.basePath;

/** Queues an SMS to the demo's client. */
export function queueLine(config: Config, studio: DemoStudio): string {
  const content = `See you at 10 tomorrow, ${studio.clientName.split(' ')[0]}`;
  const body = { client_id: studio.clientId, content };
  return curl(`${apiUrl(config)}/sms/queue`, keyHeader(studio.apiKey), body);
}

/** Reads the conversation back, newest first. */
export function readLine(config: Config, studio: DemoStudio): string {
  const path = `/businesses/${studio.businessId}/clients/${studio.clientId}/conversations/${studio.conversationId}/messages`;
  return curl(`${apiUrl(config)}${path}?limit=3`, keyHeader(studio.apiKey));
}

/** Brings a business in; with the key of the environment where it is not ours to print. */
export function onboardLine(config: Config, platformKey: string | null): string {
  const key = platformKey === null ? '"X-API-KEY: $OMEGA_PLATFORM_KEY"' : keyHeader(platformKey);
  return curl(`${apiUrl(config)}/business/onboard`, key, {
    business_id: 1001,
    name: 'Lotus Yoga',
    country: 'US',
    time_zone: 'America/New_York',
    ...(config.simulator && {
      senders: [{ channel: 'sms', address: '+15005550006', provider: 'simulator' }],
    }),
  });
}
