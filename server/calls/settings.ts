import type { VoiceSettings } from '../../contract/index.ts';
import type { Db, Tx } from '../core/db/index.ts';

/** How a location takes calls that nobody ever set up: always open, and no caller is lost. */
export const defaultSettings: VoiceSettings = {
  hours: null,
  closed_on: [],
  ring: 'staff_on',
  ring_seconds: 20,
  greeting: null,
  closed_greeting: null,
  voicemail: true,
  voicemail_greeting: 'Nobody can take your call just now. Please leave a message after the tone.',
  record: false,
  recording_notice: 'This call is recorded.',
  missed_call_text: null,
  language: 'en-US',
};

export async function readSettings(
  db: Db | Tx,
  businessId: number,
  locationId: number | null,
): Promise<VoiceSettings> {
  if (locationId === null) return defaultSettings;
  const row = await db
    .selectFrom('voice_settings')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('location_id', '=', locationId)
    .executeTakeFirst();
  if (!row) return defaultSettings;
  const { business_id: _b, location_id: _l, created_at: _c, updated_at: _u, ...settings } = row;
  return settings;
}

/** Sets all of it: what is left out is as if it had never been set. */
export async function writeSettings(
  tx: Tx,
  now: Date,
  businessId: number,
  locationId: number,
  given: Partial<VoiceSettings>,
): Promise<VoiceSettings> {
  const settings = { ...defaultSettings, ...given };
  const row = {
    ...settings,
    hours: settings.hours && JSON.stringify(settings.hours),
    closed_on: JSON.stringify(settings.closed_on),
    updated_at: now,
  };
  await tx
    .insertInto('voice_settings')
    .values({ business_id: businessId, location_id: locationId, ...row, created_at: now })
    .onConflict((conflict) => conflict.columns(['business_id', 'location_id']).doUpdateSet(row))
    .execute();
  return settings;
}

/** The zone of a location's clock, or null where the business has no such location. */
export async function timeZoneOf(
  db: Db | Tx,
  businessId: number,
  locationId: number,
): Promise<string | null> {
  const row = await db
    .selectFrom('locations as l')
    .innerJoin('businesses as b', 'b.business_id', 'l.business_id')
    .select((eb) => eb.fn.coalesce('l.time_zone', 'b.time_zone').as('time_zone'))
    .where('l.business_id', '=', businessId)
    .where('l.location_id', '=', locationId)
    .executeTakeFirst();
  return row?.time_zone ?? null;
}
