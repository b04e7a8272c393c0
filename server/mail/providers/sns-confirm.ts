import { type Agent, get } from 'node:https';

const deadlineMs = 10_000;

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
    /^sns\.[a-z0-9-]{3,32}\.amazonaws\.com(?:\.cn)?$/.test(url.hostname)
  );
}

/**
 * Visits a SubscribeURL, by which a topic begins to post here. A redirect is not followed.
 *
 * @throws where Amazon does not answer 200: it is tried again
 */
export function confirmSubscription(subscribeUrl: string, agent: Agent | undefined): Promise<void> {
  if (!isAmazonUrl(subscribeUrl)) return Promise.reject(new Error("The SubscribeURL is not Amazon's."));
  return new Promise((resolve, reject) => {
    const request = get(
      subscribeUrl,
      { ...(agent && { agent }), signal: AbortSignal.timeout(deadlineMs) },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 200) resolve();
        else reject(new Error(`Amazon answered ${answer.statusCode} to the confirmation.`));
      },
    );
    request.on('error', reject);
  });
}
