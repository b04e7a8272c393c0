import { createHash } from 'node:crypto';
import type { FieldFault } from '../../core/fault.ts';
import { newId } from '../../core/ids.ts';
import { headerFault } from './headers.ts';

/** 25 MB in all, decoded: what large mail providers take (Gmail, SES, SendGrid count about so). */
export const mostAttachmentBytes = 25 * 1024 * 1024;
const mostFilenameBytes = 255;

/** A file of a mail, with its bytes. */
export interface Attachment {
  attachmentId: string;
  filename: string;
  contentType: string;
  /** Bytes. */
  size: number;
  /** Of the bytes, in hex. */
  sha256: string;
  content: Buffer;
  /** Of an image that the HTML shows as `cid:…`. */
  contentId?: string;
}

/** Reads files as callers send them. Every fault at once, each naming its field. */
export function readAttachments(
  given: readonly { filename: string; content_type: string; content: string }[],
): { attachments: Attachment[]; faults: FieldFault[] } {
  const attachments: Attachment[] = [];
  const faults: FieldFault[] = [];
  let total = 0;
  for (const [i, file] of given.entries()) {
    const path = `attachments.${i}`;
    const nameFault = headerFault(`${path}.filename`, file.filename);
    if (nameFault) faults.push(nameFault);
    const contentType = readContentType(file.content_type);
    if (contentType === null) {
      faults.push({
        path: `${path}.content_type`,
        message: 'must be a media type such as application/pdf, and not multipart',
        code: 'invalid_format',
      });
    }
    const content = readBase64(file.content);
    if (content === null) {
      faults.push({
        path: `${path}.content`,
        message: 'must be base64 (RFC 4648, section 4), padded and without line breaks',
        code: 'invalid_format',
      });
    }
    if (nameFault || contentType === null || content === null) continue;
    total += content.length;
    attachments.push({
      attachmentId: newId(),
      filename: safeFilename(file.filename),
      contentType,
      size: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      content,
    });
  }
  if (total > mostAttachmentBytes) {
    const mb = (total / 1024 / 1024).toFixed(1);
    faults.push({
      path: 'attachments',
      message: `have ${mb} MB in all, 25 MB at most; send a link to the larger ones`,
      code: 'too_large',
    });
  }
  return { attachments, faults };
}

/** The bytes, or null. Node's decoder skips what is not base64, so only what encodes back equal is taken. */
export function readBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,127}";
const mediaType = new RegExp(
  String.raw`^${token}/${token}(?:\s*;\s*${token}=(?:${token}|"[^"\\\p{Cc}\u2028\u2029]{0,200}"))*$`,
  'u',
);

/**
 * RFC 9110, 8.3.1, the type in lower case; null where it is none. Parameters are few (`charset`,
 * `method`); a multipart would bring its own boundaries into ours.
 */
export function readContentType(text: string): string | null {
  if (text.length > 255 || !mediaType.test(text)) return null;
  const [type = '', ...parameters] = text.split(';');
  const name = type.trim().toLowerCase();
  return name.startsWith('multipart/') ? null : [name, ...parameters.map((one) => one.trim())].join('; ');
}

/** Controls, format characters (zero-width, bidi), surrogates, line separators, fillers that show nothing. */
const invisible = /[\p{C}\u2028\u2029]|\p{Default_Ignorable_Code_Point}/gu;
const edge = /[\s.]/;
/** Device names of Windows, whatever their ending. */
const reserved = /^(?:con|prn|aux|nul|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/**
 * A name that is safe on any system's disk: no path, nothing invisible, no reserved name, 255 bytes at most
 * with its ending kept. What is invisible goes first, or it would hide the rest from the checks (FreeScout,
 * CVE-2026-28289). A safe name comes back as it is.
 */
export function safeFilename(name: string): string {
  const base = name.normalize('NFC').replaceAll(invisible, '').split(/[/\\]/).at(-1)!;
  const plain = withoutEdges(base.replaceAll(/[<>:"|?*]/g, '_')).replaceAll(/\s+/g, ' ');
  const named = plain === '' ? 'attachment' : reserved.test(plain) ? `_${plain}` : plain;
  return shortened(named);
}

/**
 * Without the blanks and dots at its ends. Loops: `[\s.]+$` takes time with the square of a long run within a name,
 * and who writes to us may name a file as they like.
 */
function withoutEdges(name: string): string {
  let start = 0;
  let end = name.length;
  while (start < end && edge.test(name[start]!)) start++;
  while (end > start && edge.test(name[end - 1]!)) end--;
  return name.slice(start, end);
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= mostFilenameBytes) return name;
  const dot = name.lastIndexOf('.');
  const ending = dot > 0 && Buffer.byteLength(name.slice(dot)) <= 32 ? name.slice(dot) : '';
  let stem = '';
  let room = mostFilenameBytes - Buffer.byteLength(ending);
  for (const character of ending ? name.slice(0, dot) : name) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    stem += character;
  }
  return withoutEdges(stem) + ending;
}
