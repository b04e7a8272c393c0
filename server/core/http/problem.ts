import type { FastifyError } from 'fastify';
import { type ErrorCode, errorCodes, type FaultCode, type Problem } from '../../../contract/index.ts';
import { Overloaded } from '../batcher.ts';
import { faultOfDatabaseError } from '../db/index.ts';
import { Fault, type FieldFault } from '../fault.ts';

/** Any error as the one that the caller sees. What is unexpected becomes `internal`, without its text. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof Overloaded) {
    return new Fault('unavailable', 'Too much waits to be written. Repeat in a moment.', {
      retryAfterS: error.retryAfterS,
    });
  }
  const fastify = error as FastifyError & { validation?: AjvError[] };
  if (fastify?.validation) return faultOfValidation(fastify.validation);
  switch (fastify?.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Fault('unsupported_media_type', 'Send the body as application/json.');
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
    case 'FST_REQ_FILE_TOO_LARGE':
      return new Fault('body_too_large', 'The body is larger than this operation takes.');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new Fault('invalid_json', 'The body is empty. Send a JSON object.');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Fault('invalid_json', 'The body is not valid JSON.');
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Fault('not_found', 'There is nothing at this path.');
  }
  if (fastify?.statusCode === 400) return new Fault('invalid_json', 'The body is not valid JSON.');
  if (fastify?.statusCode === 413)
    return new Fault('body_too_large', 'The body is larger than this operation takes.');
  return (
    faultOfDatabaseError(error) ??
    new Fault(
      'internal',
      'Something of ours went wrong. It is logged under this request_id; repeating is safe.',
      { cause: error },
    )
  );
}

export function problemOf(fault: Fault, requestId: string): Problem {
  return {
    type: `urn:omega:error:${fault.code}`,
    title: errorCodes[fault.code].title,
    status: fault.status,
    detail: fault.message,
    code: fault.code,
    request_id: requestId,
    ...(fault.errors && { errors: fault.errors }),
    ...fault.members,
  };
}

interface AjvError {
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
  message?: string;
}

/** Keywords that only say that one of their parts failed; the parts are in the list themselves. */
const wrappers = new Set(['anyOf', 'oneOf', 'allOf', 'if', 'propertyNames']);

function faultOfValidation(errors: AjvError[]): Fault {
  const seen = new Set<string>();
  const faults: FieldFault[] = [];
  const parts = withoutNull(errors.filter((error) => !wrappers.has(error.keyword)));
  for (const error of parts.length > 0 ? parts : errors) {
    const fault = fieldFault(error);
    const key = `${fault.path} ${fault.message}`;
    if (seen.has(key)) continue;
    seen.add(key);
    faults.push(fault);
    // A body of a million faults needs no answer of a million lines.
    if (faults.length === 100) break;
  }
  const code: ErrorCode = faults.every((fault) => fault.code === 'unknown_field')
    ? 'unknown_field'
    : 'invalid_parameters';
  const [first] = faults;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new Fault(
    code,
    first ? `${first.path || 'body'}: ${first.message}${more}` : 'A parameter is wrong.',
    { errors: faults },
  );
}

/** A field that may be null has two rules, of which one broken is enough to break both: one fault tells of them. */
function withoutNull(errors: AjvError[]): AjvError[] {
  const isNull = ({ keyword, params }: AjvError) => keyword === 'type' && params.type === 'null';
  const nullable = new Set(errors.filter(isNull).map(({ instancePath }) => instancePath));
  if (nullable.size === 0) return errors;
  return errors
    .filter((error) => !isNull(error))
    .map((error) =>
      error.keyword === 'type' && nullable.has(error.instancePath)
        ? { ...error, params: { type: [error.params.type, 'null'].flat() } }
        : error,
    );
}

/** What a format asks for, where its name does not say it. */
const formats: Record<string, string> = {
  'date-time':
    'must be a time of RFC 3339 (2026-03-10T15:00:00Z) between the years 1900 and 9999, without a leap second',
};

function fieldFault(error: AjvError): FieldFault {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer);
  const at = (name?: unknown) => [...path, ...(name === undefined ? [] : [String(name)])].join('.');
  const { params } = error;
  const is = (code: FaultCode, message: string): FieldFault => ({ path: at(), message, code });
  switch (error.keyword) {
    case 'required':
      return { path: at(params.missingProperty), message: 'is required', code: 'required' };
    case 'additionalProperties':
      return {
        path: at(params.additionalProperty),
        message: 'is not a field of this operation',
        code: 'unknown_field',
      };
    case 'type':
      return is('invalid_type', `must be ${[params.type].flat().join(' or ')}`);
    case 'enum':
      return is('invalid_value', `must be one of: ${(params.allowedValues as unknown[]).join(', ')}`);
    case 'const':
      return is('invalid_value', `must be ${JSON.stringify(params.allowedValue)}`);
    case 'format':
      return is('invalid_format', formats[String(params.format)] ?? `must be a valid ${params.format}`);
    case 'pattern':
      return is('invalid_format', `must match ${params.pattern}`);
    case 'minLength':
      return is(
        'too_short',
        params.limit === 1 ? 'must not be empty' : `must have ${params.limit} characters or more`,
      );
    case 'maxLength':
      return is('too_long', `must have ${params.limit} characters or fewer`);
    case 'minimum':
    case 'exclusiveMinimum':
      return is('too_small', `must be ${params.comparison ?? '>='} ${params.limit}`);
    case 'maximum':
    case 'exclusiveMaximum':
      return is('too_large', `must be ${params.comparison ?? '<='} ${params.limit}`);
    case 'minItems':
    case 'minProperties':
      return is('too_few', `must have ${params.limit} or more`);
    case 'maxItems':
    case 'maxProperties':
      return is('too_many', `must have ${params.limit} or fewer`);
    default:
      return is('invalid_value', error.message ?? 'is not valid');
  }
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
