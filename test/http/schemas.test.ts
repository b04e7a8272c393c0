import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../contract/index.ts';
import {
  type ContractRequest,
  callable,
  exampleRequest,
  guarded,
  operations,
  propertiesOf,
  type Things,
  wire,
} from '../support/contract-requests.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { arbitraryOf, breaksOf, limitsAt, type Schema } from '../support/schema-values.ts';
import { businessWithThings } from '../support/things.ts';

let omega: RunningOmega;
let api: Client;
let things: Things;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ api, things } = await businessWithThings(omega, 1001));
});
afterAll(() => omega.close());

const callerOf = (row: Operation): Client => (row.auth === 'platform' ? omega.platform : api);

function send(row: Operation, request: ContractRequest): Promise<Answer> {
  const { path, body, headers } = wire(row, request);
  return callerOf(row).call(row.method, path, body, headers);
}

const schemaOf = (row: Operation, part: 'query' | 'body') => row.input[part] as Schema | undefined;

describe('whatever the schemas allow is answered, and never by a fault of ours', () => {
  /** What makes sense of a field, so that more than the first rule is reached. */
  const sense = () => ({
    ...things,
    sent_by: things.staff_id,
    from: things.sender,
    to: things.phone,
    country: 'US',
    time_zone: 'America/New_York',
    address: '+12025550123',
    email: 'ana@example.com',
    cursor: undefined,
  });
  /** Mostly sense: each field has nine chances in ten, by a die of its own. */
  const sensible = (fields: Record<string, unknown>, dice: number[]): Record<string, unknown> => {
    const known: Record<string, unknown> = sense();
    return Object.fromEntries(
      Object.entries(fields)
        .map(([name, value], i) => [name, name in known && dice[i % dice.length]! > 0 ? known[name] : value])
        .filter(([, value]) => value !== undefined),
    );
  };
  const partOf = (schema: object | undefined) =>
    (schema ? arbitraryOf(schema as Schema) : fc.constant({})) as fc.Arbitrary<Record<string, unknown>>;

  test.each(callable)('%s', async (_, row) => {
    const requests = fc.record({
      params: partOf(row.input.params),
      query: partOf(row.input.query),
      body: partOf(row.input.body),
      dice: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 20, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ params, query, body, dice }) => {
        const request = {
          params: sensible(params, dice),
          query: sensible(query, dice.toReversed()),
          body: sensible(body, dice),
        };
        const answer = await send(row, request);
        // Here is no worker, and whoever asks for readiness is told so.
        if (answer.body.code !== 'not_ready')
          expect(answer.status, JSON.stringify({ request, answer: answer.body })).toBeLessThan(500);
        if (answer.status >= 400)
          expect(answer.headers.get('content-type')).toContain('application/problem+json');
        else expect(Object.keys(row.output)).toContain(String(answer.status));
      }),
      { numRuns: 20 },
    );
  });
});

/** What is no value of the field, as a segment of a path. */
function brokenSegments(field: Schema): string[] {
  const texts = limitsAt(field, '')
    .map(({ value }) => String(value))
    .filter((text) => text !== '' && text.isWellFormed());
  if (field.type === 'integer') texts.push('x', '1e400', 'null', '[]', '1\0');
  if (field.format === 'uuid') texts.push('x', '1', 'null', 'urn:uuid:0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11');
  return texts.map(encodeURIComponent);
}

describe('each field that is broken alone is 422 and named', () => {
  const bodies = operations.filter(([, row]) => row.input.body);
  test.each(bodies)('%s: of the body', async (_, row) => {
    const schema = schemaOf(row, 'body')!;
    const breaks = breaksOf(schema).filter(({ path }) => path !== '');
    expect(breaks.length).toBeGreaterThan(Object.keys(schema.properties!).length);
    const { params } = exampleRequest(row, things);
    for (const { path, how, value } of breaks) {
      const body = structuredClone(value) as Record<string, unknown>;
      if ('business_id' in body && path !== 'business_id') body.business_id = things.business_id;
      const answer = await send(row, { params, query: {}, body });
      const what = `${path} ${how}`;
      expectProblem(answer, 422, path.endsWith('surplus') ? 'unknown_field' : 'invalid_parameters', what);
      expect(
        answer.body.errors.map((fault: { path: string }) => fault.path),
        what,
      ).toContain(path);
    }
  });

  const queries = operations.filter(([, row]) => row.input.query);
  test.each(queries)('%s: of the query', async (_, row) => {
    const { params } = exampleRequest(row, things);
    const { path } = wire(row, { params, query: {}, body: undefined });
    for (const [name, field] of Object.entries(schemaOf(row, 'query')!.properties!)) {
      // A URL has only text to say it with: a wrong type is text that cannot be read as the right one.
      const texts = limitsAt(field, name).map(({ value }) => String(value));
      if (field.type !== 'string') texts.push('x', '', 'null', '[1]');
      const queries = texts
        .filter((text) => text.isWellFormed())
        .map((text) => `${name}=${encodeURIComponent(text)}`)
        .concat(`${name}=1&${name}=1`);
      for (const query of queries) {
        const answer = await callerOf(row).get(`${path}?${query}`);
        expectProblem(answer, 422, 'invalid_parameters', query.slice(0, 80));
        const paths = answer.body.errors.map((fault: { path: string }) => fault.path);
        expect(paths, query.slice(0, 80)).toContain(name);
      }
    }
  });

  test.each(guarded.filter(([, row]) => row.input.params))('%s: of the path', async (_, row) => {
    for (const name of propertiesOf(row, 'params')) {
      const own = exampleRequest(row, things);
      const field = row.input.params!.properties[name] as Schema;
      for (const value of brokenSegments(field)) {
        const { path, body, headers } = wire(row, { ...own, params: { ...own.params, [name]: 'THE-ONE' } });
        const answer = await callerOf(row).call(row.method, path.replace('THE-ONE', value), body, headers);
        expectProblem(answer, 422, 'invalid_parameters', `${name} ${value}`);
        expect(answer.body.errors.map((fault: { path: string }) => fault.path)).toContain(name);
      }
    }
  });
});
