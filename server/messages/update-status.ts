import type { Tx } from '../core/db/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import { answer, type Call } from '../core/http/index.ts';
import { findMessageId } from './queries.ts';
import { applyReports } from './report.ts';

/**
 * A delivery status that the host reports, for any channel: the message's own channel says which
 * status follows which.
 *
 * @param channel where given, a message of another channel is not found
 */
export async function updateStatus(
  tx: Tx,
  { body, businessId, now, origin }: Call<'updateSmsStatus'> | Call<'updateEmailStatus'>,
  channel?: string,
) {
  const named = {
    messageId: body.message_id,
    provider: body.provider,
    providerMessageId: body.provider_message_id,
    channel,
  };
  if (
    named.messageId === undefined &&
    (named.provider === undefined || named.providerMessageId === undefined)
  ) {
    throw new Fault(
      'invalid_parameters',
      'Name the message: message_id, or provider and provider_message_id.',
      {
        errors: [
          {
            path: 'message_id',
            message: 'is required (or provider and provider_message_id)',
            code: 'required',
          },
        ],
      },
    );
  }
  const messageId = await findMessageId(tx, businessId, named);
  if (!messageId) throw notFound('message');
  if (named.provider !== undefined && named.providerMessageId !== undefined) {
    const byCarrier = await findMessageId(tx, businessId, { ...named, messageId: undefined });
    if (byCarrier !== null && byCarrier !== messageId)
      throw invalid('provider_message_id', 'names another message than message_id', 'conflict');
  }
  const [reported] = await applyReports(tx, now, [
    {
      businessId,
      messageId,
      source: 'api',
      status: body.status,
      provider: body.provider ?? null,
      providerMessageId: body.provider_message_id ?? null,
      providerStatus: null,
      errorCode: body.error_code ?? null,
      errorMessage: body.error_message ?? null,
      occurredAt: body.occurred_at === undefined ? null : new Date(body.occurred_at),
      by: origin,
    },
  ]);
  return answer(200, { message_id: messageId, status: reported!.status, applied: reported!.applied });
}
