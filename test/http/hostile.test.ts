import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../contract/index.ts';
import {
  type ContractRequest,
  exampleRequest,
  operations,
  parts,
  type Things,
  wire,
} from '../support/contract-requests.ts';
import { expectProblem } from '../support/expect-problem.ts';
import { type Answer, type Client, type RunningOmega, startOmega } from '../support/omega.ts';
import { withQuery } from '../support/pages.ts';
import { conversationPath, messageOf, rowOf } from '../support/reading.ts';
import { partOfUnion, type Schema } from '../support/schema-values.ts';
import { businessWithThings } from '../support/things.ts';

let omega: RunningOmega;
let api: Client;
let things: Things;

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  await omega.tick(Date.parse('2026-12-01T09:00:00Z') - omega.clock.now());
  ({ api, things } = await businessWithThings(omega, 1001));
});
afterAll(() => omega.close());

/** Text that some part of a system has choked on before, each valid text all the same. */
const odd: Record<string, string> = {
  'emoji of four bytes': '👩‍👩‍👧‍👦 🏳️‍🌈 𝕊𝕞𝕤 🎉',
  'right to left, with overrides': 'שלום \u202Eabc\u202C مرحبا \u2066x\u2069',
  'combining and invisible': 'Z̸a̴l̵g̷o\u200B\u200D\uFEFF\u00AD e\u0301',
  'control characters but NUL': '\u0001\u0007\b\u001B[31m\u007F\u0085\u2028\u2029',
  'the last code points': '\u{10FFFF}\uFFFF\uFFFD',
  'lines of every kind': 'a\r\nb\nc\rd\te',
  SQL: `'; DROP TABLE messages; -- "\\" $1 $$ ); select pg_sleep(9)`,
  'LIKE and patterns': '%_\\%\\_ .* ^$ [a-z]+ (?=x)',
  'JSON and escapes': '{"a":["\\u0000"]} \\u0000 \\x00 &#0; %00',
  markup: '<script>alert(1)</script><img src=x onerror=alert(1)> &amp; <!--',
  'formulas and templates': `=1+1 @SUM(A1) {{7*7}} \${7*7} <%= 7 %> #{7}`,
  'names of prototypes': '__proto__ constructor toString hasOwnProperty',
  headers: 'a\r\nX-Injected: 1\r\n\r\nbody',
  spaces: '   ',
  'words for nothing': 'null',
};
const notText: unknown[] = [{ $gt: '' }, ['a', 'b'], {}, [], 7, true, null, { toString: 'x' }, { length: 5 }];
const unstorable = { NUL: 'a\0b', 'half a pair': 'a\ud83d', 'the other half': '\udc00b' };

interface TextField {
  part: (typeof parts)[number];
  path: string[];
  /** Null is a value of it. */
  orNull: boolean;
  /** It is of a list's item that answers for itself. */
  ofItem: boolean;
}

/** Where an operation takes free text. */
function textFields(row: Operation): TextField[] {
  const find = (union: Schema, path: string[], part: TextField['part'], ofItem: boolean): TextField[] => {
    const { schema, orNull, orAnything } = partOfUnion(union);
    if (schema.type === 'string' && !schema.enum) return [{ part, path, orNull, ofItem }];
    if (schema.type === 'array') return find(schema.items!, [...path, '0'], part, ofItem);
    return Object.entries(schema.properties ?? {}).flatMap(([name, field]) =>
      find(field, [...path, name], part, ofItem || orAnything),
    );
  };
  return parts.flatMap((part) => (row.input[part] ? find(row.input[part] as Schema, [], part, false) : []));
}

/** The example with one value put in each of the places, made on the way where the example has none. */
function withValue(
  row: Operation,
  places: Pick<TextField, 'part' | 'path'>[],
  value: unknown,
): ContractRequest {
  const request = structuredClone(exampleRequest(row, things));
  for (const { part, path } of places) {
    request[part] ??= {};
    let place = request[part] as Record<string, unknown>;
    for (const [i, name] of path.slice(0, -1).entries()) {
      place[name] ??= path[i + 1] === '0' ? [] : {};
      place = place[name] as Record<string, unknown>;
    }
    place[path.at(-1)!] = value;
  }
  return request;
}

const nameOf = ({ path }: TextField) => path.join('.');
const pathsOf = (problem: { errors: { path: string }[] }) => problem.errors.map(({ path }) => path);
const partition = <T>(all: T[], test: (one: T) => boolean) =>
  [all.filter(test), all.filter((one) => !test(one))] as const;

const send = (row: Operation, request: ContractRequest): Promise<Answer> => {
  const { path, body } = wire(row, request);
  return (row.auth === 'platform' ? omega.platform : api).call(row.method, path, body);
};

