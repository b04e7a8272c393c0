/**
 * Writes `test/vectors/twilio_openapi.json`: of Twilio's own OpenAPI (github.com/twilio/twilio-oai,
 * spec/json/twilio_api_v2010.json, MIT) the paths that Omega calls, unchanged but for the texts, which would
 * make it twenty times larger.
 *
 *     node scripts/twilio-openapi.ts path/to/twilio_api_v2010.json
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const account = '/2010-04-01/Accounts/{AccountSid}';
const paths = [
  '/2010-04-01/Accounts/{Sid}.json',
  `${account}/Messages.json`,
  `${account}/Messages/{Sid}.json`,
  `${account}/IncomingPhoneNumbers.json`,
  `${account}/IncomingPhoneNumbers/{Sid}.json`,
  `${account}/SMS/ShortCodes.json`,
  `${account}/SMS/ShortCodes/{Sid}.json`,
  `${account}/Applications/{Sid}.json`,
  `${account}/Calls/{Sid}.json`,
  `${account}/Recordings/{Sid}.json`,
];

const source = process.argv[2];
if (source === undefined) throw new Error('Name the file twilio_api_v2010.json.');
const spec = JSON.parse(await readFile(source, 'utf8'));

const schemas: Record<string, unknown> = {};
const kept = {
  openapi: spec.openapi,
  info: { title: spec.info.title, version: spec.info.version, license: spec.info.license },
  servers: spec.servers,
  paths: Object.fromEntries(paths.map((path) => [path, withoutTexts(spec.paths[path])])),
  components: { securitySchemes: spec.components.securitySchemes, schemas },
};
collect(kept.paths);
await writeFile(
  join(import.meta.dirname, '..', 'test', 'vectors', 'twilio_openapi.json'),
  `${JSON.stringify(kept)}\n`,
);

/** The schemas that are referred to, and those that they refer to. */
function collect(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  for (const [name, value] of Object.entries(part)) {
    if (name !== '$ref' || typeof value !== 'string') {
      collect(value);
      continue;
    }
    const schema = value.replace('#/components/schemas/', '');
    if (schema in schemas) continue;
    schemas[schema] = withoutTexts(spec.components.schemas[schema]);
    collect(schemas[schema]);
  }
}

function withoutTexts(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withoutTexts);
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(
    Object.entries(part)
      // A field of the API may be called `description` too: that one is an object.
      .filter(
        ([name, value]) => !(name.startsWith('x-') || (name === 'description' && typeof value === 'string')),
      )
      .map(([name, value]) => [name, withoutTexts(value)]),
  );
}
