import { nothingKnown, receiveMail } from '../channels/index.ts';
import { Fault, notFound } from '../core/fault.ts';
import { type Binding, own } from '../core/http/index.ts';
import type { Intake } from '../messages/index.ts';
import { newSid } from './carrier.ts';

/** `POST /simulator/inbound`: off where `OMEGA_SIMULATOR=off`, as if it were not there. */
export function simulatorRoutes(options: { intake: Intake; enabled: boolean }): Binding[] {
  return [
    own('simulateInbound', async (call) => {
      if (!options.enabled) throw notFound('simulator', 'It is switched off with OMEGA_SIMULATOR=off.');
      const { body, businessId, requestId } = call;
      const mediaUrls = body.media_urls ?? [];
      const content = body.content ?? '';
      const isEmpty = content === '' && mediaUrls.length === 0 && body.html === undefined;
      if (isEmpty && body.channel !== 'voice') {
        throw new Fault('invalid_parameters', 'content: must not be empty without media_urls', {
          errors: [{ path: 'content', message: 'must not be empty without media_urls', code: 'too_short' }],
        });
      }
      const channel = body.channel ?? 'sms';
      const mail =
        channel === 'email'
          ? receiveMail({ subject: body.subject ?? null, text: content, html: body.html ?? null })
          : null;
      const { answer, replayed } = await options.intake.submit({
        request: { businessId, requestId, operation: 'simulateInbound', fingerprint: call.fingerprint },
        draft: {
          businessId,
          act: 'receive',
          channel,
          direction: 'inbound',
          clientAddress: body.from,
          ownAddress: body.to,
          content: mail?.content ?? content,
          subject: (mail ? mail.subject : body.subject) ?? undefined,
          mail: mail?.mail,
          mediaUrls,
          // Nobody is there to answer it.
          ...(channel === 'voice' && { call: { ...nothingKnown, ended_at: call.now.toISOString() } }),
          metadata: {},
          provider: 'simulator',
          providerMessageId: newSid(channel),
          requestId,
          by: {
            actor: { type: 'client', id: null },
            origin: { ...call.origin.origin, provider: 'simulator' },
          },
        },
        present: (written) => ({
          status: 201,
          body: {
            message_id: written.messageId,
            conversation_id: written.conversationId,
            client_id: written.clientId,
          },
        }),
      });
      return { ...answer, replayed } as never;
    }),
  ];
}
