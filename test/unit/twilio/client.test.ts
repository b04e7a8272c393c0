import { describe, expect, test } from 'vitest';
import { twilioUrl } from '../../../server/twilio/client.ts';

const path = '/2010-04-01/Accounts/AC1.json?PageSize=1';

describe('where calls to Twilio go', () => {
  test('to Twilio', () => {
    expect(twilioUrl(`https://api.twilio.com${path}`, {}).href).toBe(`https://api.twilio.com${path}`);
    expect(twilioUrl('https://messaging.twilio.com/v1/Services', {}).host).toBe('messaging.twilio.com');
  });

  test.each([
    'https://evil.example/',
    'https://api.twilio.com.evil.example/',
    'https://twilio.com/',
    'https://eviltwilio.com/',
    'http://api.twilio.com/',
    'https://api.twilio.com:8443/',
    'https://api.twilio.com@evil.example/',
  ])('and never, with the credentials, to %s', (url) => {
    expect(() => twilioUrl(url, {})).toThrow('not Twilio');
    expect(() => twilioUrl(url, { api_base_url: 'http://127.0.0.1:4010' })).toThrow('not Twilio');
  });

  test('to the mock in its place, all of them, below its path', () => {
    const mock = { api_base_url: 'http://127.0.0.1:4010/twilio/' };
    expect(twilioUrl(`https://api.twilio.com${path}`, mock).href).toBe(`http://127.0.0.1:4010/twilio${path}`);
    expect(twilioUrl('https://messaging.twilio.com/v1/Services', mock).href).toBe(
      'http://127.0.0.1:4010/twilio/v1/Services',
    );
    const next = 'http://127.0.0.1:4010/twilio/v1/Services?Page=1';
    expect(twilioUrl(next, mock).href).toBe(next);
  });
});
