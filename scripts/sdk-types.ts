/**
 * The types of the client's package, written out of the contract's schemas: they then need no library,
 * an editor shows each field's description, and a program that imports them compiles in little time.
 */
import {
  ClientImport,
  ClientSummary,
  Conversation,
  contract,
  Event,
  errorCodes,
  LastMessage,
  Message,
  type Operation,
  Problem,
} from '../contract/index.ts';
import { routes } from '../sdk/routes.ts';

/** What is used here of JSON Schema. */
interface Schema {
  type?: string;
  enum?: (string | number)[];
  const?: string | number;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  patternProperties?: Record<string, Schema>;
  description?: string;
  default?: unknown;
}

/** Shapes that get a name of their own, and are named wherever they stand. */
const named = { Problem, ClientImport, ClientSummary, Conversation, LastMessage, Message, Event };
const nameOf = new Map(Object.entries(named).map(([name, schema]) => [key(schema), name]));

/** @returns the text of `operations.d.ts`, which stands in for `sdk/operations.ts` */
export function sdkTypes(): string {
  const rows = (Object.values(contract) as Operation[]).filter((row) => row.id in routes);
  return [
    '/** What each operation takes and answers. Written from the contract; do not edit. */',
    `export type ErrorCode = ${union(Object.keys(errorCodes))};`,
    ...Object.entries(named).map(([name, schema]) => `export interface ${name} ${body(schema as Schema)}`),
    `export interface Operations {\n${rows.map(operationType).join('\n')}\n}`,
    'export type OperationId = keyof Operations;',
    `export type StreamId = ${union(rows.filter((row) => row.bodyStream).map((row) => row.id))};`,
  ].join('\n\n');
}

function operationType(row: Operation): string {
  const parts = [row.input.params, row.input.query, row.input.body]
    .filter((part) => part !== undefined)
    .map((part) => typeOf(part as Schema));
  if (row.bodyStream)
    parts.push(
      `{ body: string | ReadableStream | Blob; content_type: ${union(row.bodyStream)}; request_id?: string }`,
    );
  const data = row.bytes
    ? ['Uint8Array']
    : Object.values(row.output).map((schema) => typeOf(schema as Schema));
  return `${doc(`${row.summary}. \`${row.method} ${row.path}\`\n\n${row.description}`)}  ${row.id}: { input: ${
    parts.join(' & ') || 'unknown'
  }; data: ${[...new Set(data)].join(' | ')} };`;
}

function typeOf(schema: Schema): string {
  const name = nameOf.get(key(schema));
  if (name !== undefined) return name;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return union(schema.enum);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `(${typeOf(schema.items ?? {})})[]`;
    case 'object':
      return body(schema);
    case undefined:
      return 'unknown';
    default:
      throw new Error(`sdk-types knows no schema of the type ${schema.type}`);
  }
}

function body(schema: Schema): string {
  const values = schema.patternProperties
    ? Object.values(schema.patternProperties)[0]
    : schema.additionalProperties;
  if (!schema.properties) return `Record<string, ${typeof values === 'object' ? typeOf(values) : 'unknown'}>`;
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const optional = schema.required?.includes(name) ? '' : '?';
    return `${doc(field.description)}  ${name}${optional}: ${typeOf(field)};`;
  });
  return `{\n${fields.join('\n')}\n}`;
}

function doc(text: string | undefined): string {
  if (text === undefined) return '';
  return `  /**\n${text
    .replaceAll('*/', '*\\/')
    .split('\n')
    .map((line) => `   * ${line}`.trimEnd())
    .join('\n')}\n   */\n`;
}

const union = (values: readonly (string | number)[]) =>
  values.map((value) => JSON.stringify(value)).join(' | ') || 'never';

/** Two schemas with the same text are the same shape. */
function key(schema: object): string {
  return JSON.stringify(schema);
}