describe('in every text field of the contract', () => {
  const withText = operations.filter(([, row]) => textFields(row).length > 0);

  test.each(withText)('%s: odd text is taken or refused, and never a fault of ours', async (_, row) => {
    const fields = textFields(row);
    // Where there are many fields, each has its share of the texts in turn, and each text several fields.
    const share = Math.ceil(fields.length / 2);
    for (const [i, { part, path }] of fields.entries()) {
      for (const [what, text] of Object.entries(odd).filter((_one, j) => (i + j) % share === 0)) {
        const answer = await send(row, withValue(row, [{ part, path }], text));
        expect(answer.status, `${path.join('.')}: ${what}`).toBeLessThan(500);
        if (answer.status >= 400) expect(answer.headers.get('content-type')).toContain('problem+json');
      }
    }
  });

  test.each(withText)(
    '%s: what is no text, or no text that can be kept, is 422 and named',
    async (_, row) => {
      const [ofItems, ofBody] = partition(
        textFields(row).filter(({ part }) => part === 'body'),
        ({ ofItem }) => ofItem,
      );
      // Every fault is named at once, so one request breaks all fields with a value.
      for (const value of [...notText, ...Object.values(unstorable)]) {
        const broken = (fields: TextField[]) => fields.filter(({ orNull }) => value !== null || !orNull);
        const what = JSON.stringify(value);
        const fields = broken(ofBody);
        if (fields.length > 0) {
          const answer = await send(row, withValue(row, fields, value));
          expectProblem(answer, 422, 'invalid_parameters', what);
          expect(pathsOf(answer.body), what).toEqual(expect.arrayContaining(fields.map(nameOf)));
        }
        const items = broken(ofItems);
        if (items.length > 0) {
          const answer = await send(row, withValue(row, items, value));
          expect(answer.status, what).toBe(200);
          const { status, error } = answer.body.results[0];
          expect([status, error.code], what).toEqual([422, 'invalid_parameters']);
          const names = items.map(({ path }) => path.slice(2).join('.'));
          expect(pathsOf(error), what).toEqual(expect.arrayContaining(names));
        }
      }
    },
  );

  const ofTheBody = withText.flatMap(([id, row]) => {
    const fields = textFields(row).filter(({ part }) => part === 'body');
    return fields.length > 0 ? [{ id, row, fields }] : [];
  });
  const long = Buffer.alloc(10_000_000, 'x');
  /** Put together of bytes: to write them as JSON anew for each place is most of the work. */
  const sendLong = (row: Operation, { part, path: place }: TextField): Promise<Answer> => {
    const { path, body } = wire(row, withValue(row, [{ part, path: place }], 'LONG'));
    const [before, after] = JSON.stringify(body).split('LONG');
    const bytes = Buffer.concat([Buffer.from(before!), long, Buffer.from(after!)]);
    return (row.auth === 'platform' ? omega.platform : api).call(row.method, path, bytes);
  };
  const takesLong = ({ row }: { row: Operation }) => (row.bodyLimit ?? 0) > long.length;

  test.each(ofTheBody.filter((one) => !takesLong(one)))(
    '$id: ten million characters are refused before they are read',
    async ({ row, fields: [field] }) => {
      expectProblem(await sendLong(row, field!), 413, 'body_too_large');
    },
  );

  // Where a body may be that large, files are why: a file has no other fault, and any other field is too long.
  test.each(ofTheBody.filter(takesLong))(
    '$id: ten million characters are too long',
    async ({ row, fields }) => {
      for (const field of fields) {
        const what = nameOf(field);
        const answer = await sendLong(row, field);
        if (what === 'attachments.0.content') {
          expect(answer.status, what).toBeLessThan(500);
          continue;
        }
        expectProblem(answer, 422, 'invalid_parameters', what);
        expect(
          answer.body.errors.map((fault: { path: string }) => fault.path),
          what,
        ).toContain(what);
      }
    },
  );
});

describe('text that is taken comes back equal', () => {
  const to = '+13035557777';

  test.each(Object.entries(odd))('%s', async (_, text) => {
    const fits = (length: number) => [...text].slice(0, length).join('');
    const { status, body } = await api.post('/sms/queue', {
      to,
      content: text,
      external_ref: { type: fits(64), id: fits(128) },
      metadata: { [fits(64)]: text, list: [text, { deep: text }] },
    });
    expect(status).toBe(202);
    const message = await messageOf(api, 1001, body);
    expect(message.content).toBe(text);
    expect(message.external_ref).toEqual({ type: fits(64), id: fits(128) });
    expect(message.metadata).toEqual({ [fits(64)]: text, list: [text, { deep: text }] });
    expect((await rowOf(api, 1001, body)).last_message?.preview).toBe([...text].slice(0, 140).join(''));

    const found = await api.get(withQuery(`${conversationPath(1001, body)}/messages`, { text }));
    expect(found.body.data.map(({ message_id }: { message_id: string }) => message_id)).toContain(
      body.message_id,
    );

    await api.post('/sms/status', {
      message_id: body.message_id,
      status: 'failed',
      error_code: fits(64),
      error_message: text,
    });
    expect(await messageOf(api, 1001, body)).toMatchObject({ error_code: fits(64), error_message: text });

    const note = await api.post(`${conversationPath(1001, body)}/note`, { content: text });
    const noted = await messageOf(api, 1001, { ...body, message_id: note.body.message_id });
    expect(noted.content).toBe(text);
  });

  test('as the name of a client, by which they are found', async () => {
    for (const [i, name] of Object.values(odd).entries()) {
      const made = await api.post(`/businesses/1001/clients/${7000 + i}/conversations`, { name });
      expect(made.status, name).toBe(201);
      expect(made.body.client.name).toBe(name);
      // Of blanks there is nothing to be found by.
      if (name.trim() === '') continue;
      const { body } = await api.get(
        withQuery('/businesses/1001/conversations', { client: name, limit: 100 }),
      );
      const ids = body.data.map((row: { client: { client_id: number } }) => row.client.client_id);
      expect(ids, JSON.stringify(name)).toContain(7000 + i);
    }
  });
});
