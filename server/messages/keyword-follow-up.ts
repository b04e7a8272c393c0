import { sql } from 'kysely';
import { answeredByCarrier } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import type { NewEvent } from '../core/events/index.ts';
import type { Origin } from '../core/http/index.ts';
import { insertNote, noteAdded } from './add-note.ts';
import type { Draft } from './draft.ts';
import { readBusinesses } from './facts.ts';
import type { Prepared } from './prepare.ts';

const system: Origin = { actor: { type: 'system', id: null }, origin: {} };

/** How near a message about an appointment makes CANCEL or END doubtful. */
const nearAppointmentMessageH = 48;

/**
 * CANCEL, END and QUIT opt out (Twilio's list, the FCC's too), and are what clients text to cancel a
 * visit. The opt-out stands; where the last message was about an appointment, staff are told in a
 * note, for texting the client to ask is no longer allowed.
 */
export async function warnOfCancellations(tx: Tx, now: Date, fresh: Prepared[]): Promise<NewEvent[]> {
  const optOuts = fresh.filter((one) => one.decision.keyword === 'opt_out');
  if (optOuts.length === 0) return [];
  const asked = optOuts.map((one, i) => ({
    i,
    b: one.draft.businessId,
    c: one.conversation.conversation_id,
    // When the word came, which may be long ago where another system tells of it.
    until: one.occurredAt,
    since: new Date(one.occurredAt.getTime() - nearAppointmentMessageH * 3_600_000),
  }));
  const { rows } = await sql<{
    i: number;
    external_ref: { type: string; id: string };
    occurred_at: Date;
    message_id: string;
  }>`
    select w.i, last.external_ref, last.occurred_at, last.message_id
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, c uuid, since timestamptz, until timestamptz)
    cross join lateral (
      select external_ref, occurred_at, message_id from messages
      where business_id = w.b and conversation_id = w.c and direction = 'outbound' and external_ref is not null
        and occurred_at between w.since and w.until and status not in ('canceled', 'suppressed', 'scheduled')
      order by occurred_at desc limit 1
    ) last`.execute(tx);
  const events: NewEvent[] = [];
  for (const { i, external_ref: about, occurred_at: at, message_id: messageId } of rows) {
    const one = optOuts[i]!;
    const hours = Math.max(1, Math.round((one.occurredAt.getTime() - at.getTime()) / 3_600_000));
    const word = one.draft.content.trim().slice(0, 40);
    const content = `“${word}” opted this client out of texts. It came within ${hours} h of a message about ${about.type} ${about.id}, so it may mean that they cancel it. Texts to them stop; call or email them to ask.`;
    const noteId = await insertNote(tx, now, one.conversation, {
      content,
      sentBy: null,
      senderType: 'automation',
      requestId: null,
    });
    events.push(noteAdded(one.conversation, noteId, null, system), {
      businessId: one.draft.businessId,
      type: 'appointment.possible_cancellation',
      by: system,
      data: {
        conversation_id: one.conversation.conversation_id,
        client_id: one.clientId,
        message_id: one.messageId,
        about_message_id: messageId,
        external_ref: about,
      },
    });
  }
  return events;
}

/** HELP is answered at most so often: two machines must not help each other for ever. */
const helpAgainAfterH = 1;

/** Answers to HELP, where the carrier gives none. */
export async function helpReplies(tx: Tx, now: Date, fresh: Prepared[]): Promise<Draft[]> {
  const asking = fresh.filter(
    (one) =>
      one.decision.keyword === 'help' &&
      one.draft.act === 'receive' &&
      !answeredByCarrier(one.provider, 'help'),
  );
  if (asking.length === 0) return [];
  const businesses = await readBusinesses(
    tx,
    asking.map((one) => one.draft.businessId),
  );
  const since = new Date(now.getTime() - helpAgainAfterH * 3_600_000);
  const asked = asking.map((one, i) => ({ i, b: one.draft.businessId, c: one.conversation.conversation_id }));
  const { rows } = await sql<{ i: number }>`
    select w.i from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as w(i int, b bigint, c uuid)
    where exists (select 1 from messages where business_id = w.b and conversation_id = w.c and occurred_at >= ${since}
      and sender_type = 'automation' and metadata ->> 'keyword' = 'help')`.execute(tx);
  const answered = new Set(rows.map((row) => row.i));
  return asking
    .filter((_, i) => !answered.has(i))
    .map((one) => ({
      businessId: one.draft.businessId,
      act: 'queue' as const,
      channel: one.draft.channel,
      direction: 'outbound' as const,
      clientId: one.clientId,
      clientAddress: one.clientAddress!,
      ownAddress: one.ownAddress!,
      content: `${businesses.get(one.draft.businessId)!.name}: write to us here, or call this number. Msg & data rates may apply. Reply STOP to opt out.`,
      mediaUrls: [],
      senderType: 'automation' as const,
      metadata: { keyword: 'help' },
      requestId: null,
      by: system,
    }));
}
