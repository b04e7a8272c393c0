import { type ErrorCode, errorCodes, type FaultCode, type Problem } from '../../contract/index.ts';

export interface FieldFault {
  /** The field, with dots: `senders.0.address`. */
  path: string;
  message: string;
  code: FaultCode;
}

/**
 * The one error that a caller sees. `detail` is public; what must stay inside goes to `cause`,
 * which is logged and never answered.
 */
export class Fault extends Error {
  readonly code: ErrorCode;
  readonly errors: FieldFault[] | undefined;
  readonly retryAfterS: number | undefined;
  /** What the problem tells beside its usual members. */
  readonly members: Pick<Problem, 'missed' | 'checks'> | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    more: {
      errors?: FieldFault[];
      retryAfterS?: number;
      cause?: unknown;
      members?: Pick<Problem, 'missed' | 'checks'>;
    } = {},
  ) {
    super(detail, { cause: more.cause });
    this.name = 'Fault';
    this.code = code;
    this.errors = more.errors;
    this.retryAfterS = more.retryAfterS;
    this.members = more.members;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }
}

/** A 422 about one field. */
export function invalid(path: string, message: string, code: FaultCode = 'invalid_value'): Fault {
  return invalidFields([{ path, message, code }]);
}

/** A 422 with every fault at once; there must be one at least. */
export function invalidFields(errors: FieldFault[]): Fault {
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new Fault('invalid_parameters', `${errors[0]!.path}: ${errors[0]!.message}${more}`, { errors });
}

/** A 404 about one thing. The text never tells whether it exists elsewhere. */
export function notFound(what: string, remedy = ''): Fault {
  return new Fault('not_found', `There is no such ${what} here.${remedy && ` ${remedy}`}`);
}
