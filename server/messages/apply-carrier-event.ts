import { sql } from 'kysely';
import { type Attachment, receiveMail } from '../channels/index.ts';
import type { Tx } from '../core/db/index.ts';
import { Fault } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Applied, CarrierEvent } from './carrier-event.ts';
import { fetchLater } from './media.ts';
import { noteCall } from './note-call.ts';
import { noteFact } from './note-fact.ts';
import { applyReports } from './report.ts';
import { clientAnswered } from './thread-of-mail.ts';
import { writeTimeline } from './timeline.ts';
import { writeMessages } from './write-messages.ts';

/** Does what an event says, in the transaction that says it is done. `parked`: what it is about is not here yet. */
export async function applyEvent(
  tx: Tx,
  now: Date,
  queue: JobQueue,
  secrets: Secrets,
  event: CarrierEvent,
  files: readonly Attachment[],
): Promise<Applied> {
  const by: Origin = { actor: { type: 'carrier', id: event.provider }, origin: { provider: event.provider } };
  if (event.kind === 'inbound') {
    const mail = event.channel === 'email' ? mailOf(event, files) : null;
    const answered = event.mail ? await clientAnswered(tx, secrets, event.businessId, event.mail) : null;
    const [written] = await writeMessages(
      tx,
      now,
      queue,
      [
        {
          businessId: event.businessId,
          act: 'receive',
          channel: event.channel,
          direction: 'inbound',
          ...(answered !== null && { clientId: answered.clientId, fromGuest: true }),
          ...(event.channel === 'email' && { threadingReason: answered?.because ?? 'sender_address' }),
          clientAddress: event.from,
          clientName: event.mail?.fromName ?? undefined,
          // A reply address is nobody's sender: the answer comes to the one that is usual.
          ownAddress: event.to === '' ? undefined : event.to,
          anyOwnAddress: event.anyOwnAddress,
          keyword: event.keyword,
          content: mail?.content ?? event.content,
          subject: (mail ? mail.subject : event.subject) ?? undefined,
          mail: mail?.mail,
          autoReply: event.autoReply,
          mediaUrls: event.mediaUrls,
          metadata: event.mail?.filesLeftOut ? { files_left_out: event.mail.filesLeftOut } : {},
          provider: event.provider,
          providerMessageId: event.providerMessageId,
          occurredAt: event.occurredAt ? new Date(event.occurredAt) : now,
          requestId: event.requestId,
          by: { ...by, actor: { type: 'client', id: null } },
        },
      ],
      secrets,
    );
    if (written && !(written instanceof Fault) && !written.duplicate)
      await fetchLater(tx, queue, {
        businessId: event.businessId,
        messageId: written.messageId,
        provider: event.provider,
        mediaUrls: event.mediaUrls,
      });
    return written instanceof Fault
      ? { state: 'refused', fault: written }
      : { state: 'applied', written: written! };
  }

  if (event.kind === 'call') {
    const call = await noteCall(tx, now, queue, secrets, event);
    if (call instanceof Fault) return { state: 'refused', fault: call };
    return call ? { state: 'applied', written: null, call } : { state: 'parked' };
  }

  const about = await findMessage(tx, event);
  if (!about) return { state: 'parked' };
  if (event.kind === 'fact') {
    await noteFact(tx, now, { ...event, messageId: about.messageId, by });
    return { state: 'applied', written: null };
  }
  const settled = await settleByCallback(tx, now, event, about);
  await applyReports(tx, now, [
    {
      businessId: event.businessId,
      messageId: about.messageId,
      source: 'carrier',
      status: event.status,
      provider: event.provider,
      providerMessageId: event.providerMessageId,
      providerStatus: event.providerStatus,
      errorCode: event.errorCode,
      errorMessage: event.errorMessage,
      attemptNo: about.attemptNo ?? event.attemptNo,
      occurredAt: event.occurredAt ? new Date(event.occurredAt) : null,
      by,
    },
  ]);
  // Conversations are locked before messages, and the report has locked both by now.
  if (settled) await nameByCarrier(tx, event, about.messageId);
  return { state: 'applied', written: null };
}

