import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, RequestId, StaffId } from './shapes.ts';

export const expireSession = operation({
  id: 'expireSession',
  method: 'POST',
  path: '/session/expire',
  tag: 'session',
  summary: 'Expire Session',
  description:
    "With a session: ends this one (and clears its cookie). With a key of scope `manage`: ends one of the business's sessions by `session_id` or `token`, or every one of a `staff_id`. The next request with it is 401.",
  auth: 'read',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: Type.Optional(BusinessId),
      session_id: Type.Optional(Type.String({ format: 'uuid' })),
      token: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      staff_id: Type.Optional(StaffId),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: { 200: Type.Object({ expired: Type.Integer({ description: 'How many sessions ended now.' }) }) },
  errors: [],
  example: {
    body: { business_id: 1001, session_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11' },
    status: 200,
    answer: { expired: 1 },
  },
});
