/** A mail of a conversation, as far as threading looks at it. */
export interface ThreadMail {
  mailId: string;
  subject: string | null;
  inbound: boolean;
}

/**
 * What `Re:` and `Fwd:` (AW, SV, …) stand before. Cut without a pattern that could look at the same text twice:
 * subjects are other people's.
 */
export function baseSubject(subject: string | null): string {
  let text = (subject ?? '').slice(0, 998).replaceAll(/\s+/g, ' ').trim();
  for (;;) {
    const shorter = text.replace(/^(?:re|fwd?|aw|wg|sv|vs|antw|tr)(?:\[\d{1,3}\])?:/i, '').trim();
    if (shorter === text) return text.toLowerCase();
    text = shorter;
  }
}

/** Only what is safe in a header and could be a Message-ID: theirs were written by anybody. */
const sound = /^[\x21-\x3b\x3d\x3f-\x7e]{3,250}$/;

/**
 * Whose answer a mail is (RFC 5322, 3.6.4): of the client's last mail under its subject. A mail under another
 * subject, such as a reminder, begins a thread of its own; the client's programs would hide it in an old one.
 *
 * @param earlier the conversation's latest mails, the oldest first
 */
export function threadOf(
  subject: string | null,
  earlier: readonly ThreadMail[],
): { inReplyTo: string | null; references: string[] } {
  const base = baseSubject(subject);
  const thread = earlier.filter((mail) => sound.test(mail.mailId) && baseSubject(mail.subject) === base);
  const parent = thread.findLastIndex((mail) => mail.inbound);
  if (parent < 0) return { inReplyTo: null, references: [] };
  return {
    inReplyTo: thread[parent]!.mailId,
    references: thread.slice(0, parent + 1).map((mail) => mail.mailId),
  };
}
