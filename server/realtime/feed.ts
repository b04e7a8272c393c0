import { type Selectable, sql } from 'kysely';
import { type Event, eventApiVersion } from '../../contract/index.ts';
import type { Db, Tables } from '../core/db/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import { type MessageOfEvent, messagesOfEvents, presentMessage } from '../messages/index.ts';
import type { TypesFilter } from './types-filter.ts';

export type EventRow = Selectable<Tables['events']>;

/** Characters of a message's text that go with its event. */
const mostContent = 10_000;

/** Events that are looked at for one page, however few of them a filter wants. */
export const mostScanned = 2_000;

/** Where a reader begins: after an event's number, before the oldest that is kept, or after the newest. */
export type Start = number | 'oldest' | 'now';

export interface Slice {
  rows: EventRow[];
  /** The number after which it began. */
  after: number;
  /** The number up to which everything has been looked at. */
  next: number;
  /** The business's last number. */
  head: number;
}

/**
 * The events after a place, one statement: so the last number, the oldest event and the rows are of one moment. Numbers
 * have no gaps and are committed in their order, so a range of numbers is a bound on what is looked at, and the
 * place's next number being there proves that nothing of it was forgotten.
 *
 * @throws 404 for a business that is not there; 410 where events after the place are forgotten, or the place is one that
 * this database never came to
 */
export async function readSlice(
  db: Db,
  businessId: number,
  start: Start,
  limit: number,
  filter: TypesFilter | null,
): Promise<Slice> {
  const wanted = filter
    ? sql`and (e.type = any(${[...filter.types]}::text[]) or split_part(e.type, '.', 1) = any(${[...filter.families]}::text[]))`
    : sql``;
  const after =
    start === 'oldest'
      ? sql`coalesce((select min(sequence) - 1 from events where business_id = b.business_id), b.event_sequence)`
      : start === 'now'
        ? sql`b.event_sequence`
        : sql`${start}::bigint`;
  const { rows } = await sql<
    { head: number; after: number; unbroken: boolean } & (EventRow | { sequence: null })
  >`
    select b.event_sequence as head, p.after,
      p.after = b.event_sequence or exists (
        select 1 from events where business_id = b.business_id and sequence = p.after + 1) as unbroken,
      e.*, b.business_id
    from businesses b
    cross join lateral (select ${after} as after) p
    left join lateral (
      select * from events e
      where e.business_id = b.business_id and e.sequence > p.after
        and e.sequence <= least(p.after + ${mostScanned}, b.event_sequence) ${wanted}
      order by e.sequence limit ${limit}) e on true
    where b.business_id = ${businessId}
    order by e.sequence`.execute(db);
  const [first] = rows;
  if (!first) throw notFound('business', 'Bring it in with POST /business/onboard.');
  if (!first.unbroken) throw expired();
  const events = rows.filter((row): row is typeof row & EventRow => row.sequence !== null);
  const next =
    events.length > 0 && events.length === limit
      ? events.at(-1)!.sequence
      : Math.min(first.after + mostScanned, first.head);
  return { rows: events, after: first.after, next, head: first.head };
}

function expired(): Fault {
  return new Fault(
    'cursor_expired',
    'Events after this cursor are no longer kept. Take a new one with from=now, read everything that you need anew, and go on from there.',
  );
}

/** Events of one business as the API shows them, each with its message as it is now. */
export async function presentEvents(db: Db, businessId: number, rows: EventRow[]): Promise<Event[]> {
  const ids = new Set(rows.flatMap(({ data }) => messageIdOf(data) ?? []));
  const messages = await messagesOfEvents(db, businessId, [...ids]);
  return rows.map((row) => present(row, messages.get(messageIdOf(row.data) ?? '')));
}

function messageIdOf(data: Record<string, unknown>): string | null {
  return typeof data.message_id === 'string' ? data.message_id : null;
}

function present(row: EventRow, message: MessageOfEvent | undefined): Event {
  return {
    id: row.event_id,
    type: row.type,
    api_version: eventApiVersion,
    created_at: row.created_at.toISOString(),
    business_id: row.business_id,
    sequence: row.sequence,
    actor: row.actor as Event['actor'],
    origin: row.origin as Event['origin'],
    data: {
      object: row.data as Record<string, unknown>,
      changed: row.changed as Event['data']['changed'],
      message: message ? messageOfEvent(message) : null,
    },
  };
}

function messageOfEvent(row: MessageOfEvent): NonNullable<Event['data']['message']> {
  const { html: _, ...message } = presentMessage({ ...row, display_html: null, display_version: null });
  const cut = (text: string) =>
    text.length > mostContent ? text.slice(0, mostContent).toWellFormed() : text;
  const content = cut(message.content);
  const replyText = message.reply_text === null ? null : cut(message.reply_text);
  return {
    ...message,
    content,
    reply_text: replyText,
    content_truncated: content !== message.content || replyText !== message.reply_text,
  };
}
