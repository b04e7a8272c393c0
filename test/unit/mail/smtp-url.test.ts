import { expect, test } from 'vitest';
import { readSmtpUrl } from '../../../server/mail/outbound/smtp-url.ts';

test.each([
  ['smtps://lotus:s3cret@mail.lotus.example', { port: 465, tls: 'from_start', verified: true }],
  ['smtp://lotus:s3cret@mail.lotus.example', { port: 587, tls: 'starttls', verified: true }],
  [
    'smtp://mail.lotus.example:2525?tls=unverified',
    { port: 2525, tls: 'starttls', verified: false, user: null },
  ],
  ['smtp://mail.lotus.example?tls=off', { tls: 'off' }],
  ['smtp://localhost', { tls: 'off' }],
  ['smtp://127.0.0.1:25?tls=required', { tls: 'starttls' }],
  ['smtp://[::1]:25', { host: '::1', tls: 'off' }],
  // The loopback network and nothing that only looks like it.
  ['smtp://127.0.0.1.evil.example', { tls: 'starttls' }],
  ['smtp://apikey:SG.a%2Fb%3Ac%40@smtp.sendgrid.net', { user: 'apikey', password: 'SG.a/b:c@' }],
])('%s', (url, expected) => {
  expect(readSmtpUrl(url)).toMatchObject(expected);
});

test.each([
  ['https://mail.lotus.example', 'is not a URL'],
  ['smtp://', 'is not a URL'],
  ['smtp://user:100%@mail.lotus.example', '%25'],
  ['smtps://mail.lotus.example?tls=off', 'smtps:'],
  ['smtp://mail.lotus.example?tls=maybe', '?tls=off'],
  ['smtp://mail.lotus.example?logger=true&debug=true', 'nothing else'],
  ['smtp://mail.lotus.example?tls.rejectUnauthorized=false', 'nothing else'],
])('%s is refused, and says why', (url, why) => {
  expect(readSmtpUrl(url)).toEqual({ problem: expect.stringContaining(why) });
});