function mailOf(event: CarrierEvent & { kind: 'inbound' }, files: readonly Attachment[]) {
  const read = receiveMail({ subject: event.subject, text: event.content, html: event.html ?? null });
  if (!event.mail) return read;
  const { cc, replyTo, mailId, authentication } = event.mail;
  const received = { ...read.mail.received!, mailId, authentication };
  return { ...read, mail: { ...read.mail, cc, replyTo, attachments: [...files], received } };
}

/** The message of a callback: named by our id, or known by the carrier's. Both within the business. */
async function findMessage(
  tx: Tx,
  event: CarrierEvent & { kind: 'status' | 'fact' },
): Promise<{ messageId: string; attemptNo: number | null } | null> {
  const { rows } = await sql<{ message_id: string; attempt_no: number | null }>`
    select m.message_id, (select a.attempt_no from attempts a where a.business_id = m.business_id and a.message_id = m.message_id
        and a.provider = ${event.provider} and a.provider_message_id = ${event.providerMessageId}
        -- Each attempt of a mail bears the same Message-ID.
        order by a.attempt_no desc limit 1) as attempt_no
    from messages m where m.business_id = ${event.businessId} and m.message_id = ${event.messageId}::uuid
    union all
    (select message_id, attempt_no from attempts
    where provider = ${event.provider} and provider_message_id = ${event.providerMessageId} and business_id = ${event.businessId}
    order by attempt_no desc limit 1)
    union all
    select message_id, null from messages where business_id = ${event.businessId} and provider = ${event.provider}
      and provider_message_id = ${event.providerMessageId}
    limit 1`.execute(tx);
  return rows[0] ? { messageId: rows[0].message_id, attemptNo: rows[0].attempt_no } : null;
}

/**
 * A callback proves that the carrier has the message: an attempt whose outcome was open, or not
 * known, is accepted by that (a callback may well come before the answer to our call).
 */
async function settleByCallback(
  tx: Tx,
  now: Date,
  event: CarrierEvent & { kind: 'status' },
  about: { messageId: string; attemptNo: number | null },
): Promise<boolean> {
  if (about.attemptNo !== null) return false;
  const { rows } = await sql<{ attempt_no: number }>`
    update attempts a set state = 'accepted', provider_message_id = ${event.providerMessageId}, settled_at = ${now}
    where a.business_id = ${event.businessId} and a.message_id = ${about.messageId}::uuid and (a.provider = ${event.provider} or ${event.messageId}::uuid is not null)
      and a.provider_message_id is null
      ${
        event.attemptNo === undefined
          ? sql`and a.state in ('claimed', 'unknown') and a.attempt_no =
              (select attempts from messages m where m.business_id = a.business_id and m.message_id = a.message_id)`
          : // Where the carrier seemed not to have it, it had it after all.
            sql`and a.state in ('claimed', 'unknown', 'absent') and a.attempt_no = ${event.attemptNo}`
      }
    returning a.attempt_no`.execute(tx);
  if (rows.length === 0) return false;
  await writeTimeline(tx, [
    {
      businessId: event.businessId,
      messageId: about.messageId,
      kind: 'attempt.accepted',
      at: now,
      data: {
        attempt_no: rows[0]!.attempt_no,
        provider: event.provider,
        provider_message_id: event.providerMessageId,
        by: 'callback',
      },
    },
  ]);
  return true;
}

async function nameByCarrier(
  tx: Tx,
  event: CarrierEvent & { kind: 'status' },
  messageId: string,
): Promise<void> {
  await sql`
    update messages m set provider_message_id = ${event.providerMessageId}
    where m.business_id = ${event.businessId} and m.message_id = ${messageId}::uuid and m.provider_message_id is null
      -- The host may have recorded our own send under the carrier's id before us; the attempt keeps it.
      and not exists (select 1 from messages o where o.business_id = m.business_id and o.provider = m.provider
        and o.provider_message_id = ${event.providerMessageId} and o.message_id <> m.message_id)`.execute(tx);
}
