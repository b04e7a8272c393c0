import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, ClientId, ConversationId, Exactly, MessageId, OneOf, RequestId } from './shapes.ts';

export const simulateInbound = operation({
  id: 'simulateInbound',
  method: 'POST',
  path: '/simulator/inbound',
  tag: 'simulator',
  summary: 'Play a client who writes or calls',
  description:
    'The simulated carrier hands Omega a message from a client, through the code that real carriers come through. It is off (404) where `OMEGA_SIMULATOR=off`.',
  auth: 'send',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: Type.Optional(BusinessId),
      channel: Type.Optional(OneOf(['sms', 'whatsapp', 'email', 'voice'], { default: 'sms' })),
      from: Type.String({ minLength: 1, maxLength: 320, description: "The client's address." }),
      to: Type.String({ minLength: 1, maxLength: 320, description: "One of the business's senders." }),
      content: Type.Optional(Type.String({ maxLength: 10_000, default: '' })),
      subject: Type.Optional(Type.String({ maxLength: 998, description: "A mail's." })),
      html: Type.Optional(Type.String({ maxLength: 262_144, description: "A mail's." })),
      media_urls: Type.Optional(
        Type.Array(Type.String({ format: 'uri', pattern: '^https?://', maxLength: 2048 }), { maxItems: 10 }),
      ),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    201: Type.Object({ message_id: MessageId, conversation_id: ConversationId, client_id: ClientId }),
  },
  errors: ['not_found', 'no_sender'],
  example: {
    body: {
      business_id: 1001,
      channel: 'sms',
      from: '+12025550123',
      to: '+15005550006',
      content: 'Can I move to 10?',
    },
    status: 201,
    answer: {
      message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
      conversation_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12',
      client_id: 501,
    },
  },
});
