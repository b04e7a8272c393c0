import { invalid } from '../core/fault.ts';
import type { Caller } from '../core/http/index.ts';

/** Whose words they are: a session writes as its own staff member, a key as whom it names. */
export function authorOf(caller: Caller, named: number | undefined): number | null {
  if (caller.staffId === null) return named ?? null;
  if (named !== undefined && named !== caller.staffId) {
    throw invalid('sent_by', 'a session writes as its own staff member; leave it out');
  }
  return caller.staffId;
}
