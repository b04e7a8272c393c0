import { Type } from 'typebox';
import { operation } from './operation.ts';
import { BusinessId, MessageId, Time } from './shapes.ts';

const link = 'WzEwMDEsIjAxOThjMmE0Il0.c2lnbmF0dXJl';

export const getAttachmentLink = operation({
  id: 'getAttachmentLink',
  method: 'GET',
  path: '/businesses/{business_id}/messages/{message_id}/attachments/{attachment_id}/link',
  tag: 'messages',
  summary: 'Get a link to a file of a message',
  description:
    'A signed address of this one file, for a browser that carries no key: whoever has it can download the file until it expires, ten minutes at most. Beyond the source.',
  auth: 'read',
  bucket: 'read',
  input: {
    params: Type.Object({
      business_id: BusinessId,
      message_id: MessageId,
      attachment_id: Type.String({ format: 'uuid', description: "One of the message's `attachments`." }),
    }),
  },
  output: {
    200: Type.Object({
      url: Type.String({ description: 'Absolute, by the public URL of the configuration.' }),
      expires_at: Time('When it stops working.'),
    }),
  },
  errors: ['not_found'],
  example: {
    params: {
      business_id: 1001,
      message_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11',
      attachment_id: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e13',
    },
    status: 200,
    answer: {
      url: `https://omega.example/omega/attachments/${link}`,
      expires_at: '2026-11-21T18:14:05.000Z',
    },
  },
});

export const downloadLinkedAttachment = operation({
  id: 'downloadLinkedAttachment',
  method: 'GET',
  path: '/attachments/{link}',
  tag: 'messages',
  summary: 'Download a file by its link',
  description:
    'Its link stands in place of credentials. The bytes come as a download and never under their own media type, as from `downloadAttachment`; an expired or altered link is 404. Beyond the source.',
  auth: 'public',
  bucket: 'none',
  bytes: 'application/octet-stream',
  input: {
    params: Type.Object({
      link: Type.String({ minLength: 1, maxLength: 512, description: 'From `getAttachmentLink`.' }),
    }),
  },
  output: { 200: Type.Unsafe<Uint8Array>({ description: 'The bytes.' }) },
  errors: ['not_found'],
  example: { params: { link }, status: 200, answer: 'BEGIN:VCARD' },
});
