import { createPublicKey, createVerify, type KeyObject } from 'node:crypto';
import { type Agent, get } from 'node:https';
import { Fault } from '../../core/fault.ts';
import type { Fields } from '../fields.ts';

const deadlineMs = 10_000;
const mostCertificateBytes = 64 * 1024;
/** Amazon has one certificate at a time in each region. */
const mostCertificates = 50;

/** SNS's own hosts, in every region and in China, over https, on the usual port, with no credentials. */
export function isAmazonUrl(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const url = URL.parse(value);
  return (
    url !== null &&
    url.protocol === 'https:' &&
    url.port === '' &&
    url.username === '' &&
    url.password === '' &&
    /^sns\.[a-z]{2}(?:-[a-z]+)+-\d{1,2}\.amazonaws\.com(?:\.cn)?$/.test(url.hostname)
  );
}

/** What of a message is signed, in this order; a Subject only where there is one. */
const signed = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
} as const;

const algorithms = { '1': 'RSA-SHA1', '2': 'RSA-SHA256' } as const;

/**
 * Checks what SNS signed (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html).
 * `sns-payload-validator` is not used for it: it takes an error page for a certificate, and so Amazon's hiccup for a forgery.
 *
 * @param agent for requests to Amazon; the usual one when left out
 * @returns what is wrong, or null
 * @throws Fault `unavailable` where the certificate cannot be had: SNS comes again
 */
export function createSnsVerify(agent: Agent | undefined): (sns: Fields) => Promise<string | null> {
  const keys = new Map<string, KeyObject>();

  async function keyAt(url: string): Promise<KeyObject> {
    const known = keys.get(url);
    if (known) return known;
    let key: KeyObject;
    try {
      key = createPublicKey(await askAmazon(url, agent));
    } catch (error) {
      throw new Fault('unavailable', "Amazon's certificate could not be fetched.", {
        retryAfterS: 60,
        cause: error,
      });
    }
    if (keys.size >= mostCertificates) keys.clear();
    keys.set(url, key);
    return key;
  }

  return async (sns) => {
    const names = Object.entries(signed).find(([type]) => type === sns.Type)?.[1];
    if (!names) return 'It is of no type of SNS.';
    const algorithm = Object.entries(algorithms).find(([version]) => version === sns.SignatureVersion)?.[1];
    if (!algorithm) return 'Its SignatureVersion is neither 1 nor 2.';
    const bytes = Buffer.from(String(sns.Signature), 'base64');
    // The decoder overlooks what is no base64, and one signature would have many spellings.
    if (bytes.toString('base64') !== sns.Signature) return 'Its Signature is no base64.';
    if (
      !isAmazonUrl(sns.SigningCertURL) ||
      !/^\/[\w-]{1,200}\.pem$/.test(new URL(sns.SigningCertURL).pathname)
    )
      return "Its SigningCertURL is not Amazon's.";
    if (names.some((name) => name === 'SubscribeURL') && !isAmazonUrl(sns.SubscribeURL))
      return "Its SubscribeURL is not Amazon's.";
    const verify = createVerify(algorithm);
    for (const name of names) {
      if (sns[name] === undefined && name === 'Subject') continue;
      if (typeof sns[name] !== 'string') return `It has no ${name}.`;
      verify.update(`${name}\n${sns[name]}\n`);
    }
    return verify.verify(await keyAt(sns.SigningCertURL), bytes) ? null : 'Its signature does not fit.';
  };
}

/**
 * Visits a SubscribeURL, by which a topic begins to post here.
 *
 * @throws where Amazon does not answer 200: it is tried again
 */
export async function confirmSubscription(subscribeUrl: string, agent: Agent | undefined): Promise<void> {
  if (!isAmazonUrl(subscribeUrl)) throw new Error("The SubscribeURL is not Amazon's.");
  await askAmazon(subscribeUrl, agent);
}

/** A redirect is not followed: it would lead anywhere. */
function askAmazon(url: string, agent: Agent | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs);
    const request = get(url, { ...(agent && { agent }), signal }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > mostCertificateBytes) request.destroy(new Error('Amazon answered with too much.'));
        else chunks.push(chunk);
      });
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`Amazon answered ${answer.statusCode}.`));
      });
    });
    request.on('error', reject);
  });
}
