import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, Exactly, RequestId, StaffId, Time } from './shapes.ts';

export const generateAuthToken = operation({
  id: 'generateAuthToken',
  method: 'POST',
  path: '/authentication/token',
  tag: 'authentication',
  summary: 'Generate Auth Token',
  description:
    'A session for one staff member of one business: a bearer token, also set as the cookie `omega_session` (HttpOnly, SameSite=Lax, Secure on https). What it may do follows from the role: managers read, send and manage; others read and send. Takes a key: a session makes no sessions. It ends with the key that made it.',
  auth: 'manage',
  bucket: 'send',
  input: {
    body: Exactly({
      business_id: Type.Optional(BusinessId),
      staff_id: StaffId,
      ttl_s: Type.Optional(
        Type.Integer({
          minimum: 60,
          maximum: 2_592_000,
          default: 43_200,
          description: 'Seconds to live; 12 hours unless told, 30 days at most.',
        }),
      ),
      request_id: Type.Optional(RequestId),
    }),
  },
  output: {
    200: Type.Object({
      token: Type.String({ description: 'Send as `Authorization: Bearer <token>`.' }),
      session_id: Type.String({ format: 'uuid' }),
      business_id: BusinessId,
      staff_id: StaffId,
      expires_at: Time('When it ends by itself.'),
    }),
  },
  errors: ['not_found'],
  secretAnswer: true,
  example: {
    body: { business_id: 1001, staff_id: 12345, ttl_s: 3600 },
    status: 200,
    answer: {
      token: 'oms_Wm9yZ2UgdGhlIGZpcnN0IHNlc3Npb24gdG9rZW4',
      session_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
      business_id: 1001,
      staff_id: 12345,
      expires_at: '2026-11-22T15:00:00.000Z',
    },
  },
});
