import type { Selectable } from 'kysely';
import { type Event, eventApiVersion } from '../../contract/index.ts';
import type { Db, Tables } from '../core/db/index.ts';
import { type MessageRow, messagesById, presentMessage } from '../messages/index.ts';

type EventRow = Selectable<Tables['events']>;

/** Characters of a message's text that go with its event. */
const mostContent = 10_000;

/** The business's events after the number `after`, in order, at most `limit`; as the API shows them. */
export async function readFeed(db: Db, businessId: number, after: number, limit: number): Promise<Event[]> {
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('business_id', '=', businessId)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(limit)
    .execute();
  return presentEvents(db, businessId, rows);
}

/** Events of one business as the API shows them, each with its message as it is now. */
export async function presentEvents(db: Db, businessId: number, rows: EventRow[]): Promise<Event[]> {
  const ids = new Set(rows.flatMap(({ data }) => messageIdOf(data) ?? []));
  const messages = await messagesById(db, businessId, [...ids]);
  return rows.map((row) => present(row, messages.get(messageIdOf(row.data) ?? '')));
}

function messageIdOf(data: Record<string, unknown>): string | null {
  return typeof data.message_id === 'string' ? data.message_id : null;
}

function present(row: EventRow, message: MessageRow | undefined): Event {
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

function messageOfEvent(row: MessageRow): NonNullable<Event['data']['message']> {
  const { html: _, ...message } = presentMessage({ ...row, display_html: null });
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
