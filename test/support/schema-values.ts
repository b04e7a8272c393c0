import fc from 'fast-check';

/** The part of JSON Schema that the contract's inputs are written in. */
export interface Schema {
  type?: string;
  anyOf?: Schema[];
  enum?: unknown[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  propertyNames?: Schema;
  required?: string[];
  additionalProperties?: boolean | Schema;
}

/** Any value that a schema allows. A keyword that is not known here throws: a new one must be thought of. */
export function arbitraryOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(arbitraryOf));
  if (isAnything(schema)) return fc.jsonValue({ maxDepth: 2 });
  switch (schema.type) {
    case 'null':
      return fc.constant(null);
    case 'string':
      return textOf(schema);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.oneof(
        fc.integer({
          min: schema.minimum,
          max: Math.min(schema.maximum ?? 1e9, (schema.minimum ?? 0) + 10_000),
        }),
        fc.constantFrom(schema.minimum ?? 0, schema.maximum ?? 1e9),
      );
    case 'array':
      return fc.array(arbitraryOf(schema.items!), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      });
    case 'object':
      return schema.patternProperties ? recordOf() : objectOf(schema);
    default:
      throw new Error(`How is a value of ${JSON.stringify(schema)} made?`);
  }
}

const isAnything = (schema: Schema) => Object.keys(schema).length === 0;

/** What may also be null, or is anything at all, by what it is otherwise. */
export function partOfUnion(schema: Schema): { schema: Schema; orNull: boolean; orAnything: boolean } {
  const others = (schema.anyOf ?? [schema]).filter((one) => one.type !== 'null' && !isAnything(one));
  if (others.length !== 1) throw new Error(`Which of ${JSON.stringify(schema)} is it to be?`);
  return {
    schema: others[0]!,
    orNull: (schema.anyOf ?? []).some((one) => one.type === 'null'),
    orAnything: (schema.anyOf ?? []).some(isAnything),
  };
}

function textOf(schema: Schema): fc.Arbitrary<string> {
  const { minLength = 0, maxLength = 10_000 } = schema;
  const short = Math.min(maxLength, minLength + 200);
  if (schema.format === 'uuid') return fc.uuid();
  if (schema.format === 'date-time') {
    return fc.oneof(
      fc
        .date({
          min: new Date('0100-01-02T00:00:00Z'),
          max: new Date('9999-12-30T00:00:00Z'),
          noInvalidDate: true,
        })
        .map((date) => date.toISOString()),
      fc.constantFrom('2026-03-10T15:00:00Z', '2026-03-10t15:00:00.123456789z', '2026-03-10 15:00:00-11:30'),
    );
  }
  if (schema.format === 'date') {
    return fc
      .date({ min: new Date('0100-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10));
  }
  if (schema.format === 'uri') return fc.webUrl({ withQueryParameters: true, withFragments: true });
  if (schema.format) throw new Error(`How is text of the format ${schema.format} made?`);
  if (schema.pattern)
    return fc.stringMatching(new RegExp(schema.pattern)).filter((text) => text.length <= maxLength);
  return fc.oneof(
    { arbitrary: fc.string({ minLength, maxLength: short, unit: 'grapheme' }), weight: 6 },
    // Every code point there is, control characters and NUL among them.
    { arbitrary: fc.string({ minLength, maxLength: short, unit: 'binary' }), weight: 1 },
    // What addresses look like, so that the rules behind the schema are reached too.
    {
      arbitrary: fc
        .constantFrom('+12025550123', '(202) 555-0123', 'ana@example.com', 'America/New_York')
        .filter((text) => text.length <= maxLength),
      weight: 3,
    },
  );
}

function recordOf(): fc.Arbitrary<unknown> {
  return fc.dictionary(fc.string({ maxLength: 20, unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }), {
    maxKeys: 4,
  });
}

function objectOf(schema: Schema): fc.Arbitrary<unknown> {
  const fields = Object.entries(schema.properties ?? {}).map(
    ([name, field]) => [name, arbitraryOf(field)] as const,
  );
  return fc.record(Object.fromEntries(fields), {
    requiredKeys: schema.required ?? [],
    noNullPrototype: true,
  });
}

/** One value of each schema with every optional field there, always the same. */
export function fullValueOf(union: Schema): unknown {
  const { schema } = partOfUnion(union);
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case 'boolean':
      return true;
    case 'integer':
      return schema.minimum ?? 1;
    case 'array':
      return [fullValueOf(schema.items!)];
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, field]) => [name, fullValueOf(field)]),
      );
  }
  if (schema.format === 'uuid') return '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  if (schema.format === 'date-time') return '2026-03-10T15:00:00Z';
  if (schema.format === 'date') return '2026-12-25';
  if (schema.format === 'uri') return 'https://example.com/a';
  if (schema.pattern)
    return fc
      .sample(fc.stringMatching(new RegExp(schema.pattern)), { numRuns: 20, seed: 7 })
      .find((text) => text.length <= (schema.maxLength ?? Number.POSITIVE_INFINITY));
  return 'x'.repeat(Math.max(1, schema.minLength ?? 1));
}

