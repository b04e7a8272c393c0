import { sql } from 'kysely';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { clientFor, consentVerdicts } from '../clients/index.ts';
import { conversationNow } from '../conversations/index.ts';
import { readPhone } from '../core/addresses.ts';
import type { Db } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Secrets } from '../core/secrets.ts';

/** What a browser asks to call: the parameters of its `Device.connect`. */
export interface Asked {
  to: string | undefined;
  clientId: string | undefined;
  conversationId: string | undefined;
}

export interface Callee {
  phone: string;
  clientId: number | undefined;
  locationId: number | null;
}

/** Why a call is not made, in words that are said to the staff member. */
export class NotCalled extends Error {}

/**
 * Whom to dial, within the business. A browser's parameters are anyone's who holds the token, and calls cost
 * money: so what is dialed is a real number, no premium one, and abroad only one that a client has.
 *
 * @throws NotCalled
 */
export async function calleeOf(
  db: Db,
  secrets: Secrets,
  business: { businessId: number; country: string },
  asked: Asked,
): Promise<Callee> {
  const { businessId, country } = business;
  const meant = await clientMeant(db, businessId, asked);
  const text = asked.to ?? (meant && (await phoneOf(db, businessId, meant.clientId)));
  if (!text) throw new NotCalled(meant ? 'This client has no phone number.' : 'There is no number to call.');
  const phone = readPhone(text, country);
  if (!phone.ok) throw new NotCalled('This is no phone number that can be called.');
  await mustBeCallable(db, businessId, country, phone.e164);
  const [verdict] = await consentVerdicts(
    db,
    [{ businessId, channel: 'voice', address: phone.e164, category: 'transactional' }],
    secrets,
  );
  if (!verdict!.allowed) throw new NotCalled('This client asked not to be called.');
  return { phone: phone.e164, clientId: meant?.clientId, locationId: meant?.locationId ?? null };
}

async function clientMeant(
  db: Db,
  businessId: number,
  { clientId, conversationId }: Asked,
): Promise<{ clientId: number; locationId: number | null } | null> {
  try {
    if (conversationId) {
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(conversationId))
        throw new NotCalled('There is no such conversation.');
      const row = await db
        .selectFrom('conversations')
        .select(['client_id', 'location_id'])
        .where('business_id', '=', businessId)
        .where('conversation_id', '=', await conversationNow(db, businessId, conversationId))
        .executeTakeFirstOrThrow();
      return { clientId: row.client_id, locationId: row.location_id };
    }
    if (!clientId) return null;
    const id = Number(clientId);
    if (!Number.isSafeInteger(id) || id < 1) throw new NotCalled('There is no such client.');
    const client = await clientFor(db, businessId, id);
    return { clientId: client.client_id, locationId: client.location_id };
  } catch (error) {
    if (error instanceof Fault && error.code === 'not_found') throw new NotCalled(error.message);
    throw error;
  }
}

async function phoneOf(db: Db, businessId: number, clientId: number): Promise<string | undefined> {
  const row = await db
    .selectFrom('client_addresses')
    .select('address')
    .where('business_id', '=', businessId)
    .where('client_id', '=', clientId)
    .where('kind', '=', 'phone')
    .orderBy('is_primary', 'desc')
    .orderBy('position')
    .executeTakeFirst();
  return row?.address;
}

/** Kinds of numbers whose owner is paid for being called, or that are no one person's. */
const dear = new Set(['PREMIUM_RATE', 'SHARED_COST', 'UAN', 'PERSONAL_NUMBER', 'PAGER']);

async function mustBeCallable(db: Db, businessId: number, country: string, phone: string): Promise<void> {
  const read = parsePhoneNumberFromString(phone);
  const type = read?.getType();
  if (type && dear.has(type)) throw new NotCalled('This number costs extra, and is not called.');
  // One calling code may be several countries' (+1): those are told apart where the number tells.
  if (
    read?.country === country ||
    (read?.country === undefined && read?.getPossibleCountries().includes(country as never))
  )
    return;
  const { rows } = await sql`select 1 from client_addresses
    where business_id = ${businessId} and kind = 'phone' and address = ${phone} limit 1`.execute(db);
  if (rows.length === 0)
    throw new NotCalled('This number is abroad and no client has it. Add it to a client first.');
}
