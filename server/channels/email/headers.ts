import { readEmail } from '../../core/addresses.ts';
import type { FieldFault } from '../../core/fault.ts';

/**
 * Characters that end a header line, or that some program on the way takes for the end of one: C0, DEL
 * and C1 controls (RFC 5322, 2.2 forbids them in a header), and Unicode's line and paragraph separators.
 */
const controls = /[\p{Cc}\u2028\u2029]/u;
const runsOfControls = /[\p{Cc}\u2028\u2029]+/gu;

const control = 'must not contain line breaks or other control characters';

/** What keeps a text out of a mail's headers, or null. */
export function headerFault(path: string, value: string): FieldFault | null {
  return controls.test(value) ? { path, message: control, code: 'invalid_character' } : null;
}

/** One address for a header: `email` as it is sent, or what is wrong with it. A list is no address. */
export function readMailbox(path: string, value: string): { email: string } | { fault: FieldFault } {
  // Before anything trims it: a line break at the end is an attempt too.
  const fault = headerFault(path, value);
  if (fault) return { fault };
  const read = readEmail(value);
  return read.ok ? { email: read.email } : { fault: { path, message: read.message, code: 'invalid_format' } };
}

/** A header that somebody else's mail brought, on one line. */
export function cleanHeader(value: string): string {
  return value.replaceAll(runsOfControls, ' ').trim();
}

/** RFC 6266: saved under its name and never shown in the page, whatever the name holds. */
export function contentDisposition(filename: string): string {
  const plain = filename.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_');
  const exact = encodeURIComponent(filename.toWellFormed()).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
