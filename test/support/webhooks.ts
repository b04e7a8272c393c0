import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, vi } from 'vitest';
import { eventually } from './eventually.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from './omega.ts';
import { type Received, type Receiver, startReceiver } from './receiver.ts';

export const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];

export const webhooks = '/businesses/1001/webhooks';
export const ofWebhook = (id: string) => `${webhooks}/${id}`;
/** What {@link WebhookTests.text} makes happen, and nothing else. */
export const only = { types: ['message.received'] };

export interface MadeWebhook {
  id: string;
  secret: string;
  path: string;
  received: () => Received[];
}

/** An Omega with a business and a receiver of its webhooks, for the tests of one file. */
export interface WebhookTests {
  omega: RunningOmega;
  api: Client;
  receiver: Receiver;
  /** A webhook on a path of its own. */
  webhook(more?: object, client?: Client, at?: string): Promise<MadeWebhook>;
  remove(id: string): Promise<Answer>;
  /** Something happens, once: an event of type `message.received`. */
  text(content?: string): Promise<Answer>;
  deliveries(id: string, query?: string): Promise<Answer['body'][]>;
  /** Until it holds. The time stands still meanwhile, and with it who looks for jobs: settling wakes them. */
  until(holds: () => unknown): Promise<void>;
  /** Until so many have come, and what came of them is written down. */
  came(hook: MadeWebhook, count: number): Promise<Received[]>;
  /** Until the deliveries' states are so, oldest first. */
  states(hook: MadeWebhook, expected: string[]): Promise<void>;
  /** Verified by the library of the specification, as it is, at the time of Omega's own clock. */
  verify(secret: string, received: Received): unknown;
}

/** Starts them before the file's tests. Each test has the webhooks that it makes, and no other's deliveries. */
export function webhookTests(): WebhookTests {
  const tests = {} as WebhookTests;
  let made = 0;

  beforeAll(async () => {
    const receiver = await startReceiver();
    const omega = await startOmega({
      webhooks: { hosts: [`127.0.0.1:${receiver.port}`], deadlineMs: 2_000 },
    });
    const { api } = await omega.business({ business_id: 1001 });
    Object.assign(tests, { omega, api, receiver });
  });
  afterAll(async () => {
    await tests.omega?.close();
    await tests.receiver?.close();
  });
  beforeEach(async () => {
    const { body } = await tests.api.get(`${webhooks}?limit=100`);
    for (const { webhook_id } of body.data) await tests.remove(webhook_id);
    await tests.omega.settled();
  });

  return Object.assign(tests, {
    async webhook(more: object = {}, client = tests.api, at = webhooks) {
      const { receiver } = tests;
      const path = `/hook-${made++}`;
      const { status, body } = await client.post(at, { url: receiver.url + path, ...more });
      expect(status, JSON.stringify(body)).toBe(201);
      return { id: body.webhook_id, secret: body.secret, path, received: () => receiver.at(path) };
    },
    remove: (id) => tests.api.call('DELETE', ofWebhook(id)),
    async text(content = `Hello ${made++}`) {
      // By the platform's key, as if a carrier told it: it is not the doing of the key that made the webhooks.
      const answer = await tests.omega.platform.post('/simulator/inbound', {
        business_id: 1001,
        from: '+12025550141',
        to: '+15005550006',
        content,
      });
      expect(answer.status).toBe(201);
      return answer;
    },
    deliveries: async (id, query = '') =>
      (await tests.api.get(`${ofWebhook(id)}/deliveries${query}`)).body.data,
    until: (holds) =>
      eventually(async () => {
        await tests.omega.settled();
        await holds();
      }),
    async came(hook, count) {
      await tests.until(() => expect(hook.received().length).toBeGreaterThanOrEqual(count));
      await tests.omega.settled();
      expect(hook.received()).toHaveLength(count);
      return hook.received();
    },
    states: (hook, expected) =>
      tests.until(async () =>
        expect((await tests.deliveries(hook.id)).map(({ state }) => state).reverse()).toEqual(expected),
      ),
    verify(secret, { body, headers }) {
      vi.useFakeTimers({ toFake: ['Date'], now: tests.omega.clock.now() });
      try {
        return new Webhook(secret).verify(body, headers as Record<string, string>);
      } finally {
        vi.useRealTimers();
      }
    },
  } satisfies Omit<WebhookTests, 'omega' | 'api' | 'receiver'>);
}
