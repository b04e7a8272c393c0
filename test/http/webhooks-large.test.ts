import { type ClientRequest, request } from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type RunningOmega, startOmega } from '../support/omega.ts';

const mib = 1024 * 1024;
let omega: RunningOmega;
beforeAll(async () => {
  omega = await startOmega({ worker: false, webhookBytes: 4 * mib });
});
afterAll(() => omega.close());

/** No provider of ours: what is read to its end is 404, and nothing of it is kept. */
const path = '/email/webhooks/nobody';
const patiently = { timeout: 30_000 };

const post = (bytes: number): Promise<Answer> =>
  omega.as(null).post(path, 'x'.repeat(bytes), { 'content-type': 'text/plain' });

/** Without telling how much is to come. */
async function stream(bytes: number): Promise<Answer> {
  const chunk = new Uint8Array(64 * 1024);
  let left = bytes;
  const body = new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(chunk.slice(0, left));
      left -= chunk.length;
    },
  });
  const response = await fetch(omega.url + path, { method: 'POST', body, duplex: 'half' } as RequestInit);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Announces so much, and has sent nothing of it yet. */
function begin(bytes: number): ClientRequest {
  const headers = { 'content-length': bytes };
  const begun = request(omega.url + path, { method: 'POST', headers, agent: false });
  begun.on('error', () => undefined).flushHeaders();
  return begun;
}

function expectRefused(answer: Answer): void {
  expectProblem(answer, 503, 'unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

test('large webhooks draw from one budget as they come; beyond it they are to come again, and small ones never', async () => {
  expectProblem(await post(3 * mib), 404, 'not_found');
  // It lacks its end.
  const held = begin(4 * mib);
  const gone = new Promise((resolve) => held.once('close', resolve));
  held.write('x'.repeat(4 * mib - 1));
  await vi.waitUntil(async () => (await post(2 * mib)).status === 503, patiently);

  expectRefused(await post(2 * mib));
  expectRefused(await stream(3 * mib));
  // What is as small as anything else may be is counted nowhere, and Twilio's callbacks are.
  expectProblem(await post(mib), 404, 'not_found');
  expectProblem(await stream(mib), 404, 'not_found');
  expectProblem(await omega.as(null).post('/twilio/sms/status', 'MessageSid=SM1'), 403, 'invalid_signature');

  held.destroy();
  await gone;
  await vi.waitUntil(async () => (await post(2 * mib)).status === 404, patiently);
  // Nothing of what was refused, answered or broken off is held for ever.
  for (let i = 0; i < 3; i++) {
    expectProblem(await post(4 * mib), 404, 'not_found');
    expectProblem(await stream(4 * mib), 404, 'not_found');
    expectRefused(await stream(6 * mib));
    expectRefused(await post(6 * mib));
  }
});

test('who announces much and sends little keeps nobody out', async () => {
  const { server } = omega.omega.http!;
  let arrived = 0;
  const count = () => void arrived++;
  server.on('request', count);
  const idle = Array.from({ length: 5 }, () => begin(4 * mib));
  for (const one of idle) one.write('x'.repeat(1_000));
  await vi.waitUntil(() => arrived === 5, patiently);
  server.off('request', count);
  expectProblem(await post(4 * mib), 404, 'not_found');
  expectProblem(await stream(4 * mib), 404, 'not_found');
  for (const one of idle) one.destroy();
});
