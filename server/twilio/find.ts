import { sql } from 'kysely';
import type { FindOutcome, OutgoingMessage } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import { twilioAddress } from './addresses.ts';
import { type Exchange, newExchange, type TwilioCredentials, twilioClient } from './client.ts';
import { heldOf, textOf } from './outcome.ts';

/** Twilio's clock and ours may differ, and its times are whole seconds. */
const clockSlackMs = 60_000;
/**
 * A request whose answer never came may still be worked on: that the list does not have the message proves
 * nothing before then. It is counted from the claim: a worker that was held up may begin its call until 20 s
 * later (its lease without the carrier's deadline), no call to Twilio outlasts its own time-out of 15 s, and its
 * list follows in seconds.
 */
const settledAfterMs = 40_000;
const pageSize = 100;
const mostPages = 10;

/** As far as it is turned. */
interface Page {
  nextPageUrl?: string | undefined;
  nextPage(): Promise<Page> | undefined;
}

/** A message of Twilio's list, as far as it tells one from another. */
interface Listed {
  sid: string;
  body: string;
  direction: string;
  createdAt: number;
  raw: unknown;
}

/**
 * Asks Twilio's list whether it has a message whose outcome is not known. There is no key to ask by, only what
 * the message looks like (docs/adr/0015-finding-at-twilio.md):
 *
 * - Of all that went to this number since, what we know as another message of ours is set aside.
 * - Nothing is left: absent, once Twilio has had time to be done with the request.
 * - As many with these words as attempts of ours that look for them: found.
 * - Anything else (other words, fewer than attempts) proves neither: the callback, which names the message,
 *   must say.
 *
 * The list is not narrowed by `DateSent`: a message that waits in Twilio's queue has none, and would be missed.
 */
export async function findMessage(
  { db, clock }: { db: Db; clock: Clock },
  message: OutgoingMessage,
  since: Date,
  credentials: TwilioCredentials,
  signal: AbortSignal,
): Promise<FindOutcome> {
  const listed = await listSince(message, since, credentials, signal);
  if (typeof listed === 'string') return { kind: 'unknown', detail: listed };
  const { known, open } = await whatWeKnow(
    db,
    message,
    listed.map(({ sid }) => sid),
  );
  const free = listed.filter(({ sid }) => !known.has(sid));
  if (free.length === 0) {
    if (clock.now() - since.getTime() >= settledAfterMs) return { kind: 'absent' };
    return { kind: 'unknown', detail: 'Twilio does not list it yet.' };
  }
  const words = plain(message.content);
  const same = free.filter(({ body }) => plain(body) === words);
  // By the same comparison as what is listed: of "At 10!" and "At 10?" either may be the one that is there.
  const looking = open.filter((content) => plain(content) === words);
  const [first] = same.toSorted((a, b) => a.createdAt - b.createdAt);
  const held = first && same.length >= looking.length ? heldOf(first.raw) : null;
  if (held) return { kind: 'found', ...held };
  return {
    kind: 'unknown',
    detail: `Twilio has ${free.length} messages to this number that may be it or not; its callback will tell.`,
  };
}

/** @returns why the list proves nothing, where it could not be read whole */
async function listSince(
  message: OutgoingMessage,
  since: Date,
  credentials: TwilioCredentials,
  signal: AbortSignal,
): Promise<Listed[] | string> {
  const from = since.getTime() - clockSlackMs;
  const exchange = newExchange();
  const listed: Listed[] = [];
  try {
    const client = await twilioClient(credentials, { signal, exchange });
    const { channel } = message;
    let page: Page = await client.messages.page({
      to: twilioAddress(channel, message.to),
      // What a messaging service has yet to choose a number for has no `from`.
      ...(!credentials.messaging_service_sid && { from: twilioAddress(channel, message.from) }),
      pageSize,
    });
    for (let pages = 1; ; pages++) {
      const rows = rowsOf(exchange);
      if (!rows) return `Twilio answered ${exchange.status} without a list of messages.`;
      listed.push(...rows.filter(({ createdAt, direction }) => createdAt >= from && isOurs(direction)));
      // Newest first: a page that reaches back before the call is the last of use.
      if (!page.nextPageUrl || rows.some(({ createdAt }) => createdAt < from)) return listed;
      if (pages === mostPages) return `Twilio lists more than ${mostPages * pageSize} messages since then.`;
      const next = await page.nextPage();
      if (!next) return listed;
      page = next;
    }
  } catch (error) {
    return `Twilio's list could not be read: ${textOf(error)}`;
  }
}

function isOurs(direction: string): boolean {
  return direction === 'outbound-api';
}

/** Read from the answer itself: the SDK's objects leave out what they cannot parse. */
function rowsOf({ body }: Exchange): Listed[] | null {
  const { messages } = (JSON.parse(body ?? 'null') ?? {}) as { messages?: unknown };
  if (!Array.isArray(messages)) return null;
  const rows: Listed[] = [];
  for (const raw of messages as Record<string, unknown>[]) {
    if (!heldOf(raw)) return null;
    const createdAt = Date.parse(String(raw.date_created));
    rows.push({
      sid: String(raw.sid),
      body: typeof raw.body === 'string' ? raw.body : '',
      direction: String(raw.direction),
      // Without a date it may be as new as any.
      createdAt: Number.isNaN(createdAt) ? Number.POSITIVE_INFINITY : createdAt,
      raw,
    });
  }
  return rows;
}

/**
 * The words as they can be compared: a trial account puts a sentence in front, and a service with smart
 * encoding writes plain quotes and dashes (https://www.twilio.com/docs/messaging/services#smart-encoding).
 */
function plain(body: string): string {
  return body
    .replace(/^Sent from your Twilio trial account - /, '')
    .normalize('NFKD')
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/**
 * Which of Twilio's ids are a message of ours already, and the words of every attempt whose outcome is open, this one
 * among them, that went to this number: also in the threads of others who share it. One statement, for an outcome that
 * is written down between two would be missed by both.
 */
async function whatWeKnow(
  db: Db,
  { businessId, messageId, channel, to }: OutgoingMessage,
  sids: string[],
): Promise<{ known: Set<string>; open: string[] }> {
  const { rows } = await sql<{ sid: string | null; content: string | null }>`
    with threads as (
      select business_id, conversation_id from messages where business_id = ${businessId} and message_id = ${messageId}
      union
      select c.business_id, c.conversation_id from client_addresses s
      join conversations c on c.business_id = s.business_id and c.client_id = s.client_id
      where s.business_id = ${businessId} and s.kind = 'phone' and s.address = ${to}
    )
    select provider_message_id as sid, null as content from attempts
    where provider = 'twilio' and provider_message_id = any(${sids}::text[])
    union all
    select provider_message_id, null from messages
    where business_id = ${businessId} and provider = 'twilio' and provider_message_id = any(${sids}::text[])
    union all
    select null, m.content from threads t
    join messages m on m.business_id = t.business_id and m.conversation_id = t.conversation_id
      and m.direction = 'outbound' and m.channel = ${channel} and m.to_address = ${to}
    join attempts a on a.business_id = m.business_id and a.message_id = m.message_id
      and a.provider = 'twilio' and a.state in ('claimed', 'unknown')`.execute(db);
  return {
    known: new Set(rows.flatMap(({ sid }) => sid ?? [])),
    open: rows.flatMap(({ content }) => content ?? []),
  };
}
