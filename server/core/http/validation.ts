import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import fastJson from 'fast-json-stringify';
import { Fault, type FieldFault } from '../fault.ts';

/** The library's own takes `urn:uuid:…` too, which Postgres does not. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * RFC 3339, as far as JavaScript and Postgres can keep it: no leap second (23:59:60, which a Date does not
 * know), and in UTC within the years 1900 to 9999: later ones have more digits, what Postgres writes as
 * 0050-02-03 00:00:00+00 PGlite reads as 1950, and no message of ours is older than that.
 */
function isTime(text: string): boolean {
  const rfc3339 = addFormats.default.get('date-time') as { validate(text: string): boolean };
  const year = new Date(text).getUTCFullYear();
  return rfc3339.validate(text) && year >= 1900 && year <= 9999;
}

const common = {
  allErrors: true,
  removeAdditional: false,
  useDefaults: true,
  strict: false,
  validateFormats: true,
} as const;
// A body's types are the caller's word: "1" is no number. A URL has only text to say it with.
const bodies = new Ajv({ ...common, coerceTypes: false });
const urls = new Ajv({ ...common, coerceTypes: true });
// Answers are checked in tests as they leave: an unlisted field would be dropped without a word.
const answers = new Ajv({ ...common, useDefaults: false, coerceTypes: false });
for (const ajv of [bodies, urls, answers]) {
  addFormats.default(ajv);
  ajv.addFormat('date-time', isTime).addFormat('uuid', uuid);
}

/** What a schema became, by the schema: the contract's are the same in every server of a process. */
type Compiled<Made> = WeakMap<object, Made>;

const inputs: Record<'body' | 'url', Compiled<ValidateFunction>> = {
  body: new WeakMap(),
  url: new WeakMap(),
};
const answerChecks: Compiled<ValidateFunction> = new WeakMap();
const writers: Compiled<(answer: unknown) => string> = new WeakMap();

function once<Made>(compiled: Compiled<Made>, schema: object, make: () => Made): Made {
  const found = compiled.get(schema);
  if (found) return found;
  const made = make();
  compiled.set(schema, made);
  return made;
}

/** Says whether a value is as it must be, and if not, then in `errors` why. */
export interface Check {
  (value: unknown): boolean;
  errors?: ValidateFunction['errors'];
}

/**
 * Compiles at the first use: all operations' at once are most of a second of each start, and the first answers
 * need few of them.
 */
function compiledLate(compile: () => ValidateFunction): Check {
  const check: Check = (value) => {
    const validate = compile();
    const fits = validate(value);
    check.errors = validate.errors;
    return fits;
  };
  return check;
}

export function compileInput(schema: object, part: string | undefined): Check {
  const [ajv, compiled] = part === 'body' ? [bodies, inputs.body] : [urls, inputs.url];
  return compiledLate(() => once(compiled, schema, () => ajv.compile(schema)));
}

/** Compiles the schema of an answer with every object closed. */
export function compileAnswer(schema: object): Check {
  return compiledLate(() => once(answerChecks, schema, () => answers.compile(closed(schema) as object)));
}

/** Writes an answer as JSON with what its schema lists, and nothing else. */
export function compileWriter(schema: object): (answer: unknown) => string {
  return (answer) => once(writers, schema, () => fastJson(schema))(answer);
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!schema || typeof schema !== 'object') return schema;
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(schema)) copy[name] = closed(value);
  if (copy.type === 'object' && copy.properties && !('additionalProperties' in copy))
    copy.additionalProperties = false;
  delete copy.$id;
  return copy;
}

const deepest = 32;

/**
 * Refuses what the database cannot keep as it is: NUL, lone surrogates (Postgres 22P05), and nesting
 * that no schema of ours has. Text that passes comes back equal.
 */
export function refuseUnstorable(body: unknown): void {
  const faults: FieldFault[] = [];
  const visit = (value: unknown, path: string, depth: number): void => {
    if (faults.length >= 100) return;
    if (typeof value === 'string') {
      if (value.includes('\0'))
        faults.push({ path, message: 'must not contain NUL (U+0000)', code: 'invalid_character' });
      else if (!value.isWellFormed())
        faults.push({ path, message: 'must not contain half a surrogate pair', code: 'invalid_character' });
      return;
    }
    if (!value || typeof value !== 'object') return;
    if (depth > deepest) {
      faults.push({ path, message: `must not nest deeper than ${deepest}`, code: 'invalid_value' });
      return;
    }
    for (const [name, part] of Object.entries(value)) {
      const at = path ? `${path}.${name}` : name;
      if (name.includes('\0') || !name.isWellFormed()) {
        faults.push({ path, message: 'has a field whose name is not valid text', code: 'invalid_character' });
        continue;
      }
      visit(part, at, depth + 1);
    }
  };
  visit(body, '', 0);
  if (faults.length === 0) return;
  throw new Fault('invalid_parameters', `${faults[0]!.path || 'body'}: ${faults[0]!.message}`, {
    errors: faults,
  });
}
