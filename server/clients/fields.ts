import type { Static, TObject } from 'typebox';
import type { Contract } from '../../contract/index.ts';
import { readEmail, readPhone } from '../core/addresses.ts';
import { Fault, type FieldFault } from '../core/fault.ts';

type Body = Contract['upsertClient']['input']['body'];
/** What a host tells of a client, valid by its schema. */
export type ClientFields = Omit<Static<Body extends TObject ? Body : never>, 'request_id'>;

/** The same as it is kept: undefined leaves as it is, null takes away. */
export interface ClientWrite {
  clientId: number;
  name?: string | null;
  /** E.164, the first one primary. */
  phones?: string[];
  /** Lower case, the first one primary. */
  emails?: string[];
  locationId?: number | null;
  timeZone?: string | null;
  language?: string | null;
  tags?: string[];
  metadata?: Record<string, unknown>;
}

/** Bytes of JSON. */
const metadataLimit = 16 * 1024;

/** Reads what the schema cannot say. @throws 422 with every fault at once */
export function readClientFields(clientId: number, fields: ClientFields, country: string): ClientWrite {
  const faults: FieldFault[] = [];
  const readAll = (
    path: string,
    values: string[] | undefined,
    read: (value: string) => string | FieldFault,
  ) =>
    values && [
      ...new Set(
        values.flatMap((value, i) => {
          const one = read(value);
          if (typeof one === 'string') return [one];
          faults.push({ ...one, path: `${path}.${i}` });
          return [];
        }),
      ),
    ];
  const phones = readAll('phones', fields.phones, (value) => {
    const phone = readPhone(value, country);
    return phone.ok ? phone.e164 : { path: '', message: phone.message, code: 'invalid_format' };
  });
  const emails = readAll('emails', fields.emails, (value) => {
    const email = readEmail(value);
    return email.ok ? email.email : { path: '', message: email.message, code: 'invalid_format' };
  });
  const name = fields.name?.trim();
  if (name === '') faults.push({ path: 'name', message: 'must not be empty', code: 'too_short' });
  const timeZone = fields.time_zone;
  if (typeof timeZone === 'string' && !isTimeZone(timeZone)) {
    faults.push({
      path: 'time_zone',
      message: 'must be an IANA time zone such as America/New_York',
      code: 'invalid_value',
    });
  }
  if (fields.metadata && JSON.stringify(fields.metadata).length > metadataLimit) {
    faults.push({ path: 'metadata', message: `must take ${metadataLimit} bytes or fewer`, code: 'too_long' });
  }
  if (faults.length > 0) {
    const [first] = faults;
    throw new Fault('invalid_parameters', `${first!.path}: ${first!.message}`, { errors: faults });
  }
  return {
    clientId,
    name: fields.name === null ? null : name,
    phones,
    emails,
    locationId: fields.location_id,
    timeZone,
    language: fields.language,
    tags: fields.tags && [...new Set(fields.tags)],
    metadata: fields.metadata,
  };
}

const timeZones = new Map<string, boolean>();

/** Whether the runtime knows the zone; asked once for each of the few hundred there are. */
export function isTimeZone(name: string): boolean {
  let known = timeZones.get(name);
  if (known === undefined) {
    try {
      // An offset such as +02:00 is no zone: it knows no summer time.
      new Intl.DateTimeFormat('en', { timeZone: name });
      known = !/^[+-]/.test(name);
    } catch {
      known = false;
    }
    if (timeZones.size < 5_000) timeZones.set(name, known);
  }
  return known;
}
