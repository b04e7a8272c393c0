/**
 * The words by which a client stops, resumes or asks about text messages. Each list is the union of what is
 * required or usual, so that no carrier counts a client as opted out whom we still count in.
 *
 * - Twilio's defaults: STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT
 *   (https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out); ARRET ARRETE ARRETT in French
 *   (https://www.twilio.com/docs/proxy/opt-out-keywords).
 * - AWS's required list adds OPT-OUT, REMOVE and TD
 *   (https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html). It does not say what TD
 *   stands for; alone in a message it means nothing else that a client would write, so it costs nothing.
 * - Telnyx adds STOP ALL in two words; the FCC's list (47 CFR 64.1200(a)(10)) names OPT OUT so.
 *
 * All of them count in every language: none of these words means something else in another, alone in a message.
 */
const optOutWords =
  'STOP,STOPALL,STOP ALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,OPTOUT,OPT OUT,REMOVE,TD,ARRET,ARRETE,ARRETT';
const optInWords = 'START,UNSTOP';
const helpWords = 'HELP,INFO';

export type Keyword = 'opt_out' | 'opt_in' | 'help';

const keywords = new Map<string, Keyword>([
  ...optOutWords.split(',').map((word) => [word, 'opt_out'] as const),
  ...optInWords.split(',').map((word) => [word, 'opt_in'] as const),
  ...helpWords.split(',').map((word) => [word, 'help'] as const),
]);

/** More than the longest keyword takes, even in letters of two code units with an accent each. */
const mostChars = 64;

const letterOrDigit = /[\p{L}\p{N}]/u;

/**
 * The keyword that a message is, or null. The message must be the keyword and nothing else, as with the
 * carriers: "don't stop" and "please cancel my 3 pm" are for the staff to read.
 *
 * Case, accents, the width of letters, what is invisible, and whatever surrounds the word that is neither letter
 * nor digit are of no account: `"Stop!"`, `STOP.`, `Arrêt`, `STOP 🛑`. The FCC has a revocation honoured by any reasonable
 * means, and nobody who types a full stop means to go on receiving. Twilio itself misses these, so the client
 * would still get messages if we did too. A question mark is the exception for opt_in: "Start?" asks.
 *
 * `yesOptsIn`: YES is on Twilio's opt-in list, but it is also how clients confirm an appointment, so it counts
 * only where the caller knows that consent was asked for. (On toll-free numbers it never does.)
 */
export function readKeyword(content: string, options: { yesOptsIn?: boolean } = {}): Keyword | null {
  const { word, asks } = bare(content);
  // Unicode is folded only now that the text is known to be short.
  const folded = word
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]/gu, '')
    .replace(/[\s\p{Pd}]+/gu, ' ')
    .toUpperCase();
  const keyword = options.yesOptsIn && folded === 'YES' ? 'opt_in' : (keywords.get(folded) ?? null);
  return keyword === 'opt_in' && asks ? null : keyword;
}

/**
 * The text from its first to its last letter or digit, empty when that is too long for a keyword. Two loops
 * and not a regular expression: `\P{L}+$` takes time with the square of a long run of spaces inside the text.
 */
function bare(content: string): { word: string; asks: boolean } {
  let start = 0;
  while (start < content.length && !letterOrDigit.test(characterAt(content, start))) start++;
  let end = content.length;
  while (end > start && !letterOrDigit.test(characterAt(content, end - 1))) end--;
  if (end - start > mostChars) return { word: '', asks: false };
  return { word: content.slice(start, end), asks: /[?？؟]/.test(content.slice(end)) };
}

/** The whole character of which the code unit at `index` is a part. */
function characterAt(content: string, index: number): string {
  const isLow = (content.charCodeAt(index) & 0xfc00) === 0xdc00;
  const from = isLow && index > 0 ? index - 1 : index;
  return String.fromCodePoint(content.codePointAt(from)!);
}

/**
 * Keywords that a carrier answers by itself: a second answer of ours would cost, confuse, and after
 * an opt-out be refused (Twilio answers STOP, START and HELP, see
 * https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out). The simulator confirms opt-outs
 * as carriers do, and leaves HELP to us.
 */
const carriersAnswer: Record<string, readonly Keyword[]> = {
  twilio: ['opt_out', 'opt_in', 'help'],
  simulator: ['opt_out', 'opt_in'],
};

export function answeredByCarrier(provider: string | null, keyword: Keyword): boolean {
  // No confirmation of an opt-out is ever sent to a carrier that we do not know.
  return carriersAnswer[provider ?? '']?.includes(keyword) ?? keyword !== 'help';
}
