import { Busboy, type BusboyConfig } from '@fastify/busboy';
import type { RawWebhook } from '../core/http/index.ts';
import { decodeText } from './inbound/charset.ts';

/** One part of a form; what is a file has a file's name. */
export interface FormPart {
  name: string;
  filename: string | null;
  contentType: string;
  content: Buffer;
}

export interface Form {
  parts: readonly FormPart[];
  /** A field's text; null where there is none of the name. @param charset UTF-8 unless told */
  text(name: string, charset?: string): string | null;
}

/** Providers post some thirty fields and a mail's files. */
const limits = { files: 200, fields: 200, parts: 400, headerPairs: 100, fieldNameSize: 256 };
const mostFieldBytes = 50 * 1024 * 1024;

/**
 * Reads what was posted as a form, every part as the bytes it is: a field may be in any charset.
 *
 * @returns null where it is no form, or has more parts than any provider sends
 */
export async function readForm({ headers, body }: RawWebhook): Promise<Form | null> {
  const type = (headers['content-type'] ?? '').trim();
  const [, kind] = /^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i.exec(type) ?? [];
  if (kind === undefined) return null;
  // A charset of the whole form would be applied to fields that hold a mail as it came.
  const declared = /^multipart/i.test(kind) ? type : kind;
  const parts: FormPart[] = [];
  const whole = await new Promise<boolean>((resolve) => {
    let isWhole = true;
    const cut = () => {
      isWhole = false;
    };
    let busboy: InstanceType<typeof Busboy>;
    try {
      busboy = new Busboy({
        headers: { 'content-type': declared },
        defCharset: 'latin1',
        limits: { ...limits, fieldSize: mostFieldBytes },
        isPartAFile: () => true,
      } as unknown as BusboyConfig);
    } catch {
      resolve(false);
      return;
    }
    busboy.on('file', (name, stream, filename, _encoding, contentType) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', cut);
      stream.on('end', () =>
        parts.push({
          name: String(name),
          filename: filename === undefined || filename === '' ? null : String(filename),
          contentType: String(contentType),
          content: Buffer.concat(chunks),
        }),
      );
    });
    busboy.on('field', (name, value) => {
      parts.push({ name, filename: null, contentType: 'text/plain', content: Buffer.from(value, 'latin1') });
    });
    for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) busboy.on(limit, cut);
    busboy.on('error', () => resolve(false));
    busboy.on('finish', () => resolve(isWhole));
    busboy.end(body);
  });
  if (!whole) return null;
  return {
    parts,
    text(name, charset = 'utf-8') {
      const part = parts.find((one) => one.name === name);
      return part ? decodeText(part.content, charset) : null;
    },
  };
}
