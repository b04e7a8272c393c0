import { readMail } from '../channels/index.ts';
import { type Binding, type OwnCall, own, write } from '../core/http/index.ts';
import type { Intake } from './intake.ts';
import { draftOf, submissionOf } from './submission.ts';
import { updateStatus } from './update-status.ts';

export function emailRoutes({ intake }: { intake: Intake }): Binding[] {
  return [
    own('queueEmail', async (call) => {
      const { body } = call;
      const submission = submissionOf(call, 'queueEmail', 202, {
        ...mailOf(call, 'both'),
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
        ...mailOf(call, 'text'),
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

/** What queued and recorded mails have in common. */
function mailOf(call: OwnCall<'queueEmail'> | OwnCall<'recordEmail'>, derive: 'both' | 'text') {
  const { content, mail } = readMail(call.body, derive);
  return {
    ...draftOf(call as OwnCall<'queueEmail'>),
    channel: 'email',
    subject: call.body.subject,
    content,
    mail,
    mediaUrls: [],
  };
}
