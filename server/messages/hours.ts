import { sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';

/** Whether a message may go at a moment, and if not, when. */
export interface HoursVerdict {
  /** Quiet hours are for marketing; anything else may go at any time. */
  applies: boolean;
  allowed: boolean;
  timeZone: string;
  /** `HH:MM` at the client at that moment. */
  localTime: string;
  /** The moment itself where it is allowed, else the first one after it that is. */
  nextAllowedAt: Date;
}

/**
 * Marketing goes from 08:00 until 21:00 at the client's place: the hours of US law (47 CFR
 * 64.1200(c)(1)), which are the strictest of those that name any for texts.
 */
export const quietHours = { endsAtHour: 8, beginsAtHour: 21 };

/** Quiet hours are for what rings or buzzes: a mail waits in its mailbox. */
export function hasQuietHours(message: { channel: string; category?: string | null }): boolean {
  return message.category === 'marketing' && ['sms', 'whatsapp', 'voice'].includes(message.channel);
}

/** Pure: the same questions have the same answers. A time zone that is not known counts as UTC. */
export function hoursVerdict(question: {
  category: 'transactional' | 'marketing';
  timeZone: string;
  at: Date;
}): HoursVerdict {
  const { at, timeZone } = question;
  const local = localTime(at, timeZone);
  const applies = question.category === 'marketing';
  const allowed = !applies || isAllowed(local);
  return {
    applies,
    allowed,
    timeZone,
    localTime: `${pad(local.hour)}:${pad(local.minute)}`,
    nextAllowedAt: allowed ? at : nextMorning(at, timeZone),
  };
}

export interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

function isAllowed({ hour }: LocalTime): boolean {
  return hour >= quietHours.endsAtHour && hour < quietHours.beginsAtHour;
}

const pad = (part: number) => String(part).padStart(2, '0');

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (!format) {
    const options = {
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    } as const;
    try {
      format = new Intl.DateTimeFormat('en-US', { ...options, timeZone });
    } catch {
      format = new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' });
    }
    if (formats.size > 1000) formats.clear();
    formats.set(timeZone, format);
  }
  return format;
}

/** What a clock there shows. A time zone that is not known counts as UTC. */
export function localTime(at: Date, timeZone: string): LocalTime {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  );
  return parts as unknown as LocalTime;
}

/** The first 08:00 on the clock there after a moment in the quiet hours. */
function nextMorning(at: Date, timeZone: string): Date {
  const local = localTime(at, timeZone);
  const days = local.hour >= quietHours.beginsAtHour ? 1 : 0;
  const wanted = Date.UTC(local.year, local.month - 1, local.day + days, quietHours.endsAtHour);
  let moment = new Date(wanted);
  // The zone's offset at the guess moves the guess; clocks are put forward or back between the two at most once.
  for (let tries = 0; tries < 4; tries++) {
    const there = localTime(moment, timeZone);
    const shown = Date.UTC(there.year, there.month - 1, there.day, there.hour, there.minute, there.second);
    if (shown === wanted) return moment;
    moment = new Date(moment.getTime() + wanted - shown);
  }
  // That morning has no 08:00 (a day left out at the date line): then as soon as the clock shows more.
  while (!isAllowed(localTime(moment, timeZone)) || moment < at)
    moment = new Date(moment.getTime() + 900_000);
  return moment;
}

/** Until when each must wait for the end of the quiet hours at its client; null where it may go `at` that moment. */
export async function quietUntil(
  tx: Tx,
  wanted: {
    businessId: number;
    clientId: number;
    locationId: number | null;
    channel: string;
    category: 'transactional' | 'marketing' | null;
    at: Date;
  }[],
): Promise<(Date | null)[]> {
  const asked = wanted.filter(hasQuietHours);
  const zones = await clientTimeZones(tx, asked);
  const until = new Map(
    asked.map((want, i) => {
      const verdict = hoursVerdict({ category: 'marketing', timeZone: zones[i]!, at: want.at });
      return [want, verdict.allowed ? null : verdict.nextAllowedAt];
    }),
  );
  return wanted.map((want) => until.get(want) ?? null);
}

/** The time zone of each client: theirs, else the location's, else the business's. */
export async function clientTimeZones(
  tx: Tx,
  wanted: { businessId: number; clientId: number; locationId: number | null }[],
): Promise<string[]> {
  if (wanted.length === 0) return [];
  const asked = wanted.map((want, i) => ({ i, b: want.businessId, c: want.clientId, l: want.locationId }));
  const { rows } = await sql<{ i: number; time_zone: string }>`
    select w.i, coalesce(c.time_zone, l.time_zone, b.time_zone) as time_zone
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, c bigint, l bigint)
    join businesses b on b.business_id = w.b
    left join clients c on c.business_id = w.b and c.client_id = w.c
    left join locations l on l.business_id = w.b and l.location_id = coalesce(w.l, c.location_id)`.execute(
    tx,
  );
  const zones = wanted.map(() => 'UTC');
  for (const { i, time_zone } of rows) zones[i] = time_zone;
  return zones;
}
