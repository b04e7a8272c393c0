import { v7 } from 'uuid';
import { keepReceipt } from '../../server/receipts/store.ts';
import type { Things } from './contract-requests.ts';
import type { Client, RunningOmega } from './omega.ts';

/**
 * A business with one of everything that the API can name: staff, location, sender, client, conversation,
 * a recorded mail with a file, an import, a session, a webhook; and with two of everything that it lists. Ids differ between businesses, so none is by chance the other's.
 */
export async function businessWithThings(
  omega: RunningOmega,
  businessId: number,
): Promise<{ api: Client; key: string; things: Things }> {
  const [staffId, locationId, clientId] = [businessId * 10, businessId * 10 + 1, businessId * 10 + 2];
  const last = String(businessId).padStart(4, '0').slice(-4);
  const sender = `+1202555${last}`;
  const phone = `+1303555${last}`;
  const { api, key } = await omega.business({
    business_id: businessId,
    locations: [
      { location_id: locationId, name: 'Main' },
      { location_id: businessId * 10 + 3, name: 'Harbor' },
    ],
    staffs: [
      { staff_id: staffId, name: 'Mia Chen', role: 'manager' },
      { staff_id: businessId * 10 + 4, name: 'Noah Diaz' },
    ],
    senders: [
      { channel: 'sms', address: sender, provider: 'simulator', location_id: locationId },
      { channel: 'email', address: `hello@${businessId}.example`, provider: 'simulator' },
    ],
    providers: {
      twilio: {
        account_sid: `AC${businessId}`,
        auth_token: `token of ${businessId}`,
        api_key_sid: `SK${businessId}`,
        api_key_secret: `secret of ${businessId}`,
        twiml_app_sid: `AP${businessId}`,
      },
    },
  });
  const session = await api.post('/authentication/token', { staff_id: staffId });
  const provider_message_id = `SM-of-${businessId}`;
  const reminder = { channel: 'sms', direction: 'outbound', to: phone, content: 'See you tomorrow' };
  await api.post('/messages', {
    messages: [{ ...reminder, client_id: clientId }, reminder],
    request_id: 'reminder-8841',
  });
  const recorded = await api.post('/email/record', {
    client_id: clientId,
    to: `ana@${businessId}.example`,
    subject: 'Hello',
    text: 'Hello',
    attachments: [{ filename: 'hello.txt', content_type: 'text/plain', content: 'aGVsbG8=' }],
    direction: 'outbound',
    provider: 'twilio',
    provider_message_id,
  });
  const importOf = (rows: string) =>
    api.call('POST', `/businesses/${businessId}/clients/import`, rows, {
      'content-type': 'application/x-ndjson',
    });
  await importOf(`{"client_id":${clientId + 1},"name":"Ana Lima"}\n`);
  const imported = await importOf('{"client_id":0}\n{"client_id":-1}\n');
  for (const state of ['revoked', 'granted'])
    await api.post(`/businesses/${businessId}/consents`, {
      client_id: clientId,
      channel: 'email',
      category: 'marketing',
      state,
      source: 'front_desk',
    });
  const { body: page } = await api.get(
    `/businesses/${businessId}/clients/${clientId}/conversations/${recorded.body.conversation_id}/messages?channel=email`,
  );
  const { attachment_id } = page.data[0].attachments[0];
  const { body: link } = await api.get(
    `/businesses/${businessId}/messages/${recorded.body.message_id}/attachments/${attachment_id}/link`,
  );
  const { body: senders } = await api.get(`/businesses/${businessId}/senders?channel=email`);
  const webhooks = `/businesses/${businessId}/webhooks`;
  const { body: other } = await api.post(webhooks, receiver);
  const { body: webhook } = await api.post(webhooks, receiver);
  const ofWebhook = `${webhooks}/${webhook.webhook_id}`;
  await api.post(`${ofWebhook}/test`);
  const { body: posted } = await api.post(`${ofWebhook}/test`);
  // Enabled they would follow the events whenever a test looks at what has changed.
  for (const { webhook_id } of [other, webhook])
    await api.call('PATCH', `${webhooks}/${webhook_id}`, { state: 'disabled' });
  return {
    api,
    key,
    things: {
      business_id: businessId,
      client_id: clientId,
      other_client_id: clientId + 1,
      staff_id: staffId,
      location_id: locationId,
      conversation_id: recorded.body.conversation_id,
      message_id: recorded.body.message_id,
      last_message_id: recorded.body.message_id,
      provider_message_id,
      attachment_id,
      link: link.url.split('/').at(-1),
      import_id: imported.body.import_id,
      session_id: session.body.session_id,
      sender_id: senders.data[0].sender_id,
      receipt_id: await keptWebhook(omega),
      webhook_id: webhook.webhook_id,
      delivery_id: posted.delivery_id,
      token: session.body.token,
      phone,
      sender,
    },
  };
}

/** Nobody is there, and what it asks for does not happen. */
const receiver = { url: 'https://crm.example/hooks', types: ['account.paused'] };

/** A webhook in quarantine, of a carrier that this Omega does not have: its row alone. */
async function keptWebhook(omega: RunningOmega): Promise<string> {
  const { database, secrets } = omega.omega;
  const source = {
    name: 'carrier-pigeon',
    provider: 'carrier-pigeon',
    proofHeaders: [],
    verify: () => Promise.reject(new Error('not asked')),
    apply: () => Promise.reject(new Error('not asked')),
  };
  const webhook = {
    method: 'POST',
    url: 'http://127.0.0.1/omega/carrier-pigeon',
    headers: {},
    body: Buffer.from(crypto.randomUUID()),
    ip: '',
    receivedAt: new Date(omega.clock.now()),
  };
  return keepReceipt(database.db, secrets, webhook.receivedAt, source, webhook, {
    state: 'quarantined',
    businessId: null,
    note: 'It flew away.',
  });
}

/**
 * The things of a business with a client, a conversation, a message and a carrier's id that no request has named
 * before. A host numbers its clients: to write a client of another's number makes one of one's own.
 */
export async function withNewClient(api: Client, things: Things, turn: number): Promise<Things> {
  const named = newNames(things.business_id, turn);
  await api.call('PUT', `/businesses/${things.business_id}/clients/${named.other_client_id}`, {
    name: 'Ana Lima',
  });
  const { body } = await api.post('/email/record', {
    client_id: named.client_id,
    to: `client${named.client_id}@${things.business_id}.example`,
    subject: 'Hello',
    text: 'Hello',
    direction: 'outbound',
    provider: 'twilio',
    provider_message_id: named.provider_message_id,
  });
  const { conversation_id, message_id } = body;
  return { ...things, ...named, conversation_id, message_id, last_message_id: message_id };
}

/** The same of a business that is not there. */
export function nobodysNewClient(things: Things, turn: number): Things {
  const [conversation_id, message_id] = [v7(), v7()];
  const named = newNames(things.business_id, turn);
  return { ...things, ...named, conversation_id, message_id, last_message_id: message_id };
}

const newNames = (businessId: number, turn: number) => ({
  client_id: businessId * 1_000_000 + 2 * turn,
  other_client_id: businessId * 1_000_000 + 2 * turn + 1,
  provider_message_id: `SM-of-${businessId}-${turn}`,
});