/** A value with one field broken: where, how, and the whole with it. */
export interface Break {
  path: string;
  how: string;
  value: unknown;
}

/** Every way to break one field of a full value: its type, and each limit of its schema. */
export function breaksOf(schema: Schema): Break[] {
  const full = fullValueOf(schema);
  return breaksAt(schema, '').map(({ path, how, value }) => ({
    path,
    how,
    value: replaced(full, path, value),
  }));
}

function breaksAt(union: Schema, path: string): Break[] {
  const { schema, orNull, orAnything } = partOfUnion(union);
  if (orAnything) return [];
  const wrong = wrongTypes(schema).filter((value) => value !== null || !orNull);
  const types = wrong.map((value) => ({ path, how: `is ${JSON.stringify(value)}`, value }));
  return [...types, ...limitsAt(schema, path)];
}

/** Every way to overstep a limit of the schema, of its own and of what is in it. */
export function limitsAt(union: Schema, path: string): Break[] {
  const { schema } = partOfUnion(union);
  const at = (how: string, value: unknown): Break => ({ path, how, value });
  const breaks: Break[] = [];
  if (schema.enum) breaks.push(at('is none of its words', 'none of these words'));
  if (schema.type === 'string' && !schema.enum) {
    if (schema.minLength) breaks.push(at('is too short', 'x'.repeat(schema.minLength - 1)));
    if (schema.maxLength !== undefined) breaks.push(at('is too long', 'x'.repeat(schema.maxLength + 1)));
    if (schema.format) breaks.push(at('is of no such format', 'no such format'));
    if (schema.pattern)
      breaks.push(at('matches not', '\u00a7'), at('goes on after a line', `${fullValueOf(schema)}\n§`));
    breaks.push(at('has NUL', 'a\0b'), at('has half a pair', 'a\ud83d'));
  }
  if (schema.minimum !== undefined) breaks.push(at('is too small', schema.minimum - 1));
  if (schema.maximum !== undefined) breaks.push(at('is too large', schema.maximum + 1));
  if (schema.type === 'integer') breaks.push(at('is broken', (schema.minimum ?? 0) + 0.5));
  if (schema.type === 'array') {
    const item = leastOf(schema.items!);
    if (schema.minItems) breaks.push(at('has too few', Array(schema.minItems - 1).fill(item)));
    if (schema.maxItems !== undefined) breaks.push(at('has too many', Array(schema.maxItems + 1).fill(item)));
    breaks.push(...breaksAt(schema.items!, `${path}.0`));
  }
  if (schema.maxProperties !== undefined) {
    const many = Array.from({ length: schema.maxProperties + 1 }, (_, i) => [`k${i}`, 1]);
    breaks.push(at('has too many fields', Object.fromEntries(many)));
  }
  if (schema.propertyNames?.maxLength !== undefined)
    breaks.push(at('has a long name', { ['k'.repeat(schema.propertyNames.maxLength + 1)]: 1 }));
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const below = path ? `${path}.${name}` : name;
    breaks.push(...breaksAt(field, below));
    if (schema.required?.includes(name)) breaks.push({ path: below, how: 'is missing', value: undefined });
  }
  if (schema.additionalProperties === false)
    breaks.push({ path: path ? `${path}.surplus` : 'surplus', how: 'is not known', value: 1 });
  return breaks;
}

function wrongTypes(schema: Schema): unknown[] {
  const others: Record<string, unknown> = {
    string: 'x',
    integer: 7,
    boolean: true,
    array: ['x'],
    object: { x: 1 },
  };
  const wrong = Object.entries(others).filter(([type]) => type !== schema.type);
  return [...wrong.map(([, value]) => value), null];
}

/** The smallest value, for lists that are too long: their size is what counts. */
function leastOf(union: Schema): unknown {
  const { schema } = partOfUnion(union);
  if (schema.type !== 'object') return fullValueOf(schema);
  return Object.fromEntries(
    (schema.required ?? []).map((name) => [name, leastOf(schema.properties![name]!)]),
  );
}

function replaced(whole: unknown, path: string, value: unknown): unknown {
  if (path === '') return value;
  const [name, ...rest] = path.split('.');
  const copy = Array.isArray(whole) ? [...whole] : { ...(whole as object) };
  const fields = copy as Record<string, unknown>;
  fields[name!] = rest.length === 0 ? value : replaced(fields[name!], rest.join('.'), value);
  return copy;
}
