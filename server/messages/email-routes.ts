import { readMail } from '../channels/index.ts';
import { type Binding, type OwnCall, own, write } from '../core/http/index.ts';
import { authorOf } from './author.ts';
import type { Draft, Written } from './draft.ts';
import type { Intake, Submission } from './intake.ts';
import { updateStatus } from './update-status.ts';

export function emailRoutes({ intake }: { intake: Intake }): Binding[] {
  return [
    own('queueEmail', async (call) => {
      const { body } = call;
      const submission = submissionOf(call, 'queueEmail', 202, {
        ...draftOf(call, 'both'),
        act: 'queue',
        direction: 'outbound',
        category: body.category,
        sendAt: body.send_at === undefined ? undefined : new Date(body.send_at),
        cancelOnReply: body.cancel_on_reply,
        expectedLastMessageId: body.expected_last_message_id,
      });
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    own('recordEmail', async (call) => {
      const { body } = call;
      const submission = submissionOf(call, 'recordEmail', 201, {
        ...draftOf(call, 'text'),
        act: 'record',
        direction: body.direction,
        provider: body.provider,
        providerMessageId: body.provider_message_id,
        status: body.status,
        occurredAt: body.occurred_at === undefined ? undefined : new Date(body.occurred_at),
      });
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    write('updateEmailStatus', (tx, call) => updateStatus(tx, call, 'email')),
  ];
}

type MailCall = OwnCall<'queueEmail'> | OwnCall<'recordEmail'>;

/** What queued and recorded mails have in common. */
function draftOf(call: MailCall, derive: 'both' | 'text') {
  const { body } = call;
  const { content, mail } = readMail(body, derive);
  return {
    businessId: call.businessId,
    channel: 'email',
    clientId: body.client_id,
    clientAddress: body.to,
    ownAddress: body.from,
    locationId: body.location_id,
    subject: body.subject,
    content,
    mail,
    mediaUrls: [],
    sentBy: authorOf(call.caller, body.sent_by) ?? undefined,
    senderType: body.sender_type,
    externalRef: body.external_ref,
    metadata: body.metadata ?? {},
    requestId: call.requestId,
    by: call.origin,
  };
}

function submissionOf(call: MailCall, operation: string, status: number, draft: Draft): Submission {
  return {
    request: {
      businessId: call.businessId,
      requestId: call.requestId,
      operation,
      fingerprint: call.fingerprint,
    },
    draft,
    present: (written) => ({ status, body: mailAnswer(call.requestId, written) }),
  };
}

function mailAnswer(requestId: string, written: Written) {
  return {
    request_id: requestId,
    message_id: written.messageId,
    conversation_id: written.conversationId,
    client_id: written.clientId,
    status: written.status,
    ...(written.reason && { reason: written.reason }),
  };
}
