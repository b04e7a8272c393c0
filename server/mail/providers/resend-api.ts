import { request } from 'undici';
import { publicDispatcher } from '../../core/public-address.ts';
import { fieldsOf, textOf } from '../fields.ts';

const deadlineMs = 10_000;
const mostAnswerBytes = 5 * 1024 * 1024;
const mostMailBytes = 45 * 1024 * 1024;
/** The URL is Resend's to name, and leads to nothing inside. */
const publicOnly = publicDispatcher(5_000);

/**
 * A received mail's bytes (https://resend.com/docs/api-reference/emails/retrieve-received-email): the API names a
 * signed URL of the whole mail, which gets no credentials. Null where Resend has it no more.
 *
 * @throws where Resend does not answer: the receipt is kept, and tried again
 */
export async function fetchReceivedMail(
  id: string,
  { apiKey, baseUrl = 'https://api.resend.com' }: { apiKey: string; baseUrl?: string },
): Promise<Buffer | null> {
  const signal = AbortSignal.timeout(deadlineMs);
  const url = `${baseUrl.replace(/\/+$/, '')}/emails/receiving/${encodeURIComponent(id)}`;
  const answer = await fetch(url, {
    headers: { authorization: `Bearer ${apiKey}` },
    redirect: 'error',
    signal,
  });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`Resend answered ${answer.status} when asked for the mail.`);
  const told = fieldsOf(
    JSON.parse((await bytesOf(answer.body ?? nothing(), mostAnswerBytes)).toString('utf8')),
  );
  const download = URL.parse(textOf(fieldsOf(told.raw).download_url) ?? '');
  // A mock has the mail itself, over plain http.
  const isItsOwn = download !== null && download.origin === URL.parse(baseUrl)?.origin;
  if (!download || !(isItsOwn || download.protocol === 'https:'))
    throw new Error('Resend named no URL of the whole mail.');
  const mail = await request(download, { signal, ...(!isItsOwn && { dispatcher: publicOnly }) });
  if (mail.statusCode !== 200) {
    await mail.body.dump();
    throw new Error(`The mail's own URL answered ${mail.statusCode}.`);
  }
  return bytesOf(mail.body, mostMailBytes);
}

async function bytesOf(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > most) throw new Error(`The answer is larger than ${most} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* nothing(): AsyncIterable<Uint8Array> {}
