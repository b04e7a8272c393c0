import { existsSync } from 'node:fs';
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
  if (existsSync(await testTemplate()) && existsSync(await postgresTemplate())) return;
  // All of Omega, which takes its time to load.
  const { makePostgresTemplate, makeTestTemplate } = await import('./make-templates.ts');
  await makeTestTemplate();
  await makePostgresTemplate();
}
