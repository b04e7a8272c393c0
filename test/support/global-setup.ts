import { makeTemplate } from '../../server/core/db/index.ts';
import { makeTestTemplate } from './template.ts';

/** An installation makes the empty database's template; a checkout whose cache was cleared makes it here, once. */
export default async function setup(): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 24)
    throw new Error(
      `Node ${process.versions.node} is too old. Use \`npm test\`: it runs the Node 24 that the project pins.`,
    );
  await makeTemplate();
  await makeTestTemplate();
}
