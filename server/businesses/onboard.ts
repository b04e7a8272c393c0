import { type Insertable, sql } from 'kysely';
import type { Static } from 'typebox';
import type { Contract } from '../../contract/index.ts';
import { allScopes, createKey } from '../access/index.ts';
import { readEmail, readPhone } from '../core/addresses.ts';
import type { Tables, Tx } from '../core/db/index.ts';
import { type FieldFault, invalidFields } from '../core/fault.ts';
import { newId } from '../core/ids.ts';
import type { Secrets } from '../core/secrets.ts';
import { type Provider, writeProviderAccount } from './provider-accounts.ts';
import { readReplyDomain, readSender } from './sender-fields.ts';

export type OnboardingPlan = Static<Contract['onboardBusiness']['input']['body']>;

/** The steps, in their order. The first five need nobody else; the last two speak with carriers. */
export const onboardingSteps = [
  'profile',
  'locations',
  'staff',
  'senders',
  'provider_webhooks',
  'keys',
  'test_message',
] as const;
export const carrierSteps = ['provider_webhooks', 'test_message'] as const;
export type OnboardingStep = (typeof onboardingSteps)[number];

/**
 * Writes everything of the plan that needs no carrier, in one transaction: all or nothing, and the
 * same again when repeated. What is named is made or brought up to date; nothing is removed.
 *
 * @returns the business's first key, if this made it
 */
export async function writeBusiness(
  tx: Tx,
  now: Date,
  plan: OnboardingPlan,
  secrets: Secrets,
): Promise<string | undefined> {
  const { business_id } = plan;
  const clean = readPlan(plan, await knownLocations(tx, plan));
  const dated = { created_at: now, updated_at: now };
  const made = await writeProfile(tx, now, plan);

  await upsertAll(
    tx,
    'locations',
    (plan.locations ?? []).map((location) => ({
      business_id,
      location_id: location.location_id,
      name: location.name,
      time_zone: location.time_zone ?? null,
      ...dated,
    })),
    ['business_id', 'location_id'],
    ['name', 'time_zone'],
  );
  await upsertAll(
    tx,
    'staffs',
    clean.staffs.map(({ location_ids: _, ...staff }) => ({
      business_id,
      ...staff,
      active: staff.active ?? true,
      ...dated,
    })),
    ['business_id', 'staff_id'],
    ['name', 'email', 'phone', 'role', 'active'],
  );
  await writeStaffLocations(tx, business_id, clean.staffs);
  await upsertAll(
    tx,
    'senders',
    clean.senders.map((sender) => ({ business_id, sender_id: newId(), ...sender, active: true, ...dated })),
    ['business_id', 'channel', 'address'],
    ['name', 'provider', 'location_id', 'reply_domain', 'active'],
  );

  for (const [provider, credentials] of Object.entries(plan.providers ?? {})) {
    if (!credentials) continue;
    const account = { businessId: business_id, provider: provider as Provider, credentials };
    await writeProviderAccount(tx, now, secrets, account as never);
  }

  await writeSteps(tx, now, business_id);
  if (!made) return undefined;
  const { key } = await createKey(tx, { businessId: business_id, name: 'first key', scopes: allScopes, now });
  return key;
}

/**
 * Writes the business's own row, which every other onboarding of it waits for from then on.
 *
 * @returns whether this made it: of several first onboardings at once one did, and gives out the key
 */
