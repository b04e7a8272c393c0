import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isSigned } from '../../../server/twilio/verify.ts';
import { signed } from '../../support/fake-twilio.ts';

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'vectors', 'twilio_webhook_params.json'), 'utf8'),
);
const token = '12345';
const ofForm = (form: Record<string, string>) => Buffer.from(new URLSearchParams(form).toString());

/** https://www.twilio.com/docs/usage/webhooks/webhooks-security: its example, whose signature Twilio has made. */
const documented = {
  url: 'https://example.com/myapp.php?foo=1&bar=2',
  body: ofForm({
    Digits: '1234',
    To: '+18005551212',
    From: '+14158675310',
    Caller: '+14158675310',
    CallSid: 'CA1234567890ABCDE',
  }),
  signature: 'L/OH5YylLD5NRKLltdqwSvS0BnU=',
};

const status = {
  url: `https://omega.example/omega/twilio/sms/status?business_id=4001&message_id=0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11&attempt=1`,
  body: ofForm(vectors.message_status),
};

const json = Buffer.from(JSON.stringify({ any: 'thing', of: [1, 2, 3] }));
const jsonUrl = `https://omega.example/omega/twilio/sms/status?bodySHA256=${createHash('sha256').update(json).digest('hex')}`;

/** By a digit, as a letter in its other case would be the same host. */
const changed = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === '9' ? '8' : '9') + text.slice(at + 1);
const everyChange = (text: string) => Array.from(text, (_, at) => changed(text, at));

describe('the signature', () => {
  test.each([
    ["of the documentation's example", documented],
    ['of a status callback', { ...status, signature: signed(status.url, vectors.message_status, token) }],
    [
      'of a JSON body, over its hash in the URL',
      { url: jsonUrl, body: json, signature: createHmac('sha1', token).update(jsonUrl).digest('base64') },
    ],
  ])('%s fits, and no longer after any change of one byte of the URL, the body or itself', (_, webhook) => {
    const { url, body, signature } = webhook;
    const text = body.toString('latin1');
    expect(isSigned(webhook, signature, [token])).toBe(true);
    expect(isSigned(webhook, signature, [undefined, token])).toBe(true);
    expect(isSigned(webhook, signature, ['12346', undefined])).toBe(false);
    expect(isSigned(webhook, signature, [])).toBe(false);

    // What is no URL any more cannot have been called.
    const urls = everyChange(url).filter((other) => URL.canParse(other));
    expect(urls.length).toBeGreaterThan(url.length - 'https://'.length);
    const forged = [
      ...urls.map((other) => ({ url: other, body, signature })),
      ...everyChange(text).map((other) => ({ url, body: Buffer.from(other, 'latin1'), signature })),
      ...everyChange(signature).map((other) => ({ url, body, signature: other })),
      // One byte more, one byte less.
      { url: `${url}0`, body, signature },
      { url: url.slice(0, -1), body, signature },
      { url, body: Buffer.from(`${text}0`), signature },
      { url, body: body.subarray(0, -1), signature },
      { url, body, signature: `${signature}=` },
      { url, body, signature: signature.slice(0, -1) },
      { url, body, signature: '' },
    ];
    expect(forged.filter((one) => isSigned(one, one.signature, [token]))).toEqual([]);
  });
});
