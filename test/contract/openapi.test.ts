import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Operation, tags } from '../../contract/index.ts';
import { operations } from '../support/contract-requests.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';

/** The parts of an OpenAPI document that are looked at here. */
interface Document {
  openapi: string;
  info: { version: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { securitySchemes: Record<string, unknown>; schemas: Record<string, unknown> };
}
interface Content {
  schema: { $ref?: string; properties?: Record<string, unknown> };
  example?: unknown;
}
interface DocumentedOperation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  security: Record<string, unknown>[];
  parameters?: { name: string; in: string; required: boolean; schema: { example?: unknown } }[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { description: string; content: Record<string, Content> }>;
}

let omega: RunningOmega;
let document: Document;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  const answer = await omega.as(null).get('/openapi.json');
  expect(answer.status).toBe(200);
  document = answer.body;
});
afterAll(() => omega.close());

const documented = (row: Operation): DocumentedOperation =>
  document.paths[`/omega${row.path}`]![row.method.toLowerCase()]!;

test('the document is OpenAPI 3.1, valid by an independent validator', async () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  const validator = new Validator();
  expect(await validator.validate(structuredClone(document) as never)).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
  expect(document.components.schemas).toHaveProperty('Problem');
});

test('it has the operations of the contract and no other', () => {
  const found = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => `${one.operationId}: ${method.toUpperCase()} ${path}`),
  );
  const promised = operations.map(([id, row]) => `${id}: ${row.method} /omega${row.path}`);
  expect(found.sort()).toEqual(promised.sort());
  expect(document.tags.map((tag) => tag.name)).toEqual(Object.keys(tags));
});

describe('each operation is told with its words, input, example, answers, errors and credentials', () => {
  test.each(operations)('%s', (id, row) => {
    const one = documented(row);
    expect(one).toMatchObject({ operationId: id, summary: row.summary, tags: [row.tag] });
    expect(one.description).toContain(row.description);
    expect(Object.keys(tags)).toContain(row.tag);

    const parameters = (place: string) =>
      (one.parameters ?? []).filter((parameter) => parameter.in === place).map(({ name }) => name);
    expect(parameters('path').sort()).toEqual(Object.keys(row.input.params?.properties ?? {}).sort());
    expect(parameters('query').sort()).toEqual(Object.keys(row.input.query?.properties ?? {}).sort());
    for (const [name, value] of Object.entries({ ...row.example?.params, ...row.example?.query })) {
      expect(one.parameters?.find((parameter) => parameter.name === name)?.schema.example).toEqual(value);
    }

    const body = one.requestBody?.content['application/json'];
    expect(Object.keys(body?.schema.properties ?? {})).toEqual(Object.keys(row.input.body?.properties ?? {}));
    if (row.input.body) expect(body?.example).toEqual(row.example?.body);

    for (const status of Object.keys(row.output))
      expect(one.responses[status]?.content[row.bytes ?? 'application/json']?.schema).toBeDefined();
    const { status, answer } = row.example!;
    expect(one.responses[status]?.content[row.bytes ?? 'application/json']?.example).toEqual(answer);

    const errors = Object.keys(one.responses).filter((code) => Number(code) >= 400);
    for (const code of errors) {
      expect(one.responses[code]?.content['application/problem+json']?.schema.$ref).toBe(
        '#/components/schemas/Problem',
      );
    }
    const expected =
      row.auth === 'public'
        ? ['500']
        : ['401', '403', '429', '500', '503', ...(row.input.body ? ['400', '409', '413', '415', '422'] : [])];
    expect(errors).toEqual(expect.arrayContaining(expected));
    for (const code of row.errors) {
      const told = Object.values(one.responses).map(({ description }) => description);
      expect(
        told.some((text) => text.includes(`\`${code}\``)),
        code,
      ).toBe(true);
    }

    const schemes = one.security.flatMap((requirement) => Object.keys(requirement));
    expect(schemes).toEqual(
      row.auth === 'public'
        ? []
        : row.auth === 'platform'
          ? ['apiKey']
          : ['apiKey', 'session', 'sessionCookie'],
    );
    for (const scheme of schemes) expect(document.components.securitySchemes).toHaveProperty(scheme);
  });
});

describe('the reference page works on a machine without the internet', () => {
  test('it is HTML that loads nothing from elsewhere, and the document that it shows is there', async () => {
    const page = await fetch(new URL('/docs', omega.url));
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toContain('text/html');
    const html = await page.text();
    expect(html).toContain('/omega/openapi.json');
    expect([...html.matchAll(/https?:\/\/[^\s"'<)]+/g)].map(([url]) => url)).toEqual([]);

    const scripts = [...html.matchAll(/<script[^>]+src="([^"]+)"/g)].map(([, src]) => src!);
    expect(scripts.length).toBeGreaterThan(0);
    for (const src of scripts) {
      const script = await fetch(new URL(src, page.url));
      expect(script.status, src).toBe(200);
      expect(script.headers.get('content-type')).toContain('javascript');
      expect((await script.text()).length).toBeGreaterThan(10_000);
    }
  });
});