async function writeProfile(tx: Tx, now: Date, plan: OnboardingPlan): Promise<boolean> {
  const profile = { name: plan.name, country: plan.country, time_zone: plan.time_zone };
  const { made } = await tx
    .insertInto('businesses')
    .values({ business_id: plan.business_id, ...profile, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('business_id').doUpdateSet({ ...profile, updated_at: now }))
    // A row that was there carries the lock of this very update; a new one carries none.
    .returning(sql<boolean>`xmax = 0`.as('made'))
    .executeTakeFirstOrThrow();
  return made;
}

/** Rows in one statement: well under Postgres' 65,535 parameters. */
const rowsAtOnce = 1_000;

/**
 * Makes rows or brings them up to date, many in a statement: one by one, a plan of 2,000 staff held
 * PGlite's one connection for 2.6 s. Where a plan names a row twice the last one counts.
 *
 * @param key the columns by which a row is known
 * @param news the columns that a row which is there takes over, beside `updated_at`
 */
async function upsertAll<
  Table extends 'locations' | 'staffs' | 'senders',
  Row extends Insertable<Tables[Table]>,
>(
  tx: Tx,
  table: Table,
  rows: Row[],
  key: readonly (keyof Row & string)[],
  news: readonly (keyof Row & string)[],
): Promise<void> {
  // One statement may not touch a row twice.
  const distinct = [
    ...new Map(rows.map((row) => [JSON.stringify(key.map((name) => row[name])), row])).values(),
  ];
  const taken = [...news, 'updated_at'].map((name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`);
  for (let i = 0; i < distinct.length; i += rowsAtOnce) {
    const columns = Object.keys(distinct[0]!);
    await sql`
      insert into ${sql.table(table)} (${sql.join(columns.map((name) => sql.ref(name)))})
      values ${sql.join(
        distinct
          .slice(i, i + rowsAtOnce)
          .map((row) => sql`(${sql.join(columns.map((name) => row[name as keyof Row]))})`),
      )}
      on conflict (${sql.join(key.map((name) => sql.ref(name)))}) do update set ${sql.join(taken)}`.execute(
      tx,
    );
  }
}

/** Where a staff member works is what the plan says, as a whole; one who comes without it keeps theirs. */
async function writeStaffLocations(
  tx: Tx,
  businessId: number,
  staffs: readonly { staff_id: number; location_ids?: number[] }[],
): Promise<void> {
  const placed = [
    ...new Map(staffs.filter((one) => one.location_ids).map((one) => [one.staff_id, one])).values(),
  ];
  for (let i = 0; i < placed.length; i += rowsAtOnce) {
    const some = placed.slice(i, i + rowsAtOnce);
    await tx
      .deleteFrom('staff_locations')
      .where('business_id', '=', businessId)
      .where(
        'staff_id',
        'in',
        some.map((one) => one.staff_id),
      )
      .execute();
  }
  const rows = placed.flatMap((one) =>
    [...new Set(one.location_ids)].map((location_id) => ({
      business_id: businessId,
      staff_id: one.staff_id,
      location_id,
    })),
  );
  for (let i = 0; i < rows.length; i += rowsAtOnce)
    await tx
      .insertInto('staff_locations')
      .values(rows.slice(i, i + rowsAtOnce))
      .execute();
}

/** The ids that staff and senders may name: the plan's own, and those that are there already. */
async function knownLocations(tx: Tx, plan: OnboardingPlan): Promise<Set<number>> {
  const rows = await tx
    .selectFrom('locations')
    .select('location_id')
    .where('business_id', '=', plan.business_id)
    .execute();
  return new Set([...rows, ...(plan.locations ?? [])].map((location) => location.location_id));
}

/** Everything that the schema cannot say, every fault at once. */
function readPlan(plan: OnboardingPlan, locations: ReadonlySet<number>) {
  const errors: FieldFault[] = [];
  const fail = (path: string, message: string, code: FieldFault['code'] = 'invalid_value') =>
    errors.push({ path, message, code });
  const mustBeKnown = (id: number | undefined, path: string) => {
    if (id !== undefined && !locations.has(id))
      fail(path, `there is no location ${id}; list it in locations`, 'not_found');
  };

  if (!isTimeZone(plan.time_zone)) fail('time_zone', 'must be an IANA name such as America/New_York');
  if (!isCountry(plan.country)) fail('country', 'must be an ISO 3166-1 alpha-2 code such as US');
  for (const [i, location] of (plan.locations ?? []).entries()) {
    if (location.time_zone !== undefined && !isTimeZone(location.time_zone)) {
      fail(`locations.${i}.time_zone`, 'must be an IANA name such as America/New_York');
    }
  }
  const staffs = (plan.staffs ?? []).map((staff, i) => {
    const email = staff.email === undefined ? null : readEmail(staff.email);
    if (email && !email.ok) fail(`staffs.${i}.email`, email.message, 'invalid_format');
    const phone = staff.phone === undefined ? null : readPhone(staff.phone, plan.country);
    if (phone && !phone.ok) fail(`staffs.${i}.phone`, phone.message, 'invalid_format');
    for (const [j, id] of (staff.location_ids ?? []).entries())
      mustBeKnown(id, `staffs.${i}.location_ids.${j}`);
    return {
      staff_id: staff.staff_id,
      name: staff.name,
      email: email?.ok ? email.email : null,
      phone: phone?.ok ? phone.e164 : null,
      role: staff.role ?? ('staff' as const),
      active: staff.active ?? true,
      location_ids: staff.location_ids,
    };
  });
  const senders = (plan.senders ?? []).map((sender, i) => {
    mustBeKnown(sender.location_id, `senders.${i}.location_id`);
    const read = readSender(sender, plan.country, `senders.${i}.`);
    errors.push(...read.faults);
    return read.sender;
  });
  const { bounce_domain } = plan.providers?.smtp ?? {};
  if (bounce_domain !== undefined)
    errors.push(...readReplyDomain(bounce_domain, 'providers.smtp.bounce_domain').faults);
  if (errors.length > 0) throw invalidFields(errors);
  return { staffs, senders };
}

async function writeSteps(tx: Tx, now: Date, businessId: number): Promise<void> {
  const rows = onboardingSteps.map((name, position) => ({
    business_id: businessId,
    name,
    position,
    status: (carrierSteps as readonly string[]).includes(name) ? ('pending' as const) : ('done' as const),
    updated_at: now,
  }));
  await tx
    .insertInto('onboarding_steps')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['business_id', 'name']).doUpdateSet((eb) => ({
        status: eb.ref('excluded.status'),
        error: null,
        remedy: null,
        updated_at: now,
      })),
    )
    .execute();
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // Offsets such as +02:00 are taken by the runtime, but know no summer time.
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

const countryNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

function isCountry(code: string): boolean {
  // An alias such as UK (for GB) has a name too, but no numbering plan is listed under it.
  return (
    countryNames.of(code) !== undefined &&
    code !== 'ZZ' &&
    new Intl.Locale('und', { region: code }).region === code
  );
}
