import { keepReceipt } from '../../server/receipts/store.ts';
import type { Things } from './contract-requests.ts';
import type { Client, RunningOmega } from './omega.ts';

/**
 * A business with one of everything that the API can name: staff, location, sender, client, conversation,
 * a recorded mail with a file, an import, a session. Ids differ between businesses, so none is by chance the other's.
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
    locations: [{ location_id: locationId, name: 'Main' }],
    staffs: [{ staff_id: staffId, name: 'Mia Chen', role: 'manager' }],
    senders: [
      { channel: 'sms', address: sender, provider: 'simulator', location_id: locationId },
      { channel: 'email', address: `hello@${businessId}.example`, provider: 'simulator' },
    ],
  });
  const session = await api.post('/authentication/token', { staff_id: staffId });
  const provider_message_id = `SM-of-${businessId}`;
  await api.post('/sms/record', {
    client_id: clientId,
    to: phone,
    content: 'Hello',
    direction: 'outbound',
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
  const imported = await api.call(
    'POST',
    `/businesses/${businessId}/clients/import`,
    `{"client_id":${clientId + 1},"name":"Ana Lima"}\n`,
    { 'content-type': 'application/x-ndjson' },
  );
  const { body: page } = await api.get(
    `/businesses/${businessId}/clients/${clientId}/conversations/${recorded.body.conversation_id}/messages?channel=email`,
  );
  const { attachment_id } = page.data[0].attachments[0];
  const { body: link } = await api.get(
    `/businesses/${businessId}/messages/${recorded.body.message_id}/attachments/${attachment_id}/link`,
  );
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
      receipt_id: await keptWebhook(omega),
      token: session.body.token,
      phone,
      sender,
    },
  };
}

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
