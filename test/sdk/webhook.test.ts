import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { verifyWebhook } from '../../sdk/index.ts';

/** The vector that the libraries of the specification test themselves with, in every language. */
const vector = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1614265330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const at = new Date(vector.timestamp * 1000);
const headers = (more: Record<string, string> = {}) => ({
  'webhook-id': vector.id,
  'webhook-timestamp': String(vector.timestamp),
  'webhook-signature': vector.signature,
  ...more,
});
const verify = (
  given: { body?: string; headers?: Record<string, string>; secret?: string; now?: Date } = {},
) =>
  verifyWebhook(given.body ?? vector.body, given.headers ?? headers(), given.secret ?? vector.secret, {
    now: given.now ?? at,
  });

describe('verifyWebhook', () => {
  test("takes the specification's vector, as text and as bytes, with headers of either kind", async () => {
    const event = { test: 2432232314 };
    expect(await verify()).toEqual(event);
    const bytes = new TextEncoder().encode(vector.body);
    expect(await verifyWebhook(bytes, new Headers(headers()), vector.secret, { now: at })).toEqual(event);
    const upper = { 'Webhook-Id': vector.id, 'WEBHOOK-TIMESTAMP': String(vector.timestamp) };
    const mixed = { ...upper, 'Webhook-Signature': [vector.signature] };
    expect(await verifyWebhook(vector.body, mixed, vector.secret, { now: at })).toEqual(event);
    expect(await verify({ secret: vector.secret.replace('whsec_', '') })).toEqual(event);
  });

  test('takes what the library of the specification signs, whatever is in it', async () => {
    for (const body of ['{}', '{"content":"Sí, 👍 \\u0000"}', `{"a":"${'ü'.repeat(10_000)}"}`]) {
      const signature = new Webhook(vector.secret).sign('evt_1', at, body);
      const signed = headers({ 'webhook-id': 'evt_1', 'webhook-signature': signature });
      expect(await verify({ body, headers: signed })).toEqual(JSON.parse(body));
    }
  });

  test('one signature of several is enough, and one secret of several', async () => {
    const others = `v1,${'A'.repeat(43)}= v1a,abc v2,${vector.signature.slice(3)} nonsense`;
    expect(
      await verify({ headers: headers({ 'webhook-signature': `${others} ${vector.signature}` }) }),
    ).toBeTruthy();
    await expect(verify({ headers: headers({ 'webhook-signature': others }) })).rejects.toThrow();
    const other = `whsec_${Buffer.alloc(32).toString('base64')}`;
    const both = [other, vector.secret];
    expect(await verifyWebhook(vector.body, headers(), both, { now: at })).toBeTruthy();
  });

  test('five minutes either way are fresh, a second more is not', async () => {
    const signedAgo = (seconds: number) => verify({ now: new Date(at.getTime() + seconds * 1000) });
    expect(await signedAgo(300)).toBeTruthy();
    expect(await signedAgo(-300)).toBeTruthy();
    await expect(signedAgo(301)).rejects.toMatchObject({ code: 'too_old' });
    await expect(signedAgo(-301)).rejects.toMatchObject({ code: 'too_new' });
  });

  test.each([
    ['another body', { body: '{"test": 2432232315}' }, 'wrong_signature'],
    ['another id', { headers: headers({ 'webhook-id': 'msg_other' }) }, 'wrong_signature'],
    ['another time', { headers: headers({ 'webhook-timestamp': '1614265331' }) }, 'wrong_signature'],
    ['another secret', { secret: 'whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }, 'wrong_signature'],
    ['no signature', { headers: headers({ 'webhook-signature': '' }) }, 'missing_header'],
    ['no time', { headers: headers({ 'webhook-timestamp': 'soon' }) }, 'missing_header'],
    ['no header at all', { headers: {} }, 'missing_header'],
    ['an empty secret', { secret: 'whsec_' }, 'bad_secret'],
    ['a secret that is no base64', { secret: 'whsec_%%%' }, 'bad_secret'],
  ])('refuses %s', async (_, given, code) => {
    await expect(verify(given as Parameters<typeof verify>[0])).rejects.toMatchObject({
      name: 'WebhookError',
      code,
    });
  });
});
