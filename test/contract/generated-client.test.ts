import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../support/contract-requests.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';
import { compile, runProgram, strictOptions } from '../support/programs.ts';

const root = join(import.meta.dirname, '..', '..');
let omega: RunningOmega;
let key: string;
let folder: string;

beforeAll(async () => {
  omega = await startOmega();
  ({ key } = await omega.business({ business_id: 1001 }));
  folder = await mkdtemp(join(tmpdir(), 'omega-generated-'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{"type": "module"}');
});
afterAll(async () => {
  await omega?.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a public generator's client (oazapfts, as it is) of the served OpenAPI", () => {
  test('has every operation, compiles under the strictest options, and works', async () => {
    const cli = join(root, 'node_modules', 'oazapfts', 'dist', 'cli.js');
    await runProgram(process.execPath, [cli, `${omega.url}/openapi.json`, join(folder, 'api.ts')]);
    const generated = await readFile(join(folder, 'api.ts'), 'utf8');
    const functions = [...generated.matchAll(/^export function (\w+)\(/gm)].map(([, name]) => name);
    expect(functions.sort()).toEqual(operations.map(([id]) => id).sort());

    await writeFile(
      join(folder, 'main.ts'),
      `import * as api from './api.ts';
       api.defaults.baseUrl = process.env.ORIGIN!;
       api.defaults.headers = { 'x-api-key': process.env.KEY! };
       const sent = await api.queueSms({ to: '+12025550123', content: 'From a generated client' });
       if (sent.status !== 202) throw new Error(JSON.stringify(sent));
       const list = await api.listConversations(1001, { status: 'open', limit: 1 });
       if (list.status !== 200) throw new Error(JSON.stringify(list));
       const row = list.data.data[0]!;
       const wrong = await api.queueSms({ to: 'nobody', content: 'hi' });
       if (wrong.status !== 422) throw new Error(JSON.stringify(wrong));
       console.log(JSON.stringify([sent.data.status, row.last_message?.preview, wrong.data.errors?.[0]?.path]));`,
    );
    const options = {
      ...strictOptions,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      types: ['node'],
    };
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['main.ts'] }),
    );
    await compile(folder);

    const env = { ORIGIN: new URL(omega.url).origin, KEY: key };
    const printed = await runProgram(process.execPath, ['main.ts'], { cwd: folder, env });
    expect(JSON.parse(printed)).toEqual(['queued', 'From a generated client', 'to']);
  });
});
