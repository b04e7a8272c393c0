import type { OperationId } from '../../contract/index.ts';
import type { Things } from './contract-requests.ts';
import type { Client, RunningOmega } from './omega.ts';

interface Ready {
  omega: RunningOmega;
  api: Client;
  things: Things;
}

/** What has to be there for an operation to do its work, made anew: the first time may use it up. */
const makers: Partial<Record<OperationId, (ready: Ready) => Promise<Partial<Things>>>> = {
  retryMessage: async ({ omega, api, things }) => {
    const queued = await api.post('/sms/queue', { ...of(things), to: '+15005550011', content: 'Hello' });
    await omega.settled();
    return { message_id: queued.body.message_id };
  },
  cancelMessage: scheduled,
  rescheduleMessage: scheduled,
  removeSender: async ({ api, things }) => {
    const { body } = await api.call('PUT', `/businesses/${things.business_id}/senders`, {
      channel: 'sms',
      address: `+1505555${String(1000 + made++).slice(-4)}`,
      provider: 'simulator',
    });
    return { sender_id: body.sender_id };
  },
  eraseClient: async ({ api, things }) => ({ client_id: await newClient(api, things) }),
  mergeClient: async ({ api, things }) => ({ other_client_id: await newClient(api, things) }),
  unmergeClient: async ({ api, things }) => {
    const other_client_id = await newClient(api, things);
    await api.post(`/businesses/${things.business_id}/clients/${things.client_id}/merge`, {
      merge_client_id: other_client_id,
    });
    return { other_client_id };
  },
  moveMessages: async ({ api, things }) => {
    const { body } = await api.post('/simulator/inbound', {
      business_id: things.business_id,
      from: things.phone,
      to: things.sender,
      content: 'Hello',
    });
    // `client_id` is whose address the message came from, wherever it was put before.
    return { ...body, other_client_id: await newClient(api, things) };
  },
  retryWebhookDelivery: enabledWebhook,
  replayWebhookDeliveries: enabledWebhook,
  createWebhook: async ({ api, things }) => {
    const path = `/businesses/${things.business_id}/webhooks`;
    const { body } = await api.get(`${path}?limit=100`);
    // A business has room for twenty.
    for (const { webhook_id } of body.data.slice(10)) await api.call('DELETE', `${path}/${webhook_id}`);
    return {};
  },
  deleteWebhook: enabledWebhook,
  confirmIdentity: async ({ api, things }) => {
    const phones = [`+1404555${String(1000 + made++).slice(-4)}`];
    await newClient(api, things, { phones });
    await newClient(api, things, { phones });
    const { body } = await api.post('/simulator/inbound', {
      business_id: things.business_id,
      from: phones[0],
      to: things.sender,
      content: 'It is me',
    });
    return { client_id: body.client_id, conversation_id: body.conversation_id };
  },
};

let made = 0;

const of = ({ business_id, client_id }: Things) => ({ business_id, client_id });

async function enabledWebhook({ api, things }: Ready): Promise<Partial<Things>> {
  const path = `/businesses/${things.business_id}/webhooks`;
  const { body } = await api.post(path, { url: 'https://crm.example/hooks', types: ['account.paused'] });
  const { body: posted } = await api.post(`${path}/${body.webhook_id}/test`);
  return { webhook_id: body.webhook_id, delivery_id: posted.delivery_id };
}

async function scheduled({ omega, api, things }: Ready): Promise<Partial<Things>> {
  const { body } = await api.post('/sms/queue', {
    ...of(things),
    to: things.phone,
    content: 'See you',
    send_at: new Date(omega.clock.now() + 86_400_000).toISOString(),
  });
  return { message_id: body.message_id };
}

/** @returns the id of a client of the business whom no other test knows */
async function newClient(api: Client, { business_id }: Things, more: object = {}): Promise<number> {
  const id = business_id * 1_000_000 + made++;
  await api.call('PUT', `/businesses/${business_id}/clients/${id}`, { name: 'Ana Lima', ...more });
  return id;
}

/** The things with which the operation's example can work now, and its `expected_last_message_id` holds. */
export async function readyFor(id: OperationId, ready: Ready): Promise<Things> {
  const { api, things } = ready;
  const path = `/businesses/${things.business_id}/clients/${things.client_id}/conversations/${things.conversation_id}/messages`;
  const newest = async (limit: number) =>
    (await api.get(`${path}?limit=${limit}`)).body.data.find(
      (one: { direction: string }) => one.direction !== 'internal',
    );
  // Notes may stand above it. Few are asked for first: this is done some thousand times in a run.
  const last = (await newest(5)) ?? (await newest(100));
  const maker = makers[id];
  return { ...things, last_message_id: last.message_id, ...(maker && (await maker(ready))) };
}
