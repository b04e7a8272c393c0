import type { Message } from '../../contract/index.ts';
import { displayHtmlOf, explainFailure, presentCall } from '../channels/index.ts';
import type { ShownMessage } from './queries.ts';
import { isFailure } from './status.ts';

const iso = (time: Date | null) => time?.toISOString() ?? null;

/** A message as the API shows it: the same for answers, webhooks and streams. */
export function presentMessage(row: ShownMessage): Message {
  const why = row.reason === null ? null : explainFailure(row.provider, row.error_code, row.reason);
  return {
    message_id: row.message_id,
    conversation_id: row.conversation_id,
    business_id: row.business_id,
    client_id: row.client_id,
    channel: row.channel,
    direction: row.direction,
    status: row.status,
    content: row.content,
    reply_text: row.reply_text,
    subject: row.subject,
    html: displayHtmlOf(row),
    media_urls: row.media_urls,
    attachments: row.attachments,
    from: row.from_address,
    to: row.to_address,
    cc: row.cc,
    bcc: row.bcc,
    reply_to: row.reply_to,
    sender_authentication: row.sender_authentication,
    threading_reason: row.threading_reason,
    sent_by: row.sent_by,
    sender_type: row.sender_type,
    category: row.category,
    location_id: row.location_id,
    segments: row.segments,
    encoding: row.encoding,
    provider: row.provider,
    provider_message_id: row.provider_message_id,
    provider_status: row.provider_status,
    error_code: row.error_code,
    error_message: row.error_message,
    reason: row.reason,
    retryable: why && isFailure(row.status) ? why.retryable : null,
    advice: why?.advice ?? null,
    attempts: row.attempts,
    unread: row.unread,
    call: row.call && presentCall(row.direction, row.call),
    auto_reply: row.auto_reply,
    external_ref: row.external_ref,
    metadata: row.metadata,
    request_id: row.request_id,
    send_at: iso(row.send_at),
    cancel_on_reply: row.cancel_on_reply,
    occurred_at: row.occurred_at.toISOString(),
    created_at: row.created_at.toISOString(),
    sent_at: iso(row.sent_at),
    delivered_at: iso(row.delivered_at),
    read_at: iso(row.read_at),
    failed_at: iso(row.failed_at),
    opened_at: iso(row.opened_at),
    clicked_at: iso(row.clicked_at),
    complained_at: iso(row.complained_at),
    unsubscribed_at: iso(row.unsubscribed_at),
  };
}
