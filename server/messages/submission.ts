import type { OwnCall } from '../core/http/index.ts';
import { authorOf } from './author.ts';
import type { Draft, Written } from './draft.ts';
import type { Submission } from './intake.ts';

type SendOperation = 'queueSms' | 'recordSms' | 'queueEmail' | 'recordEmail';

/** What every queued or recorded message brings with it, whatever its channel. */
export function draftOf(call: OwnCall<SendOperation>) {
  const { body } = call;
  return {
    businessId: call.businessId,
    clientId: body.client_id,
    clientAddress: body.to,
    ownAddress: body.from,
    locationId: body.location_id,
    sentBy: authorOf(call.caller, body.sent_by) ?? undefined,
    senderType: body.sender_type,
    externalRef: body.external_ref,
    metadata: body.metadata ?? {},
    requestId: call.requestId,
    by: call.origin,
  };
}

/**
 * One message for the intake, and its answer.
 *
 * @param more what the channel tells besides
 */
export function submissionOf(
  call: OwnCall<SendOperation>,
  operation: SendOperation,
  status: number,
  draft: Draft,
  more: (written: Written) => object = () => ({}),
): Submission {
  const { businessId, requestId, fingerprint } = call;
  return {
    request: { businessId, requestId, operation, fingerprint },
    draft,
    present: (written) => ({
      status,
      body: {
        request_id: requestId,
        message_id: written.messageId,
        conversation_id: written.conversationId,
        client_id: written.clientId,
        status: written.status,
        ...(written.reason && { reason: written.reason }),
        ...more(written),
      },
    }),
  };
}
