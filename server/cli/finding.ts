/** One line of `omega doctor`. */
export interface Finding {
  level: 'ok' | 'warn' | 'fail';
  subject: string;
  text: string;
  /** What to do about it, where the text does not say it itself. */
  advice?: string;
}

export const ok = (subject: string, text: string): Finding => ({ level: 'ok', subject, text });
export const warn = (subject: string, text: string, advice?: string): Finding => ({
  level: 'warn',
  subject,
  text,
  advice,
});
export const fail = (subject: string, text: string, advice?: string): Finding => ({
  level: 'fail',
  subject,
  text,
  advice,
});
