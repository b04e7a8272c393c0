import swagger from '@fastify/swagger';
import scalar from '@scalar/fastify-api-reference';
import type { FastifyInstance } from 'fastify';
import { errorCodes, isWrite, type Operation, Problem, tags } from '../../../contract/index.ts';

/** Serves OpenAPI 3.1 at `{base}/openapi.json` and the reference page at `/docs`, from the contract's rows. */
export async function registerDocs(
  http: FastifyInstance,
  options: { basePath: string; publicUrl: string; version: string },
): Promise<void> {
  await http.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Omega',
        version: options.version,
        description:
          'Client messaging for businesses that live by appointments: one conversation per client over SMS, email, voice and notes.\n\nEvery write takes a `request_id` (or the `Idempotency-Key` header): the same one again gives the first answer again. Every error is `application/problem+json`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: options.publicUrl }],
      tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          apiKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-API-KEY',
            description: 'A platform key, or one of a business.',
          },
          session: {
            type: 'http',
            scheme: 'bearer',
            description: 'A staff session from `POST /authentication/token`.',
          },
          sessionCookie: { type: 'apiKey', in: 'cookie', name: 'omega_session' },
        },
        schemas: { Problem: schemaOnly(Problem) },
      },
    },
    // The contract's own rows say more than a route's schema does (examples, errors, scopes).
    transform: ({ schema, url, route }) => {
      const row = route.config?.operation as Operation | undefined;
      return row ? { schema: documented(row) as never, url } : { schema: { ...schema, hide: true }, url };
    },
  });
  http.get(`${options.basePath}/openapi.json`, async (_request, reply) => reply.send(http.swagger()));
  await http.register(scalar, {
    routePrefix: '/docs',
    configuration: {
      url: `${options.basePath}/openapi.json`,
      pageTitle: 'Omega API',
      defaultOpenAllTags: true,
      // Offers of others' services that need the internet.
      agent: { disabled: true },
      mcp: { disabled: true },
      hideClientButton: true,
      showDeveloperTools: 'never',
      // The page must work on a machine without the internet.
      withDefaultFonts: false,
      telemetry: false,
    } as never,
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: Operation;
  }
}

function documented(row: Operation): object {
  const responses: Record<string, unknown> = {};
  for (const [status, schema] of Object.entries(row.output)) {
    const example =
      row.example && row.example.status === Number(status) ? { example: row.example.answer } : {};
    responses[status] = {
      description: descriptionOf(Number(status)),
      content: row.bytes
        ? {
            [row.bytes]: {
              schema: { type: 'string', ...(!row.eventStream && { format: 'binary' }) },
              ...example,
            },
          }
        : { 'application/json': { schema: schemaOnly(schema), ...example } },
    };
  }
  const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  for (const status of errorStatuses(row)) {
    const codes = Object.entries(errorCodes)
      .filter(
        ([code, { status: of }]) =>
          of === status && (isCommon(code, row) || row.errors.includes(code as never)),
      )
      .map(([code]) => `\`${code}\``);
    responses[status] = { description: codes.join(', '), content: problem };
  }
  return {
    operationId: row.id,
    tags: [row.tag],
    summary: row.summary,
    description: `${row.description}\n\n${audience(row)}`,
    ...(row.input.params && { params: withExamples(row.input.params, row.example?.params) }),
    ...(row.input.query && { querystring: withExamples(row.input.query, row.example?.query) }),
    ...(row.input.body && {
      body: {
        ...schemaOnly(row.input.body),
        ...(row.example?.body !== undefined && { examples: [row.example.body] }),
      },
    }),
    ...(row.webhook && {
      consumes: row.webhook,
      // Whatever the carrier's own pages say that it posts.
      body: { type: 'object', additionalProperties: true, ...webhookExample(row.example?.body) },
    }),
    ...(row.bodyStream && {
      consumes: row.bodyStream,
      body: { type: 'string', ...(row.example?.body !== undefined && { examples: [row.example.body] }) },
    }),
    response: responses,
    security:
      row.auth === 'public'
        ? []
        : [{ apiKey: [] }, ...(row.auth === 'platform' ? [] : [{ session: [] }, { sessionCookie: [] }])],
    ...(row.auth !== 'public' && { 'x-required-scopes': [row.auth] }),
  };
}

/** What a carrier posts, as an object: a form's fields, or JSON. */
function webhookExample(body: unknown): object {
  if (typeof body !== 'string') return {};
  return {
    examples: [body.startsWith('{') ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body))],
  };
}

function audience(row: Operation): string {
  if (row.webhook) return 'Takes a signature in place of credentials.';
  if (row.auth === 'public') return 'Takes no credentials.';
  return row.auth === 'platform' ? 'Takes a platform key.' : `Takes the scope \`${row.auth}\`.`;
}

const always = new Set(['unauthorized', 'forbidden', 'rate_limited', 'internal', 'unavailable']);
const ofInput = new Set(['invalid_parameters', 'unknown_field']);
const ofBody = new Set(['invalid_json', 'body_too_large', 'unsupported_media_type']);
const ofWrite = new Set(['request_in_progress', 'request_id_reused']);

function isCommon(code: string, row: Operation): boolean {
  if (row.auth === 'public') return code === 'internal';
  return (
    always.has(code) ||
    (ofInput.has(code) && Object.keys(row.input).length > 0) ||
    (ofBody.has(code) && row.input.body !== undefined) ||
    (ofWrite.has(code) && isWrite(row))
  );
}

function errorStatuses(row: Operation): number[] {
  const codes = Object.entries(errorCodes).filter(
    ([code]) => isCommon(code, row) || row.errors.includes(code as never),
  );
  return [...new Set(codes.map(([, { status }]) => status))].sort();
}

function descriptionOf(status: number): string {
  return (
    { 200: 'Done.', 201: 'Made.', 202: 'Taken: durable, and on its way.', 204: 'Done; nothing to tell.' }[
      status
    ] ?? 'Done.'
  );
}

function withExamples(schema: object, example: Record<string, unknown> | undefined): object {
  const copy = schemaOnly(schema) as { properties?: Record<string, object> };
  for (const [name, value] of Object.entries(example ?? {})) {
    if (copy.properties?.[name]) copy.properties[name] = { ...copy.properties[name], example: value };
  }
  return copy;
}

/** A plain copy: TypeBox's own marks are symbols and hidden fields, `$id` is for the registry. */
function schemaOnly(schema: object): object {
  const { $id: _, ...rest } = JSON.parse(JSON.stringify(schema));
  return rest;
}
