import type { Log } from '../core/log.ts';

/** Tells which of the credentials that hold streams open have ended: revoked, expired, or their staff member gone. */
export interface CredentialWatch {
  /** Looks from now on, until the last stream is gone. */
  begin(): void;
  close(): void;
}

/**
 * Asks for all of them together, in one statement: so often that who is shut out reads no more within a second,
 * whichever process shut them out.
 *
 * @param look asks and acts upon the answer; resolves to whether there is anything left to watch
 * @param doubt is called with true where nobody can say what holds, and with false once somebody can again
 */
export function watchCredentials(options: {
  everyMs: number;
  look(): Promise<boolean>;
  doubt(doubted: boolean): void;
  log: Log;
}): CredentialWatch {
  const { everyMs, look, doubt, log } = options;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let doubted = false;

  function setDoubted(now: boolean, error?: unknown): void {
    if (doubted === now) return;
    doubted = now;
    if (now) log.warn({ err: error }, 'the credentials of streams could not be checked; the streams wait');
    doubt(now);
  }

  async function again(): Promise<void> {
    let goOn = true;
    try {
      goOn = await look();
      setDoubted(false);
    } catch (error) {
      if (!closed) setDoubted(true, error);
    }
    timer = goOn && !closed ? setTimeout(again, everyMs).unref() : undefined;
  }

  return {
    begin() {
      if (!closed) timer ??= setTimeout(again, everyMs).unref();
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
