import { Type } from 'typebox';
import { operation, webhook } from './operation.ts';

const params = Type.Object({
  unsubscribe_token: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'From the `List-Unsubscribe` header of a mail. Signed; tells nothing of a person.',
  }),
});
const page = { 200: Type.Unsafe<Uint8Array>({ description: 'A page for people.' }) };
const token = 'AAAAAAAD6QGYwqR7Hnw6n1cvShydDhFsrTsMxZ4SiLdWQ2Gi5LjtQpZyVxO0rFzJ2uHn1kWbA';

export const showUnsubscribe = operation({
  id: 'showUnsubscribe',
  method: 'GET',
  path: '/email/unsubscribe/{unsubscribe_token}',
  tag: 'email',
  summary: 'Show the page that asks whether to unsubscribe',
  description:
    'What a reader sees who opens the link of a marketing mail: a button. Changes nothing, however often it is opened: scanners and mail programs open every link. Beyond the source.',
  auth: 'public',
  bucket: 'none',
  bytes: 'text/html',
  input: { params },
  output: page,
  errors: [],
  example: { params: { unsubscribe_token: token }, status: 200, answer: '<!doctype html>' },
});

export const unsubscribe = webhook({
  id: 'unsubscribe',
  path: '/email/unsubscribe/{unsubscribe_token}',
  tag: 'email',
  summary: 'Unsubscribe with one click',
  description:
    "What mail programs post when a reader presses their button (RFC 8058), and the page's own button. No login and no question: the reader gets no more marketing mail of the business, which goes into the consent ledger with the mail as its evidence. Repeating it changes nothing. The token's signature stands in place of credentials. Beyond the source.",
  bodyLimit: 16 * 1024,
  webhook: ['application/x-www-form-urlencoded', 'multipart/form-data'],
  bytes: 'text/html',
  input: { params },
  output: page,
  example: {
    params: { unsubscribe_token: token },
    body: 'List-Unsubscribe=One-Click',
    status: 200,
    answer: '<!doctype html>',
  },
});
