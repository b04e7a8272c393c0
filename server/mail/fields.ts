/** Careful reading of what a provider posts: a field that is not what its documentation says is not there. */
export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Longer texts are cut: an explanation of a megabyte is none. */
const longestText = 2_000;

export function textOf(value: unknown): string | null {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, longestText) : null;
}

/** RFC 3339 of a date that a provider wrote, or of Unix seconds; null where it is none that can be. */
export function timeOf(value: unknown): string | null {
  const seconds =
    typeof value === 'number' ? value : /^\d{9,11}(?:\.\d+)?$/.test(String(value)) ? Number(value) : null;
  const date =
    seconds !== null ? new Date(seconds * 1000) : typeof value === 'string' ? new Date(value) : null;
  if (date === null || Number.isNaN(date.getTime())) return null;
  const year = date.getUTCFullYear();
  return year >= 2000 && year <= 9999 ? date.toISOString() : null;
}

/** Deep enough for every provider's; what is deeper is made to exhaust the stack. */
export function parseJson(body: Buffer): { ok: true; value: unknown } | { ok: false; why: string } {
  try {
    // Bytes that are no UTF-8 become U+FFFD: the rest of what is told still counts.
    return { ok: true, value: JSON.parse(body.toString('utf8')) };
  } catch (error) {
    return { ok: false, why: `It is no JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Metadata as providers bring it back: an object of texts, of lists of texts (SES), or a list of pairs (Resend). */
export function metadataOf(value: unknown, name: string): string | null {
  if (Array.isArray(value)) {
    const pair = value.map(fieldsOf).find((one) => one.name === name);
    return textOf(pair?.value);
  }
  const found = fieldsOf(value)[name];
  return textOf(Array.isArray(found) ? found[0] : found);
}

const enhanced = /\b([245]\.\d{1,3}\.\d{1,3})\b/;

/** An enhanced status code (RFC 3463) in a server's answer: it says more exactly what failed than any provider's word. */
export function enhancedCode(...texts: (string | null)[]): string | null {
  for (const text of texts) {
    const code = text === null ? null : (enhanced.exec(text)?.[1] ?? null);
    if (code !== null && code[0] !== '2') return code;
  }
  return null;
}
