/**
 * Text of a declared charset, by the names that the web knows (WHATWG Encoding). Where the name is none, or
 * lies, it is read as UTF-8 if it is that, else as windows-1252: every byte is a character there.
 */
export function decodeText(bytes: Uint8Array, charset: string): string {
  return (
    tryDecode(bytes, charset) ?? tryDecode(bytes, 'utf-8') ?? new TextDecoder('windows-1252').decode(bytes)
  );
}

function tryDecode(bytes: Uint8Array, charset: string): string | null {
  try {
    return new TextDecoder(charset.trim() || 'utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
