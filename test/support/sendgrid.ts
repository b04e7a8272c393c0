import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { type Static, Type } from 'typebox';

const mailbox = Type.Object(
  { email: Type.String({ format: 'email' }), name: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
const mailboxes = Type.Array(mailbox, { minItems: 1, maxItems: 1000 });
/** These may not be set: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send, `headers`. */
const reserved =
  /^(?:x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding|to|from|subject|reply-to|cc|bcc)$/i;

/** The request's schema as SendGrid documents it, as far as Omega uses it; nothing else may be in it. */
export const MailSend = Type.Object(
  {
    personalizations: Type.Array(
      Type.Object(
        {
          to: mailboxes,
          cc: Type.Optional(mailboxes),
          bcc: Type.Optional(mailboxes),
          custom_args: Type.Optional(Type.Record(Type.String(), Type.String())),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1000 },
    ),
    from: mailbox,
    reply_to: Type.Optional(mailbox),
    subject: Type.String({ minLength: 1 }),
    content: Type.Array(
      Type.Object(
        { type: Type.String({ minLength: 1 }), value: Type.String({ minLength: 1 }) },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
    attachments: Type.Optional(
      Type.Array(
        Type.Object(
          {
            content: Type.String({ minLength: 1 }),
            filename: Type.String({ pattern: '^[^\\r\\n]+$' }),
            type: Type.Optional(Type.String({ pattern: '^[^;\\r\\n]+$' })),
            disposition: Type.Optional(Type.Union([Type.Literal('inline'), Type.Literal('attachment')])),
          },
          { additionalProperties: false },
        ),
      ),
    ),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { additionalProperties: false },
);
export type MailSend = Static<typeof MailSend>;

/** What is wrong with a request by SendGrid's rules, beside the schema too. */
function faultsOf(request: MailSend): string[] {
  const recipients = request.personalizations.flatMap(({ to, cc = [], bcc = [] }) => [...to, ...cc, ...bcc]);
  const addresses = recipients.map(({ email }) => email.toLowerCase());
  return [
    ...(new Set(addresses).size < addresses.length ? ['an address stands in it twice'] : []),
    ...Object.keys(request.headers ?? {}).filter((name) => reserved.test(name)),
    ...(request.content[0]!.type === 'text/plain' || request.content.length === 1
      ? []
      : ['text/plain is first']),
  ];
}

export interface SendGridPeer {
  url: string;
  /** The mails that it took. */
  taken: MailSend[];
  /** Every request: method and path. */
  requests: string[];
  /** Answers in place of the usual one, to whatever comes next. */
  answers: ((response: ServerResponse, request: IncomingMessage) => void)[];
  close(): Promise<void>;
}

export const sendGridKey = 'SG.loopback-key';
const ajv = new Ajv({ allErrors: true });
formats.default(ajv);
const isMailSend = ajv.compile<MailSend>(MailSend);

/** A SendGrid on loopback: takes what its documentation allows, and says no to everything else. */
export async function startSendGrid(): Promise<SendGridPeer> {
  const taken: MailSend[] = [];
  const requests: string[] = [];
  const answers: SendGridPeer['answers'] = [];
  const json = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    requests.push(`${request.method} ${request.url}`);
    if (request.headers.authorization !== `Bearer ${sendGridKey}`)
      return json(response, 401, { errors: [{ message: 'authorization required', field: null }] });
    const own = answers.shift();
    if (own) return own(response, request);
    if (request.url === '/v3/scopes') return json(response, 200, { scopes: ['mail.send', 'alerts.read'] });
    if (request.url?.startsWith('/v3/whitelabel/domains'))
      return json(response, 200, [{ id: 1, domain: 'lotus.example', subdomain: 'em1', valid: true }]);
    if (request.url?.startsWith('/v3/verified_senders'))
      return json(response, 200, {
        results: [{ id: 2, from_email: 'single@other.example', verified: true }],
      });
    if (request.url?.startsWith('/v3/messages'))
      return json(response, 403, { errors: [{ message: 'access forbidden', field: null }] });
    if (request.method !== 'POST' || request.url !== '/v3/mail/send')
      return json(response, 404, { errors: [{ message: 'not found', field: null }] });
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const faults = isMailSend(body) ? faultsOf(body) : isMailSend.errors!.map((one) => ajv.errorsText([one]));
    if (faults.length > 0 || request.headers['content-type'] !== 'application/json')
      return json(response, 400, { errors: faults.map((message) => ({ message, field: null })) });
    taken.push(body as MailSend);
    response.writeHead(202, { 'x-message-id': `Ua9z9lSTSaqYBWJe_${taken.length}` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    requests,
    answers,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
