import type { FastifyReply } from 'fastify';
import { type Db, inTransaction } from '../../core/db/index.ts';
import { Fault } from '../../core/fault.ts';
import { answer, type Binding, own } from '../../core/http/index.ts';
import type { Secrets } from '../../core/secrets.ts';
import { unsubscribe } from '../../messages/index.ts';
import { readUnsubscribeToken } from './unsubscribe-link.ts';

/**
 * The button "Unsubscribe" (RFC 8058). Any POST is the reader's will, whatever its body: it comes from a mail
 * program's button or from our page's. A GET is nobody's: programs open links to look what is behind.
 */
export function unsubscribeRoutes({ db, secrets }: { db: Db; secrets: Secrets }): Binding[] {
  return [
    own('showUnsubscribe', async ({ params, reply }) => {
      const named = readUnsubscribeToken(params.unsubscribe_token, secrets);
      return answer(200, page(reply, named ? await askedOf(db, named.businessId) : incomplete));
    }),

    own('unsubscribe', async ({ params, reply, now }) => {
      const named = readUnsubscribeToken(params.unsubscribe_token, secrets);
      if (!named)
        throw new Fault('invalid_signature', 'This link is not complete. Open it again from the mail.');
      await inTransaction(db, (tx) => unsubscribe(tx, now, named, secrets));
      return answer(200, page(reply, done(await nameOf(db, named.businessId))));
    }),
  ];
}

async function nameOf(db: Db, businessId: number): Promise<string> {
  const row = await db
    .selectFrom('businesses')
    .select('name')
    .where('business_id', '=', businessId)
    .executeTakeFirst();
  return escaped(row?.name ?? '');
}

async function askedOf(db: Db, businessId: number): Promise<string> {
  const name = await nameOf(db, businessId);
  return `<h1>Unsubscribe?</h1>
<p>You will get no more news and offers by email from <b>${name}</b>. Messages about your appointments still come.</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Unsubscribe</button></form>`;
}

const done = (name: string) => `<h1>You are unsubscribed</h1>
<p>You will get no more news and offers by email from <b>${name}</b>. You can close this page.</p>`;

const incomplete = `<h1>This link is not complete</h1>
<p>Open it again from the mail, or answer the mail and ask to be taken off the list.</p>`;

/** Nothing is loaded, framed or indexed, and no other site learns the link. */
function page(reply: FastifyReply, body: string): Uint8Array {
  reply.headers({
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy':
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Robots-Tag': 'noindex',
  });
  return Buffer.from(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Unsubscribe</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}
button{font:inherit;padding:.5rem 1rem}</style></head>
<body>${body}</body></html>`);
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
