import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeTemplate } from '../../server/core/db/index.ts';
import { postgresTemplate, testTemplate } from './template.ts';

/** What databases of tests begin from is made once: the empty one by the installation, where its cache is still there. */
export default async function setup(): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 24)
    throw new Error(
      `Node ${process.versions.node} is too old. Use \`npm test\`: it runs the Node 24 that the project pins.`,
    );
  await makeTemplate();
  const areThere = async () => existsSync(await testTemplate()) && existsSync(await postgresTemplate());
  if (await areThere()) return;
  const program = join(import.meta.dirname, 'make-templates.ts');
  const { stderr } = await promisify(execFile)(process.execPath, [program]);
  if (!(await areThere()))
    throw new Error(`The templates of the tests' databases could not be made: ${stderr}`);
}
