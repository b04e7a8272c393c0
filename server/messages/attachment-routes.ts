import { contentDisposition } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { answer, type Binding, type OwnCall, own, read } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { hasAttachment, readAttachment } from './mail-content.ts';

/** Long enough for a page to load its pictures, too short to be passed on. */
const linkLastsMs = 600_000;
const purpose = 'attachment link';

/** What a link names; it is signed, so nobody can name anything else. */
type Named = [businessId: number, messageId: string, attachmentId: string, expiresAt: number];

/** Files of messages, mails' and pictures alike: for callers with a key, and by links that expire. */
export function attachmentRoutes(options: {
  db: Db;
  clock: Clock;
  secrets: Secrets;
  /** Where browsers reach the API: the public URL with the base path. */
  apiUrl: string;
}): Binding[] {
  const { db, clock, secrets, apiUrl } = options;
  return [
    own('downloadAttachment', async ({ businessId, params, reply }) => {
      const { message_id, attachment_id } = params;
      return download(reply, await readAttachment(db, businessId, message_id, attachment_id));
    }),

    read('getAttachmentLink', async (reader, { businessId, params }) => {
      const { message_id, attachment_id } = params;
      if (!(await hasAttachment(reader, businessId, message_id, attachment_id))) throw notFound('attachment');
      const expiresAt = clock.now() + linkLastsMs;
      const named: Named = [businessId, message_id, attachment_id, expiresAt];
      const text = Buffer.from(JSON.stringify(named)).toString('base64url');
      return answer(200, {
        url: `${apiUrl}/attachments/${text}.${secrets.sign(purpose, text)}`,
        expires_at: new Date(expiresAt).toISOString(),
      });
    }),

    own('downloadLinkedAttachment', async ({ params, reply }) => {
      const [text = '', signature = ''] = params.link.split('.');
      if (!secrets.isSigned(purpose, text, signature)) throw notFound('attachment');
      const named: Named = JSON.parse(Buffer.from(text, 'base64url').toString());
      const [businessId, messageId, attachmentId, expiresAt] = named;
      if (expiresAt <= clock.now()) throw notFound('attachment', 'Its link has expired; get a new one.');
      reply.header('Cache-Control', 'private, no-store');
      return download(reply, await readAttachment(db, businessId, messageId, attachmentId));
    }),
  ];
}

function download(
  reply: OwnCall<'downloadAttachment'>['reply'],
  file: { filename: string; content: Buffer } | null,
) {
  if (!file) throw notFound('attachment');
  // Three locks on a file that may be a page with a script: never shown, never typed, never run.
  reply.headers({
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': contentDisposition(file.filename),
    'Content-Security-Policy': "default-src 'none'; sandbox",
  });
  return answer(200, file.content);
}
