/**
 * How many parts a text message is sent (and charged) as.
 *
 * Our own, though Twilio publishes `sms-segments-calculator`: release 1.3.0 takes time with the square of
 * the length (54 ms for 1,600 characters of plain text, 32 s for 100,000, measured on Node 24) and this
 * runs for every message on the thread that answers requests. The tests hold this file to that library's table.
 */

/** GSM 7-bit default alphabet, 3GPP TS 23.038, 6.2.1, in the order of its codes, without ESC. */
const basic =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';

/** Its extension, 6.2.1.1: ESC and one more septet, two in all. */
const extension = '\f^{}\\[~]|€';

/**
 * Septets by UTF-16 code unit, 0 where GSM-7 has no such character. National tables (6.2.1.2) are left out:
 * the carriers' APIs do not choose them, they send UCS-2.
 */
const septetsOf = new Uint8Array(0x10000);
for (const character of basic) septetsOf[character.charCodeAt(0)] = 1;
for (const character of extension) septetsOf[character.charCodeAt(0)] = 2;

/**
 * What fits in a message that stands alone, and in one part of several. Both are 140 octets; a part gives six
 * of them to the header that joins the parts again (3GPP TS 23.040, 9.2.3.24.1, 8-bit reference).
 */
const sizes = { 'GSM-7': { alone: 160, part: 153 }, 'UCS-2': { alone: 70, part: 67 } };

const mostOffending = 100;

export interface SegmentCount {
  encoding: 'GSM-7' | 'UCS-2';
  /** 1 or more; an empty text is sent as one (a picture without words). */
  segments: number;
  /** Septets (an extension character counts 2) or UTF-16 code units, without headers. */
  units: number;
  /**
   * The characters for which the whole message must be UCS-2: each once, at the index (in UTF-16 code units)
   * where it first stands, 100 at most. Empty exactly for GSM-7.
   */
  offending: { character: string; index: number }[];
}

/**
 * Counts in time linear in the length (0.1 to 0.35 s for 10 million characters), so it needs no limit of its own.
 *
 * What takes two units, an extension character or a surrogate pair, is never split between two parts. Twilio's
 * calculator keeps whole graphemes together too, which no standard asks for: a long text of joined emoji can
 * be a part more there. What a message was charged as, the carrier says after sending.
 */
export function countSegments(content: string): SegmentCount {
  const offending = findOffending(content);
  const encoding = offending.length === 0 ? 'GSM-7' : 'UCS-2';
  return { encoding, ...split(content, encoding), offending };
}

function findOffending(content: string): SegmentCount['offending'] {
  const found = new Map<string, number>();
  for (let index = 0; index < content.length && found.size < mostOffending; index++) {
    if (septetsOf[content.charCodeAt(index)] !== 0) continue;
    const character = isPair(content, index) ? content.slice(index, index + 2) : content.charAt(index);
    if (!found.has(character)) found.set(character, index);
    index += character.length - 1;
  }
  return Array.from(found, ([character, index]) => ({ character, index }));
}

function split(content: string, encoding: SegmentCount['encoding']): { segments: number; units: number } {
  const { alone, part } = sizes[encoding];
  let units = 0;
  let parts = 1;
  let used = 0;
  for (let index = 0; index < content.length; index++) {
    let cost = 1;
    if (encoding === 'GSM-7') {
      cost = septetsOf[content.charCodeAt(index)]!;
    } else if (isPair(content, index)) {
      cost = 2;
      index++;
    }
    units += cost;
    used += cost;
    if (used > part) {
      parts++;
      used = cost;
    }
  }
  return { segments: units <= alone ? 1 : parts, units };
}

/** A high surrogate with its low one; either alone is one unit, and reaches the phone as rubbish. */
function isPair(content: string, index: number): boolean {
  return (
    (content.charCodeAt(index) & 0xfc00) === 0xd800 && (content.charCodeAt(index + 1) & 0xfc00) === 0xdc00
  );
}
