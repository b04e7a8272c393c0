import { createContext, Script } from 'node:vm';
import EmailReplyParser from 'email-reply-parser';

/** A reply stands at the top; what is beyond is quoted. */
const longestRead = 100_000;
/** The library's patterns take cubic time on what is made for them; nothing else waits longer than this. */
const mostMs = 100;

const context = createContext({ read: readReply });
const script = new Script('read(text)');

/**
 * What the sender wrote now, without the quoted tail and the signature; null where that is all of it, or where
 * it cannot be told: then the whole is shown.
 */
export function replyOf(text: string): string | null {
  if (text === '' || text.length > longestRead) return null;
  let reply: string;
  try {
    context.text = text;
    // The time-out ends a regular expression too, which nothing else in a process can.
    reply = script.runInContext(context, { timeout: mostMs });
  } catch {
    return null;
  }
  return reply === '' || reply === text.trim() ? null : reply;
}

function readReply(text: string): string {
  return new EmailReplyParser().parseReply(text).trim();
}
