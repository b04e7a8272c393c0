import type { Carriers } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { type FieldFault, invalidFields } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import { newId } from '../core/ids.ts';
import { type GivenSender, readSender, type SenderFields } from './sender-fields.ts';
import type { SenderRow } from './senders.ts';

export interface SenderWrite {
  businessId: number;
  /** National numbers are read in it. */
  country: string;
  /** What is left out stays as it is. */
  given: Partial<GivenSender> & Pick<GivenSender, 'channel' | 'address'>;
  by: Origin;
}

export interface UpsertedSender {
  senderId: string;
  /** It was not there, or had been removed. */
  added: boolean;
  /** What a carrier must hear of or may refuse is new. */
  askCarriers: boolean;
}

const fieldNames = ['name', 'provider', 'location_id', 'reply_domain'] as const;

/**
 * Adds a sender, or changes the one of this channel and address. The business must be locked.
 *
 * @throws 422 with every fault at once
 */
export async function upsertSender(
  tx: Tx,
  now: Date,
  write: SenderWrite,
  carriers: Carriers,
): Promise<UpsertedSender> {
  const { businessId, given, country } = write;
  // What is not named is judged with what is there: read once without it, for the address it is known by.
  const { sender: named, faults } = readSender({ provider: '', ...given }, country, '');
  const row = faults.length > 0 ? undefined : await findSender(tx, businessId, named);
  const fields: SenderFields = {
    ...named,
    name: given.name === undefined ? (row?.name ?? null) : named.name,
    provider: given.provider ?? row?.provider ?? '',
    location_id: given.location_id === undefined ? (row?.location_id ?? null) : named.location_id,
    reply_domain: given.reply_domain === undefined ? (row?.reply_domain ?? null) : named.reply_domain,
  };
  faults.push(...(await carrierFaults(tx, businessId, fields, carriers)));
  faults.push(...(await locationFaults(tx, businessId, fields.location_id)));
  if (faults.length > 0) throw invalidFields(faults);

  if (!row) {
    const senderId = newId();
    await tx
      .insertInto('senders')
      .values({
        business_id: businessId,
        sender_id: senderId,
        ...fields,
        active: true,
        created_at: now,
        updated_at: now,
      })
      .execute();
    await tell(tx, now, write, 'sender.added', senderId, fields);
    return { senderId, added: true, askCarriers: true };
  }
  const changed = Object.fromEntries(
    fieldNames
      .filter((name) => row[name] !== fields[name])
      .map((name) => [name, { from: row[name], to: fields[name] }]),
  );
  const { sender_id: senderId } = row;
  const added = !row.active;
  if (!added && Object.keys(changed).length === 0) return { senderId, added, askCarriers: false };
  const { name, provider, location_id, reply_domain } = fields;
  await tx
    .updateTable('senders')
    .set({ name, provider, location_id, reply_domain, active: true, updated_at: now })
    .where('business_id', '=', businessId)
    .where('sender_id', '=', senderId)
    .execute();
  await tell(tx, now, write, added ? 'sender.added' : 'sender.changed', senderId, fields, changed);
  return { senderId, added, askCarriers: added || 'provider' in changed || 'reply_domain' in changed };
}

async function findSender(
  tx: Tx,
  businessId: number,
  { channel, address }: SenderFields,
): Promise<SenderRow | undefined> {
  return await tx
    .selectFrom('senders')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('channel', '=', channel)
    .where('address', '=', address)
    .executeTakeFirst();
}

/** That this Omega has the carrier, that it carries the channel, and that the business has its credentials. */
async function carrierFaults(
  tx: Tx,
  businessId: number,
  { provider, channel }: SenderFields,
  carriers: Carriers,
): Promise<FieldFault[]> {
  const fault = (message: string, code: FieldFault['code'] = 'invalid_value'): FieldFault[] => [
    { path: 'provider', message, code },
  ];
  if (provider === '') return fault('is needed for a new sender', 'required');
  const carrier = carriers.get(provider);
  if (!carrier) {
    const others = [...carriers.keys()].join(', ') || 'none';
    return fault(`must be a carrier that this Omega has: ${others}`);
  }
  if (!carrier.channels.includes(channel))
    return fault(`does not carry ${channel}, but ${carrier.channels.join(', ')}`);
  if (carrier.account === null) return [];
  const account = await tx
    .selectFrom('provider_accounts')
    .select('provider')
    .where('business_id', '=', businessId)
    .where('provider', '=', carrier.account)
    .executeTakeFirst();
  if (account) return [];
  return fault(
    `needs credentials: send providers.${carrier.account} with POST /business/onboard first`,
    'not_found',
  );
}

async function locationFaults(tx: Tx, businessId: number, locationId: number | null): Promise<FieldFault[]> {
  if (locationId === null) return [];
  const row = await tx
    .selectFrom('locations')
    .select('location_id')
    .where('business_id', '=', businessId)
    .where('location_id', '=', locationId)
    .executeTakeFirst();
  if (row) return [];
  const message = `there is no location ${locationId}; bring it in with POST /business/onboard`;
  return [{ path: 'location_id', message, code: 'not_found' }];
}

async function tell(
  tx: Tx,
  now: Date,
  { businessId, by }: SenderWrite,
  type: 'sender.added' | 'sender.changed',
  senderId: string,
  { channel, address, provider, location_id }: SenderFields,
  changed?: Record<string, { from: unknown; to: unknown }>,
): Promise<void> {
  const data = { sender_id: senderId, channel, address, provider, location_id };
  await recordEvents(tx, now, [{ businessId, type, by, ...(changed && { changed }), data }]);
}
