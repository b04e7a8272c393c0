import type { ErrorCode, Problem } from './operations.ts';

/** Codes of {@link OmegaError}: the server's, and three of the way there; `aborted` is the caller's own doing. */
export type ClientErrorCode = ErrorCode | 'network' | 'timeout' | 'aborted';

/**
 * What went wrong, as a value. `code` says what kind (`invalid_parameters`, `no_sender`, `network`, …),
 * `errors` every field that is wrong, `requestId` what to quote to whoever runs the server.
 */
export class OmegaError extends Error {
  readonly code: ClientErrorCode;
  /** Null where no answer came. */
  readonly status: number | null;
  readonly requestId: string;
  readonly errors: readonly { path: string; message: string; code: string }[];
  /** The answer as it came; more than this class names may be in it. */
  readonly problem: Problem | null;
  /** Milliseconds that the server asks to wait. */
  readonly retryAfterMs: number | null;

  constructor(
    code: ClientErrorCode,
    message: string,
    more: {
      status?: number;
      requestId: string;
      problem?: Problem;
      retryAfterMs?: number | null;
      cause?: unknown;
    },
  ) {
    super(message, { cause: more.cause });
    this.name = 'OmegaError';
    this.code = code;
    this.status = more.status ?? null;
    this.requestId = more.requestId;
    this.errors = more.problem?.errors ?? [];
    this.problem = more.problem ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

/** The data of a result. @throws its error */
export function unwrap<Data>(result: { data: Data; error: null } | { data: null; error: OmegaError }): Data {
  if (result.error) throw result.error;
  return result.data as Data;
}
